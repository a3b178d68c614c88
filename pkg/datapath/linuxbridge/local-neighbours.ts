/**
 * The addresses of local containers as neighbours of their tenant's bridge, where a control plane is to tell of them.
 *
 * FRR's zebra announces MAC and address together (RFC 7432 §7.2) only for addresses that the bridge device has as neighbours; and the bridge
 * does not send a request for one into the tunnel, for it knows that somebody here will answer (br_arp_nd_proxy.c). For that the containers'
 * ports must **not** have neigh_suppress themselves: what comes from such a port is not looked at, and goes everywhere.
 */
import { addressesEqual, formatAddress, type Address } from '../../netaddr/netaddr.ts';
import { tolerating, type NetlinkMessage, type NetlinkRequest } from '../../netlink/codec.ts';
import { decodeNeighbour, delNeighbour, getNeighbour, listNeighbours, putExternalNeighbour, putNeighbour, type Neighbour } from '../../netlink/ip-neighbour.ts';
import { decodeLink, getLink, type Link } from '../../netlink/link.ts';
import { decodeFdb, getBridgeFdb } from '../../netlink/neighbour.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import { hasSpare } from '../../overlay/spare.ts';
import type { KnownState } from '../datapath.ts';
import type { Exchanges } from '../exchange.ts';
import { findLinks } from '../find-links.ts';
import type { PortFault } from '../host-end-faults.ts';
import { isClosed } from '../phases.ts';
import type { Observation } from '../observation.ts';

/** An attachment in its segment. */
interface LocalEndpoint {
  readonly segment: Segment;
  readonly port: AttachmentPort;
}

/** What tells the bridge of a port's addresses; nothing for a segment without a control plane. */
export function neighbourSettings({ segment, port: { addresses, mac } }: LocalEndpoint, bridge: number): NetlinkRequest[] {
  return hasSpare(segment) ? addresses.map(({ address }) => putNeighbour(bridge, { address, mac })) : [];
}

/** What is wrong with the neighbours of a port whose bridge is there. */
export function neighbourFaults({ segment, port }: LocalEndpoint, bridge: Link | undefined, seen: Observation): PortFault[] {
  if (!hasSpare(segment) || bridge === undefined || port.addresses.length === 0) return [];
  const present = seen.neighboursOf(bridge.index);
  if (isClosed(port)) return elsewhereFaults(port, bridge, present);
  return port.addresses.flatMap(({ address }): PortFault[] => {
    if (present.some((neighbour) => isLocal(neighbour) && neighbour.mac === port.mac && addressesEqual(neighbour.address, address))) return [];
    return [{
      what: `${bridge.name} does not know that ${formatAddress(address)} has MAC ${port.mac}`,
      remedy: { done: 'told again', apply: ({ route }) => void route.request([putNeighbour(bridge.index, { address, mac: port.mac })]) },
    }];
  });
}

/** Of an endpoint that is on another node, the bridge must not tell a control plane that it is here. */
function elsewhereFaults({ addresses, mac }: AttachmentPort, bridge: Link, present: readonly Neighbour[]): PortFault[] {
  const wrong = addresses.filter(({ address }) => present.some((neighbour) => isLocal(neighbour) && neighbour.mac === mac && addressesEqual(neighbour.address, address)));
  return wrong.map(({ address }) => ({
    what: `${bridge.name} says that ${formatAddress(address)} is here, and it is on another node`,
    remedy: { done: 'told', apply: ({ route }) => void route.request([putExternalNeighbour(bridge.index, { address, mac })]) },
  }));
}

/** zebra's are not permanent, and a control plane's. */
function isLocal({ isPermanent, isExternal }: Neighbour): boolean {
  return isPermanent && !isExternal;
}

/**
 * Takes a port's neighbours away, whichever of them are there; the segment, where it is known, tells whether there are any to look for.
 *
 * An address is named by nothing but itself, and may be a successor's by now. While the old attachment's row is in the ledger nobody is given its
 * address or MAC; for a DEL that comes later the entry says itself whose it is: it has another MAC, or is a control plane's, or its MAC is
 * written down at another port of the bridge.
 */
export function* forgetNeighbours(port: AttachmentPort, segment: Segment | undefined): Exchanges<void> {
  if (port.addresses.length === 0 || port.datapath === 'ovs' || (segment !== undefined && !hasSpare(segment))) return;
  const [bridge, host, vxlan] = (yield { requests: [bridgeName(port.vni), port.hostIf, vxlanName(port.vni)].map((name) => tolerating(getLink(name), 'ENODEV')) }).map(linkOf);
  if (bridge?.kind !== 'bridge') return;
  const addresses = port.addresses.map(({ address }) => address);
  const [entry, ...answers] = yield { requests: [tolerating(getBridgeFdb(bridge.index, port.mac), 'ENOENT'), ...addresses.map((address) => tolerating(getNeighbour(bridge.index, address), 'ENOENT'))] };
  if (isSuccessors(entry?.[0], [host, vxlan])) return;
  const own = addresses.filter((_address, index) => isOfMac(answers[index]?.[0], port));
  if (own.length > 0) yield { requests: own.map((address) => tolerating(delNeighbour(bridge.index, address), 'ENOENT')) };
}

function linkOf([message]: readonly NetlinkMessage[]): Link | undefined {
  return message === undefined ? undefined : decodeLink(message);
}

/** Whether the bridge has the MAC where only attachPort() writes it, and not at the port itself. That zebra had it before stays written in the entry. */
function isSuccessors(message: NetlinkMessage | undefined, others: readonly (Link | undefined)[]): boolean {
  const entry = message === undefined ? undefined : decodeFdb(message);
  return entry !== undefined && entry.isStatic && !others.some((link) => link?.index === entry.index);
}

function isOfMac(message: NetlinkMessage | undefined, { mac }: AttachmentPort): boolean {
  const neighbour = message === undefined ? undefined : decodeNeighbour(message);
  return neighbour !== undefined && isLocal(neighbour) && neighbour.mac === mac;
}

/** Takes away what is no port's, where bridges have a control plane; what went, in words. */
export function collectNeighbours(route: Netlink, { segments, ports }: KnownState): string[] {
  return segments.filter(hasSpare).flatMap((segment) => {
    const [bridge] = findLinks(route, [bridgeName(segment.vni)]);
    if (bridge === undefined) return [];
    const known = new Set(ports.filter(({ vni }) => vni === segment.vni).flatMap(({ addresses }) => addresses.map(({ address }) => formatAddress(address))));
    const garbage = localNeighbours(route, bridge.index).filter((address) => !known.has(formatAddress(address)));
    if (garbage.length === 0) return [];
    requestTolerating(route, garbage.map((address) => delNeighbour(bridge.index, address)), 'ENOENT');
    return [`${garbage.length} neighbours of ${bridge.name}`];
  });
}

function localNeighbours(route: Netlink, index: number): Address[] {
  return route.dump(listNeighbours(index)).map(decodeNeighbour).filter((neighbour) => neighbour?.index === index && isLocal(neighbour)).map((neighbour) => (neighbour as Neighbour).address);
}
