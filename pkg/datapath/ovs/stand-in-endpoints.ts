/**
 * The node's own endpoints in a tenant's stand-in: a static entry for the MAC and a permanent neighbour for each address, which zebra reads and
 * bgpd announces.
 */
import { formatAddress, type Mac } from '../../netaddr/netaddr.ts';
import { tolerating, type NetlinkRequest } from '../../netlink/codec.ts';
import { decodeNeighbour, delNeighbour, getNeighbour, listNeighbours, putNeighbour, type Neighbour } from '../../netlink/ip-neighbour.ts';
import { decodeLink, listLinks, type Link } from '../../netlink/link.ts';
import { decodeFdb, delPortFdb, listFdb, replacePortFdb } from '../../netlink/neighbour.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { isSegmentName, standInBridgeName, standInBridgePrefix, standInPortName, standInPortPrefix, standInVxlanPrefix } from '../../overlay/names.ts';
import { hasStandIn } from '../../overlay/spare.ts';
import type { KnownState } from '../datapath.ts';
import { findLinks } from '../find-links.ts';
import type { Kernel } from '../kernel.ts';
import type { SwitchPort } from './switch/rows.ts';
import { isClosed } from '../phases.ts';
import { isEndpointOf } from './rows.ts';
import { findStandIn, standInNames, type StandIn } from './stand-in-links.ts';

/** What writes an endpoint into the stand-in. */
export function endpointSettings({ bridge, port }: StandIn, { mac, addresses }: AttachmentPort): NetlinkRequest[] {
  return [replacePortFdb(port.index, mac), ...addresses.map(({ address }) => putNeighbour(bridge.index, { address, mac }))];
}

/**
 * Takes an endpoint's entries away within the call, whichever of them are there; the segment, where it is known, tells whether there are any.
 * They do not say which container they are of. A DEL that comes late must not take a successor's, whose MAC another port of the switch then has.
 */
export function forgetEndpoint(kernel: Kernel, { hostIf, vni, mac, addresses }: AttachmentPort, { segment, ports }: { readonly segment: Segment | undefined; readonly ports: ReadonlyMap<string, SwitchPort> }): void {
  if (segment !== undefined && !hasStandIn(segment)) return;
  const { route } = kernel;
  // Whatever else of it is missing, these may have entries, which would be announced when the rest is made anew.
  const [bridge, port] = findLinks(route, [standInBridgeName(vni), standInPortName(vni)]);
  if (bridge?.kind !== 'bridge' || port?.kind !== 'ifb' || [...ports].some(([name, other]) => name !== hostIf && isEndpointOf(other, { vni, mac }))) return;
  const answers = route.request(addresses.map(({ address }) => tolerating(getNeighbour(bridge.index, address), 'ENOENT')));
  const own = addresses.filter((_address, index) => isLocal(answers[index]?.map(decodeNeighbour)[0], mac));
  removeEntries(route, [delPortFdb(port.index, mac), ...own.map(({ address }) => delNeighbour(bridge.index, address))]);
}

/** Whichever are there; a link that is no port of its bridge has none. */
function removeEntries(route: Netlink, removals: readonly NetlinkRequest[]): void {
  requestTolerating(route, removals, 'ENOENT', 'EOPNOTSUPP');
}

/** zebra's are not permanent, and a control plane's. */
function isLocal(neighbour: Neighbour | undefined, mac?: Mac): neighbour is Neighbour {
  return neighbour !== undefined && neighbour.isPermanent && !neighbour.isExternal && (mac === undefined || neighbour.mac === mac);
}

/** weft's stand-ins by kind and by the form of their names. */
function isOwn({ kind, name }: Link): boolean {
  const prefixes: Readonly<Record<string, string>> = { bridge: standInBridgePrefix, vxlan: standInVxlanPrefix, ifb: standInPortPrefix };
  const prefix = prefixes[kind ?? ''];
  return prefix !== undefined && isSegmentName(name, prefix);
}

/** Removes stand-ins of no segment, and from the others the entries of no port. What is garbage is found, and doomed, within the call. @returns what went, in words */
export async function collectStandIns(kernel: Kernel, known: KnownState): Promise<string[]> {
  const needed = new Set(known.segments.flatMap(standInNames));
  const links = kernel.route.dump(listLinks()).map(decodeLink).filter((link) => isOwn(link) && !needed.has(link.name));
  const gone = kernel.removeLinks(links.map(({ name }) => name));
  const entries = known.segments.filter(hasStandIn).flatMap((segment) => collectEntries(kernel.route, segment, known.ports.filter((port) => port.vni === segment.vni && !isClosed(port))));
  await gone;
  return [...links.map(({ kind, name }) => `${kind} ${name}`), ...entries];
}

function collectEntries(route: Netlink, { vni }: Segment, ports: readonly AttachmentPort[]): string[] {
  const standIn = findStandIn(route, vni);
  if (standIn === undefined) return [];
  const { bridge, port } = standIn;
  const macs = new Set([port.mac, ...ports.map(({ mac }) => mac)]);
  const addresses = new Set(ports.flatMap((one) => one.addresses.map(({ address }) => formatAddress(address))));
  const entries = route.dump(listFdb(port.index)).map(decodeFdb).filter((entry) => entry !== undefined)
    .filter(({ index, master, isStatic, mac }) => index === port.index && master === bridge.index && isStatic && !macs.has(mac));
  const neighbours = route.dump(listNeighbours(bridge.index)).map(decodeNeighbour).filter((neighbour) => isLocal(neighbour) && neighbour.index === bridge.index && !addresses.has(formatAddress(neighbour.address))) as Neighbour[];
  const removals = [...entries.map(({ mac }) => delPortFdb(port.index, mac)), ...neighbours.map(({ address }) => delNeighbour(bridge.index, address))];
  if (removals.length === 0) return [];
  removeEntries(route, removals);
  return [`${removals.length} entries of the stand-in ${bridge.name}`];
}
