/** A tenant's bridge and VXLAN device: made with its first attachment on the node, removed with its last. */
import { addressesEqual, formatAddress, formatInterfaceAddress, type Address } from '../../netaddr/netaddr.ts';
import { addAddress, decodeAddress, delAddress, listAddresses } from '../../netlink/address.ts';
import { addBridge, addVxlan, decodeLink, delLink, delLinkGroup, getLink, setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { appendFlood, decodeFdb, delFlood, floodMac, listFdb } from '../../netlink/neighbour.ts';
import { NetlinkError } from '../../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import { WeftError } from '../../errors/weft-error.ts';
import type { SegmentRemoval } from '../datapath.ts';
import { shapersOf } from '../bandwidth.ts';
import type { Kernel } from '../kernel.ts';
import { gatewayTable } from './gateway-rules.ts';
import { addGuard, baseTables, ensureTables, removeGuard, removeTables } from './guard.ts';
import { portElements, segmentElements, type GuardElement } from './guard-elements.ts';

/**
 * The link group in which links wait to be deleted, "weft" in ASCII. Two processes may share it: whatever is in it is to go.
 * A segment that is found there, because a removal was interrupted, leaves it before it is used again.
 */
const doomedGroup = 0x77656674;
const defaultGroup = 0;

/** The links of a segment that is in place. */
export interface SegmentLinks {
  readonly bridge: Link;
  readonly vxlan: Link;
}

/** Reads links by name in one go; undefined for those that are not there. */
export function findLinks(route: Netlink, names: readonly string[]): (Link | undefined)[] {
  return route.tryRequest(names.map(getLink)).map((outcome) => {
    if (!(outcome instanceof NetlinkError)) return outcome[0] === undefined ? undefined : decodeLink(outcome[0]);
    if (outcome.errnoCode === 'ENODEV') return undefined;
    throw outcome;
  });
}

/** The segment's links, made where they are missing. @throws WeftError foreignObject, kernelRefused */
export function ensureSegment(kernel: Kernel, segment: Segment): SegmentLinks {
  const [bridge, vxlan] = findLinks(kernel.route, [bridgeName(segment.vni), vxlanName(segment.vni)]);
  if (bridge !== undefined && vxlan !== undefined && describeDamage(segment, { bridge, vxlan }) === undefined) return { bridge, vxlan };
  return makeSegment(kernel, segment);
}

/** What keeps a segment's links from working as they stand, in words; undefined when nothing does. */
export function describeDamage(segment: Segment, { bridge, vxlan }: SegmentLinks): string | undefined {
  if (bridge.kind !== 'bridge') return `${bridge.name} is no bridge`;
  if (vxlan.kind !== 'vxlan' || vxlan.vxlan === undefined) return `${vxlan.name} is no VXLAN device`;
  const { vni, port, local } = vxlan.vxlan;
  if (vni !== segment.vni) return `${vxlan.name} has VNI ${vni} instead of ${segment.vni}`;
  if (port !== segment.vtepPort) return `${vxlan.name} has UDP port ${port} instead of ${segment.vtepPort}`;
  if (local === undefined || !addressesEqual(local, segment.vtepAddress)) return `${vxlan.name} does not use the VTEP address ${formatAddress(segment.vtepAddress)}`;
  if (vxlan.master !== bridge.index) return `${vxlan.name} is not a port of ${bridge.name}`;
  for (const link of [bridge, vxlan]) if (link.group === doomedGroup) return `${link.name} waits to be deleted`;
  if (!bridge.isUp) return `${bridge.name} is down`;
  if (!vxlan.isUp) return `${vxlan.name} is down`;
  if (vxlan.mtu < segment.overlayMtu) return `${vxlan.name} has MTU ${vxlan.mtu}, less than its endpoints' ${segment.overlayMtu}`;
  return undefined;
}

/**
 * Makes what is missing, in an order in which nothing is open at any moment: links down, guard, flood list, links up.
 * Another process may be doing the same; whoever comes second finds the object and goes on.
 */
function makeSegment(kernel: Kernel, segment: Segment): SegmentLinks {
  const { route } = kernel;
  const names = { bridge: bridgeName(segment.vni), vxlan: vxlanName(segment.vni) };
  const alias = `weft tenant ${segment.tenant} VNI ${segment.vni}`;
  ensureTables(kernel.netfilter, segmentElements(segment));
  addGuard(kernel.netfilter, segmentElements(segment));
  requestTolerating(route, [addBridge({ name: names.bridge, mac: gatewayMac(segment.vni), mtu: segment.overlayMtu })], 'EEXIST');
  const bridge = requireKind(findLinks(route, [names.bridge])[0], names.bridge, 'bridge');
  const settings = { name: names.vxlan, vni: segment.vni, local: segment.vtepAddress, port: segment.vtepPort, mtu: segment.underlayMtu, learning: true, master: bridge.index };
  removeUnfitVxlan(route, segment, bridge);
  requestTolerating(route, [addVxlan(settings)], 'EEXIST');
  const [found] = findLinks(route, [names.vxlan]);
  if (found === undefined) throw portTaken(segment);
  const vxlan = requireKind(found, names.vxlan, 'vxlan');
  route.request([
    setNoLinkLocal(names.bridge),
    setNoLinkLocal(names.vxlan),
    setLink(names.bridge, { alias, mtu: segment.overlayMtu, group: defaultGroup }),
    setLink(names.vxlan, { alias, mtu: segment.underlayMtu, master: bridge.index, group: defaultGroup }),
  ]);
  setFloodList(route, vxlan.index, segment.peers);
  route.request([setLink(names.vxlan, { isUp: true }), setLink(names.bridge, { isUp: true })]);
  if (segment.gateway !== undefined) makeGateway(kernel, segment, bridge.index);
  return { bridge: { ...bridge, isUp: true }, vxlan: { ...vxlan, isUp: true, master: bridge.index } };
}

/** A VXLAN device's VNI, address and port cannot be changed: one that does not fit is replaced. */
function removeUnfitVxlan(route: Netlink, segment: Segment, bridge: Link): void {
  const [vxlan] = findLinks(route, [vxlanName(segment.vni)]);
  if (vxlan === undefined) return;
  const whole = { isUp: true, group: defaultGroup };
  const fit = { ...vxlan, ...whole, master: bridge.index, mtu: segment.underlayMtu };
  if (describeDamage(segment, { bridge: { ...bridge, ...whole }, vxlan: fit }) === undefined) return;
  requireKind(vxlan, vxlan.name, 'vxlan');
  requestTolerating(route, [delLink(vxlan.name)], 'ENODEV');
}

/** EEXIST and yet no device of that name: another device has the VNI on this port (drivers/net/vxlan, vxlan_dev_configure). */
function portTaken(segment: Segment): WeftError {
  return new WeftError('foreignObject', `Cannot make the VXLAN device of tenant ${segment.tenant}: another device of this node has VNI ${segment.vni} on UDP port ${segment.vtepPort}`, {
    details: 'choose another vni, or remove the other device: ip -d link show type vxlan',
  });
}

function requireKind(link: Link | undefined, name: string, kind: string): Link {
  if (link?.kind === kind) return link;
  const what = link === undefined ? 'went away while it was being made' : `is a ${link.kind ?? 'device'} that weft did not make`;
  throw new WeftError(link === undefined ? 'tryAgainLater' : 'foreignObject', `Cannot use ${name}: it ${what}`, { details: `remove it: ip link del ${name}` });
}

/** Makes the flood list just these VTEPs. */
export function setFloodList(route: Netlink, index: number, peers: readonly Address[]): void {
  const present = route.dump(listFdb(index)).map(decodeFdb).filter((entry) => entry?.mac === floodMac && entry.index === index).map((entry) => entry?.vtep).filter((vtep) => vtep !== undefined);
  const isIn = (list: readonly Address[], address: Address): boolean => list.some((other) => addressesEqual(other, address));
  requestTolerating(route, peers.filter((peer) => !isIn(present, peer)).map((peer) => appendFlood(index, peer)), 'EEXIST');
  requestTolerating(route, present.filter((vtep) => !isIn(peers, vtep)).map((vtep) => delFlood(index, vtep)), 'ENOENT');
}

/** Gives the bridge the tenant's gateway addresses, and takes others of earlier settings away. */
function makeGateway(kernel: Kernel, segment: Segment, bridgeIndex: number): void {
  const wanted = segment.gateway?.addresses ?? [];
  const present = kernel.route.dump(listAddresses(bridgeIndex)).map(decodeAddress).filter((entry) => entry?.index === bridgeIndex && entry.scope !== 'link').map((entry) => entry?.address).filter((address) => address !== undefined);
  const texts = new Set(wanted.map(formatInterfaceAddress));
  requestTolerating(kernel.route, wanted.map((address) => addAddress(bridgeIndex, address)), 'EEXIST');
  requestTolerating(kernel.route, present.filter((address) => !texts.has(formatInterfaceAddress(address))).map((address) => delAddress(bridgeIndex, address)), 'EADDRNOTAVAIL');
  // Without it the host would answer a tenant's ARP for any address it has (Documentation/networking/ip-sysctl.rst, arp_ignore).
  kernel.setSysctl(['ipv4', 'conf', bridgeName(segment.vni), 'arp_ignore'], '1');
  if (wanted.some(({ address }) => address.family === 4)) kernel.setSysctl(['ipv4', 'ip_forward'], '1');
  if (wanted.some(({ address }) => address.family === 6)) kernel.setSysctl(['ipv6', 'conf', 'all', 'forwarding'], '1');
}

function elementKey(element: GuardElement): string {
  return `${element.table.family} ${element.table.table} ${element.set} ${element.key.map((part) => Buffer.from(part).toString('hex')).join('.')}`;
}

/** The elements of `elements` that are not in `kept`. */
function without(elements: readonly GuardElement[], kept: readonly GuardElement[]): GuardElement[] {
  const keys = new Set(kept.map(elementKey));
  return elements.filter((element) => !keys.has(elementKey(element)));
}

/** Brings a segment that is in place in line with changed peers or gateway. */
export function updateSegment(kernel: Kernel, change: { segment: Segment; previous: Segment; others: readonly Segment[] }): void {
  const { segment, previous, others } = change;
  const { bridge, vxlan } = makeSegment(kernel, segment);
  const kept = [segment, ...others].flatMap(segmentElements);
  removeGuard(kernel.netfilter, without(segmentElements(previous), kept));
  setFloodList(kernel.route, vxlan.index, segment.peers);
  if (segment.gateway === undefined && previous.gateway !== undefined) makeGateway(kernel, segment, bridge.index);
}

/** Removes a segment's links and guard, and the ports that are left on it; with the node's last segment the tables too. */
export function removeSegment(kernel: Kernel, removal: SegmentRemoval): void {
  const { segment, ports = [] } = removal;
  const links = [
    ...ports.flatMap((port) => [{ name: port.hostIf, kind: 'veth' }, ...shapersOf(port).map((name) => ({ name, kind: 'ifb' }))]),
    { name: vxlanName(segment.vni), kind: 'vxlan' },
    { name: bridgeName(segment.vni), kind: 'bridge' },
  ];
  const found = findLinks(kernel.route, links.map(({ name }) => name));
  const own = links.filter(({ kind }, index) => found[index]?.kind === kind);
  requestTolerating(kernel.route, own.map(({ name }) => setLink(name, { group: doomedGroup })), 'ENODEV');
  requestTolerating(kernel.route, [delLinkGroup(doomedGroup)], 'ENODEV');
  removeSegmentGuard(kernel, removal);
}

function removeSegmentGuard(kernel: Kernel, { segment, remaining, ports = [] }: SegmentRemoval): void {
  const isLastGateway = segment.gateway !== undefined && remaining.every((other) => other.gateway === undefined);
  const unused = [...(remaining.length === 0 ? baseTables : []), ...(isLastGateway || remaining.length === 0 ? [gatewayTable] : [])];
  if (unused.length > 0) removeTables(kernel.netfilter, unused);
  const gone = new Set(unused);
  const elements = [...segmentElements(segment), ...ports.flatMap((port) => portElements(port, { hasGateway: segment.gateway !== undefined }))];
  removeGuard(kernel.netfilter, without(elements, remaining.flatMap(segmentElements)).filter((element) => !gone.has(element.table)));
}
