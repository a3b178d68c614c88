/** From configuration and underlay to the segment a tenant should have on this node. Pure. */
import type { NetConf } from '../config/net-conf.ts';
import type { Underlay } from '../datapath/underlay.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { RangeSet } from '../ipam/pool.ts';
import { ipv4MinimumMtuBytes, overlayMtuBytes, type Encapsulation } from '../mtu/overhead.ts';
import { noPathKnowledge, type PathKnowledge } from '../mtu/path-knowledge.ts';
import { addressesEqual, formatAddress, formatPrefix, prefixesOverlap, prefixOf, type Address, type InterfaceAddress } from '../netaddr/netaddr.ts';
import type { Gateway, Segment } from '../overlay/model.ts';
import { describeRelayConflict, describeSpareConflict } from '../overlay/spare.ts';

/** The family that the VTEP must be of: the peers', and IPv4 with EVPN, since FRR knows no other VTEPs. */
export function vtepFamilyOf({ controlPlane, peers }: Pick<NetConf, 'controlPlane' | 'peers'>): Address['family'] | undefined {
  return controlPlane === 'evpn' ? 4 : peers[0]?.family;
}

/** What a segment is planned over. */
export type PlannedOver = Pick<Underlay, 'vtepAddress' | 'mtu'> & Partial<Pick<Underlay, 'linkMtu'>>;

export interface PlanOptions {
  readonly path?: PathKnowledge;
  /** The other VTEPs as they are known. @default the configuration's */
  readonly peers?: readonly Address[];
}

/** The segment that the configuration asks for. @throws WeftError invalidConfiguration when the MTU does not fit and is to be refused, or a peer cannot be reached */
export function planSegment(conf: NetConf, underlay: PlannedOver, options: PlanOptions = {}): Segment {
  const { vtepAddress } = underlay;
  const foreign = conf.peers.find((peer) => peer.family !== vtepAddress.family);
  if (foreign !== undefined) {
    throw new WeftError('invalidConfiguration', `peers must be of the VTEP's family, IPv${vtepAddress.family}: ${formatAddress(foreign)} is not`, { details: 'set vtep.address to an address of that family' });
  }
  const gateway = planGateway(conf);
  return {
    tenant: conf.tenant,
    vni: conf.vni,
    ...(conf.datapath === 'ovs' ? { datapath: conf.datapath } : {}),
    ...(conf.encapsulation === 'geneve' ? { encapsulation: conf.encapsulation } : {}),
    ...(conf.controlPlane === 'evpn' ? { controlPlane: conf.controlPlane } : {}),
    vtepAddress,
    vtepPort: conf.vtep.port,
    underlayMtu: underlay.linkMtu ?? underlay.mtu,
    overlayMtu: planMtu(conf, underlay, options),
    peers: conf.peers.filter((peer) => !addressesEqual(peer, vtepAddress)),
    ...(gateway === undefined ? {} : { gateway }),
    ...(conf.tenantBandwidth === undefined ? {} : { bandwidth: conf.tenantBandwidth }),
  };
}

/** The segment with the peers that BGP has found for it so far, where it is BGP that finds them. */
export function keepFoundPeers(wanted: Segment, present: Segment): Segment {
  return wanted.controlPlane === 'evpn' && present.controlPlane === 'evpn' ? { ...wanted, peers: present.peers } : wanted;
}

/**
 * The segment with the MTUs that it has on this node, where containers use it: which follow in their own order, one after the other. `mtu` is
 * what a container gets that comes now: no more than what the segment has, nor than what it is to have.
 */
export function keepMtus(wanted: Segment, present: Segment): { readonly segment: Segment; readonly mtu: number } {
  const { underlayMtu, overlayMtu } = present;
  return { segment: { ...wanted, underlayMtu, overlayMtu }, mtu: Math.min(wanted.overlayMtu, overlayMtu) };
}

const properNames: Readonly<Record<Encapsulation, string>> = { vxlan: 'VXLAN', geneve: 'Geneve' };

/** The containers' MTU: as configured where it fits through the tunnel, else what does; and no more than gets to the other nodes. */
function planMtu(conf: NetConf, underlay: PlannedOver, { path = noPathKnowledge, peers = conf.peers }: PlanOptions): number {
  const { encapsulation, mtu: configured } = conf;
  const largest = largestMtu(conf, underlay);
  if (largest < ipv4MinimumMtuBytes) throw new WeftError('invalidConfiguration', `The underlay's MTU must leave room for ${properNames[encapsulation]}: ${underlay.mtu} does not`);
  const misfit = conf.mtuPolicy === 'refuse' ? describeMtuMisfit(conf, underlay) : undefined;
  if (misfit !== undefined) throw new WeftError('invalidConfiguration', misfit, { details: 'leave mtu out to have it derived, raise the underlay interface’s MTU, or set mtuPolicy to warn' });
  const passing = path.narrowest(peers);
  const throughPath = passing === undefined ? largest : Math.max(ipv4MinimumMtuBytes, overlayMtuBytes(passing, { encapsulation, underlay: underlay.vtepAddress.family }));
  return Math.min(configured ?? largest, largest, throughPath);
}

function largestMtu({ encapsulation }: Pick<NetConf, 'encapsulation'>, { mtu, vtepAddress }: PlannedOver): number {
  return overlayMtuBytes(mtu, { encapsulation, underlay: vtepAddress.family });
}

/** Why the configured MTU does not fit through the tunnel, in words; undefined where it does, or none is configured. */
export function describeMtuMisfit(conf: Pick<NetConf, 'mtu' | 'encapsulation'>, underlay: PlannedOver): string | undefined {
  const largest = largestMtu(conf, underlay);
  if (conf.mtu === undefined || conf.mtu <= largest) return undefined;
  return `mtu must be at most ${largest}, which is the underlay's ${underlay.mtu} less ${properNames[conf.encapsulation]}'s ${underlay.mtu - largest}: current value is ${conf.mtu}`;
}

function planGateway(conf: NetConf): Gateway | undefined {
  if (!conf.isGateway || conf.ipam.type !== 'weft') return undefined;
  return { addresses: gatewayAddresses(conf.ipam.pool.sets), masquerade: conf.ipMasq };
}

/** The gateways of all ranges, each once: several ranges may lie in one subnet. */
function gatewayAddresses(sets: readonly RangeSet[]): InterfaceAddress[] {
  const addresses: InterfaceAddress[] = [];
  for (const { gateway, subnet } of sets.flat()) {
    if (gateway === undefined || addresses.some((other) => addressesEqual(other.address, gateway))) continue;
    addresses.push({ address: gateway, length: subnet.length });
  }
  return addresses;
}

/** Why a tenant's gateway cannot stand beside those of the node's other tenants, in words: the node has one route for a subnet. */
export function describeGatewayConflict(wanted: Segment, others: readonly Segment[]): string | undefined {
  for (const { address, length } of wanted.gateway?.addresses ?? []) {
    const subnet = prefixOf({ address, length });
    const rival = others.find((other) => other.vni !== wanted.vni && (other.gateway?.addresses ?? []).some((taken) => prefixesOverlap(prefixOf(taken), subnet)));
    if (rival !== undefined) return `the subnet ${formatPrefix(subnet)} of tenant ${wanted.tenant} cannot have its gateway on this node: tenant ${rival.tenant} has one in it`;
  }
  return undefined;
}

/**
 * Why a tenant cannot use its UDP port beside the node's other tenants, in words: whoever listens on it takes all that comes, and one that is wired
 * otherwise would hear nothing and be told nothing.
 */
function describePortConflict(wanted: Segment, others: readonly Segment[]): string | undefined {
  const rival = others.find((other) => other.vni !== wanted.vni && other.vtepPort === wanted.vtepPort && wiringOf(other) !== wiringOf(wanted));
  if (rival === undefined) return undefined;
  return `UDP port ${wanted.vtepPort} is taken on this node by tenant ${rival.tenant} with ${wiringOf(rival)}: tenant ${wanted.tenant} with ${wiringOf(wanted)} needs another one`;
}

/** @throws WeftError invalidConfiguration where the port or the VNI is one that another tenant of this node needs, by itself or for its spare tunnel */
export function requireFreePort(wanted: Segment, others: readonly Segment[]): void {
  const conflict = describePortConflict(wanted, others);
  if (conflict !== undefined) throw new WeftError('invalidConfiguration', conflict, { details: 'give one of the two tenants another vtep.port, on all of its nodes' });
  const spareConflict = describeSpareConflict(wanted, others);
  if (spareConflict !== undefined) throw new WeftError('invalidConfiguration', spareConflict, { details: 'give one of the two tenants another vni, or vtep.port, on all of its nodes' });
}

/** @throws WeftError invalidConfiguration where frames for an endpoint that moves could not be told from another tenant's of this node */
export function requireRelay(wanted: Pick<Segment, 'vni'>, others: readonly Segment[]): void {
  const conflict = describeRelayConflict(wanted, others);
  if (conflict !== undefined) throw new WeftError('invalidConfiguration', conflict, { details: 'give one of the two tenants another vni, on all of its nodes' });
}

function wiringOf({ datapath = 'bridge' as const, encapsulation = 'vxlan' as const }: { readonly datapath?: 'ovs' | 'bridge'; readonly encapsulation?: 'geneve' | 'vxlan' }): string {
  return `datapath ${datapath} and encapsulation ${encapsulation}`;
}

/** Why a tenant's segment on this node cannot be as wanted while other attachments use it as it is, in words. */
export function describeConflict(wanted: Segment, present: Segment): string | undefined {
  if (wanted.tenant !== present.tenant) return `VNI ${wanted.vni} belongs to tenant ${present.tenant} on this node, not to ${wanted.tenant}`;
  if (wanted.vni !== present.vni) return `tenant ${wanted.tenant} has VNI ${present.vni} on this node, not ${wanted.vni}`;
  const wiring = describeWiringConflict(wanted, present);
  if (wiring !== undefined) return wiring;
  if (!addressesEqual(wanted.vtepAddress, present.vtepAddress)) return `tenant ${wanted.tenant} uses the VTEP ${formatAddress(present.vtepAddress)} on this node, not ${formatAddress(wanted.vtepAddress)}`;
  if (wanted.vtepPort !== present.vtepPort) return `tenant ${wanted.tenant} uses UDP port ${present.vtepPort} on this node, not ${wanted.vtepPort}`;
  return undefined;
}

/** Frames of one tenant cannot go through two datapaths, nor to a node in two encapsulations; who tells of its other nodes decides what it is made of. */
function describeWiringConflict(wanted: Segment, present: Segment): string | undefined {
  for (const [key, byDefault] of [['datapath', 'bridge'], ['encapsulation', 'vxlan'], ['controlPlane', 'static']] as const) {
    const [now, then] = [present[key] ?? byDefault, wanted[key] ?? byDefault];
    if (now !== then) return `tenant ${wanted.tenant} uses ${key} ${now} on this node, not ${then}`;
  }
  return undefined;
}
