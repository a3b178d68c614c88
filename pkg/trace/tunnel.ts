/** Through the tenant's VXLAN device: to which VTEPs, and by which VNI. Pure. */
import { addressesEqual, formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import { floodMac } from '../netlink/neighbour.ts';
import { vxlanName } from '../overlay/names.ts';
import { vtepElements } from './gateway-elements.ts';
import type { SeenLink } from './sight.ts';
import { fitsLink } from './packet.ts';
import { bridgeOf, say, type Way } from './way.ts';

/** The device is as the tenant needs it, of what is sent and of what comes. @throws EndOfWay */
export function requireTunnel(way: Way, link: SeenLink | undefined): SeenLink {
  const { walk, node, tenant: { segment } } = way;
  const name = link?.name ?? vxlanName(segment.vni);
  const show = `ip -d link show dev ${name}`;
  if (link?.vxlan === undefined) return walk.stop('tunnel', { what: link === undefined ? `the tenant's VXLAN device ${name} is missing` : `${name} is no VXLAN device`, show });
  const { vni, port, local } = link.vxlan;
  const [has, wants] = [describe(vni, port, local), describe(segment.vni, segment.vtepPort, segment.vtepAddress)];
  if (has !== wants) return walk.stop('tunnel', { what: `${name} has ${has}, and the tenant ${wants}: the other nodes do not take what it sends`, show });
  const bridge = bridgeOf({ node, tenant: way.tenant });
  if (bridge === undefined || link.master !== bridge.index) return walk.stop('tunnel', { what: `${name} is no port of the tenant's bridge`, show });
  walk.require(link.isUp, 'tunnel', { good: `${name} is up: ${has}`, bad: `${name} is down`, show });
  return link;
}

function describe(vni: number, port: number, local: Address | undefined): string {
  return `VNI ${vni}, UDP port ${port}, VTEP ${local === undefined ? 'none' : formatAddress(local)}`;
}

/** The VTEPs that a frame to the MAC is sent to; without a MAC, all that the device floods to. @throws EndOfWay where there are none */
export function findVteps(way: Way, device: SeenLink | undefined, mac: Mac | undefined): readonly Address[] {
  return vtepsIn(way, requireTunnel(way, device), mac);
}

/** Of the spare tunnel, which stands behind a port of the bridge for what a control plane's entries do not cover. @throws EndOfWay */
export function findSpareVteps(way: Way, port: SeenLink, mac: Mac): readonly Address[] {
  const { walk, node } = way;
  const [target] = node.redirectsOf(port.index, 'egress').map((index) => node.findLinkByIndex(index));
  const show = `tc filter show dev ${port.name} egress`;
  if (target?.vxlan === undefined) return walk.stop('tunnel', { what: `${port.name} hands what it is given to no tunnel, and drops it`, show });
  walk.require(target.isUp, 'tunnel', { good: `${port.name} hands it to the spare tunnel ${target.name}, which is up`, bad: `the spare tunnel ${target.name} is down`, show: `ip -d link show dev ${target.name}` });
  return vtepsIn(way, target, mac);
}

function vtepsIn(way: Way, link: SeenLink, mac: Mac | undefined): readonly Address[] {
  const { walk, node, packet } = way;
  if (mac !== undefined && !fitsLink(packet.size, link.mtu)) walk.stop('tunnel', { what: `${link.name} has MTU ${link.mtu} and drops ${packet.size} bytes without a word`, show: `ip link show dev ${link.name}` });
  const entries = node.tunnelEntries(link.index);
  const own = entries.filter((entry) => entry.mac === mac);
  const found = own.length > 0 ? own : entries.filter((entry) => entry.mac === floodMac);
  const vteps = found.flatMap(({ vtep }) => vtep ?? []);
  const show = `bridge fdb show dev ${link.name} | grep ${mac ?? floodMac}`;
  const told = vteps.map(say).join(', ');
  if (vteps.length === 0) return walk.stop('tunnel-fdb', { what: `${link.name} knows no VTEP for ${mac ?? 'what is for everybody'}: it is dropped`, show, fix: 'is the node of the endpoint a peer of the tenant? weft tenants' });
  const itself = vteps.find((vtep) => link.vxlan?.local !== undefined && addressesEqual(vtep, link.vxlan.local));
  if (itself !== undefined) return walk.stop('tunnel-fdb', { what: `${link.name} has ${mac ?? floodMac} at ${say(itself)}, this node's own VTEP`, show, fix: `bridge fdb del ${mac ?? floodMac} dev ${link.name} dst ${say(itself)}` });
  if (own.length === 0 && mac !== undefined) walk.note('tunnel-fdb', { what: `${link.name} does not know where ${mac} is: it goes to every VTEP of its flood list, ${told}`, show });
  else walk.ok('tunnel-fdb', { what: mac === undefined ? `${link.name} floods it to ${told}` : `${link.name} has ${mac} at VTEP ${told}${own[0]?.isExternal === true ? ' (a control plane says so)' : own[0]?.isStatic === true ? ' (static)' : ' (learned)'}`, show });
  for (const vtep of vteps) requirePeer(way, vtep);
  return vteps;
}

/** Whether what comes back from there is let in. */
function requirePeer({ walk, node, tenant: { segment } }: Way, vtep: Address): void {
  const show = `nft list set inet weft vteps${vtep.family}`;
  const isKnown = segment.peers.some((peer) => addressesEqual(peer, vtep));
  const { asks, lets } = vtepElements(segment, vtep);
  const isAccepted = node.hasElement(lets) || !node.hasElement(asks);
  if (isKnown && isAccepted) return walk.ok('tunnel-peer', { what: `${say(vtep)} is a peer of the tenant, and the guard lets its answers in`, show });
  if (!isKnown && !isAccepted) return walk.stop('tunnel-peer', { what: `${say(vtep)} is no peer of the tenant: it is not there that the tenant has a node, and the guard drops what comes from there`, show, fix: 'the entry is wrong, or the peer is missing in the configuration: weft tenants' });
  walk.note('tunnel-peer', { what: isKnown ? `${say(vtep)} is a peer of the tenant, and the guard drops its answers: it is not in its set vteps${vtep.family}` : `the guard lets ${say(vtep)} in, and the tenant does not have it for a peer`, show });
}
