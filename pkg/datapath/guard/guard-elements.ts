/** What a segment and an attachment are in the guard's sets. Pure. */
import { addressBytes, eui64LinkLocal, macBytes, type Address } from '../../netaddr/netaddr.ts';
import { ifNameBytes } from '../../nftables/expression.ts';
import type { SetElement, TableName } from '../../nftables/nftables.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { AttachmentPort, PortMigration, Segment } from '../../overlay/model.ts';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import { probePort } from '../../overlay/probe-port.ts';
import { probeVni, type ProbeTunnel } from '../../overlay/probe.ts';
import { hasSpare, hasStandIn, sparePort, spareVni } from '../../overlay/spare.ts';
import type { KnownState } from '../datapath.ts';
import { isClosed, isRelayed, isRelayedTo, isWaiting } from '../phases.ts';
import { gatewayTable } from './gateway-rules.ts';
import { bigEndian16, bridgeTable, inetTable } from './guard-rules.ts';

/** An element and the table its set is in. */
export interface GuardElement extends SetElement {
  readonly table: TableName;
}

/** An interface name as the kernel compares it: with all of its padding. */
function interfaceKey(name: string): Uint8Array {
  const bytes = Buffer.alloc(ifNameBytes);
  bytes.write(name);
  return bytes;
}

/** A VNI as its rule loads it: the header's 24 bits and eight of zero, in host byte order. */
function vniKey(vni: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE((vni << 8) >>> 0);
  return bytes;
}

/** The elements of an attachment. A layer 2 attachment, without addresses, is open: any address, but only its own MAC. One that is closed has the others. */
export function portElements(port: AttachmentPort, options: { hasGateway: boolean }): GuardElement[] {
  // Open vSwitch guards its ports by itself; of the host they are kept by their names.
  if (port.datapath === 'ovs') return [];
  const name = interfaceKey(port.hostIf);
  const table = bridgeTable;
  const elements: GuardElement[] = isWaiting(port) ? [waitingElement(port)] : isClosed(port) ? [] : [openElement(port)];
  for (const { address } of port.addresses) elements.push(addressElement(name, address));
  if (port.addresses.length === 0) elements.push({ table, set: 'open', key: [name] });
  else elements.push(addressElement(name, eui64LinkLocal(port.mac)));
  if (options.hasGateway) elements.push({ table, set: 'gateway_ports', key: [name] });
  return elements;
}

/** The element without which a port is closed. */
export function openElement({ hostIf, mac }: Pick<AttachmentPort, 'hostIf' | 'mac'>): GuardElement {
  return { table: bridgeTable, set: 'ports', key: [interfaceKey(hostIf), macBytes(mac)] };
}

/** The element by which a port's machine may open it. */
export function waitingElement({ hostIf, mac }: Pick<AttachmentPort, 'hostIf' | 'mac'>): GuardElement {
  return { table: bridgeTable, set: 'waiting', key: [interfaceKey(hostIf), macBytes(mac)] };
}

/** What of an attachment says whether anything is relayed for it. */
export interface RelayedState extends Pick<AttachmentPort, 'datapath'> {
  readonly migration?: Pick<PortMigration, 'phase' | 'other'>;
}

/** What lets in what is relayed to an attachment, from the other node alone, or at the source keeps everybody's out. */
export function relayElements({ vni, vtepPort }: Pick<Segment, 'vni' | 'vtepPort'>, port: RelayedState): GuardElement[] {
  if (port.datapath === 'ovs' || port.migration === undefined || !(isRelayed(port) || isRelayedTo(port))) return [];
  const { other } = port.migration;
  const [udpPort, key] = [bigEndian16(vtepPort), vniKey(spareVni(vni))];
  const closed: GuardElement = { table: inetTable, set: 'segments', key: [udpPort, key] };
  return isRelayedTo(port) ? [closed, { table: inetTable, set: other.family === 4 ? 'vteps4' : 'vteps6', key: [addressBytes(other), udpPort, key] }] : [closed];
}

function addressElement(name: Uint8Array, address: Address): GuardElement {
  return { table: bridgeTable, set: address.family === 4 ? 'addresses4' : 'addresses6', key: [name, addressBytes(address)] };
}

/** The elements of a segment: its VNI, its VTEPs, what no VTEP may send to, and its gateway where it has one. */
export function segmentElements(segment: Segment): GuardElement[] {
  // What comes through the tunnel reaches Open vSwitch and not the kernel's VXLAN.
  if (segment.datapath === 'ovs') return [...closedElements(segment), ...(segment.gateway === undefined ? [] : hostElements(segment, segment.gateway.masquerade))];
  const port = bigEndian16(segment.vtepPort);
  const vni = vniKey(segment.vni);
  const elements: GuardElement[] = [{ table: inetTable, set: 'segments', key: [port, vni] }];
  for (const peer of segment.peers) {
    elements.push({ table: inetTable, set: peer.family === 4 ? 'vteps4' : 'vteps6', key: [addressBytes(peer), port, vni] });
  }
  elements.push(...closedElements(segment));
  return segment.gateway === undefined ? elements : [...elements, ...gatewayElements(segment, segment.gateway.masquerade)];
}

/** The VNI of the spare tunnel or the stand-in: without a VTEP of its own it is closed. */
function closedElements(segment: Segment): GuardElement[] {
  const closed = hasSpare(segment) ? spareVni(segment.vni) : hasStandIn(segment) ? segment.vni : undefined;
  return closed === undefined ? [] : [{ table: inetTable, set: 'segments', key: [bigEndian16(sparePort), vniKey(closed)] }];
}

function gatewayElements(segment: Segment, masquerade: boolean): GuardElement[] {
  const vxlan = interfaceKey(vxlanName(segment.vni));
  return [
    { table: bridgeTable, set: 'gateway_ports', key: [vxlan] },
    { table: bridgeTable, set: 'gateway_macs', key: [vxlan, macBytes(gatewayMac(segment.vni))] },
    ...hostElements(segment, masquerade),
  ];
}

/** Between the tenant's gateway interface and the rest of the host. */
function hostElements(segment: Segment, masquerade: boolean): GuardElement[] {
  const bridge = interfaceKey(bridgeName(segment.vni));
  return [
    { table: inetTable, set: 'gateways', key: [bridge, macBytes(gatewayMac(segment.vni))] },
    // A probe of a tenant would be a node's own, once it is masqueraded, and get the answers to those.
    ...[...new Set([segment.vtepPort, probePort])].map((port) => ({ table: gatewayTable, set: 'vtep_ports', key: [bigEndian16(port)] })),
    { table: gatewayTable, set: 'gateway_bridges', key: [bridge] },
    { table: gatewayTable, set: 'same_tenant', key: [bridge, bridge] },
    ...(masquerade ? [{ table: gatewayTable, set: 'masqueraded', key: [bridge] }] : []),
  ];
}

/** The elements of everything that is known to be on the node. */
export function knownElements({ segments, ports }: KnownState): GuardElement[] {
  const byVni = new Map(segments.map((segment) => [segment.vni, segment]));
  const elements = ports.flatMap((port) => {
    const segment = byVni.get(port.vni);
    return [...portElements(port, { hasGateway: segment?.gateway !== undefined }), ...(segment === undefined ? [] : relayElements(segment, port))];
  });
  return [...segments.flatMap(segmentElements), ...elements];
}

/** What may be in the guard beside them: ports that their machines have opened. */
export function openedElements({ ports }: KnownState): GuardElement[] {
  return ports.filter(isWaiting).map(openElement);
}

/** What keeps a probe tunnel for the VTEPs it leads to. A daemon adds them with the tunnel; no attachment needs them. */
export function probeElements({ vtepPort, peers }: Pick<ProbeTunnel, 'vtepPort' | 'peers'>): GuardElement[] {
  const [port, vni] = [bigEndian16(vtepPort), vniKey(probeVni)];
  return [
    { table: inetTable, set: 'segments', key: [port, vni] },
    ...peers.map((peer): GuardElement => ({ table: inetTable, set: peer.family === 4 ? 'vteps4' : 'vteps6', key: [addressBytes(peer), port, vni] })),
  ];
}

/** Whether an element of the set, by its key in hexadecimal, is one that a probe tunnel needs. */
export function isProbeKey({ table, set }: { readonly table: TableName; readonly set: string }, key: string): boolean {
  return table === inetTable && ['segments', 'vteps4', 'vteps6'].includes(set) && key.endsWith(Buffer.from(vniKey(probeVni)).toString('hex'));
}

function elementKey({ table, set, key }: GuardElement): string {
  return `${table.family} ${table.table} ${set} ${key.map((part) => Buffer.from(part).toString('hex')).join('.')}`;
}

/** The elements that are in none of `kept`. */
export function elementsWithout(elements: readonly GuardElement[], kept: readonly GuardElement[]): GuardElement[] {
  const keys = new Set(kept.map(elementKey));
  return elements.filter((element) => !keys.has(elementKey(element)));
}
