/**
 * Where the tunnel ends on this node, and what it runs over: the VTEP's address, and the links and routes by which the other VTEPs are reached.
 *
 * Of each peer's route all next hops count, since the kernel spreads a tenant's flows over them, and the route's own `mtu` metric. What the
 * kernel has learned of a path (a PMTU exception, from an ICMP message that may be anybody's and is forgotten after ten minutes) does not: the
 * VXLAN device answers with it by itself, and a path that stays narrow is for whoever probes it to say (PathKnowledge).
 */
import { WeftError } from '../errors/weft-error.ts';
import { addressesEqual, formatAddress, type Address } from '../netaddr/netaddr.ts';
import { decodeAddress, listAddresses, type LinkAddress } from '../netlink/address.ts';
import { decodeLink, getLink, getLinkByIndex, type Link } from '../netlink/link.ts';
import { isRefusal, NetlinkError } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeRoute, getRouteTo, listRoutes, matchRouteTo, type KernelRoute } from '../netlink/route.ts';

/** What the configuration says of the VTEP: either, both or nothing. */
export interface VtepSettings {
  readonly interface?: string;
  readonly address?: Address;
}

/** What the tunnel runs over. */
export interface Underlay {
  readonly vtepAddress: Address;
  /** Bytes; the largest packet that the links and routes to all of the peers take. */
  readonly mtu: number;
  /** Bytes; of the links themselves, the largest where they differ: what a tunnel device gets, so that the kernel answers what is too large for the rest. */
  readonly linkMtu: number;
  /** What mtu is of, in words: `the MTU of eth0`, `the mtu of the route to 192.0.2.2`. */
  readonly limit: string;
  /** The links that it was found by. */
  readonly links: readonly UnderlayLink[];
}

export interface UnderlayLink {
  readonly index: number;
  readonly name: string;
  /** Bytes. */
  readonly mtu: number;
}

/** Finds the underlay as findUnderlay() does, or remembers it. */
export type UnderlayFinder = (settings: VtepSettings, family?: Address['family'], peers?: readonly Address[]) => Underlay;

/**
 * Finds the VTEP: the address as configured, else the interface's first global one, else that of the default route's interface.
 * `family`, where given, is the peers' and decides between an interface's IPv4 and IPv6 addresses. Without peers that are reached by a link, the
 * VTEP's own link counts.
 * @throws WeftError invalidConfiguration when there is no such interface, address or default route
 */
export function findUnderlay(route: Netlink, settings: VtepSettings, family?: Address['family'], peers: readonly Address[] = []): Underlay {
  const vtep = findVtep(route, settings, family);
  const ways = waysTo(route, peers.filter((peer) => peer.family === vtep.address.family), vtep.address);
  const links = readLinks(route, vtep.link, new Set(ways.flatMap((way) => way.indexes)));
  return { vtepAddress: vtep.address, ...narrowest(ways, links, vtep.link), links: [...links.values()] };
}

interface Vtep {
  readonly address: Address;
  readonly link: UnderlayLink;
}

function findVtep(route: Netlink, settings: VtepSettings, family: Address['family'] | undefined): Vtep {
  if (settings.address !== undefined) return vtepOfAddress(route, settings.address, settings.interface);
  const link = settings.interface === undefined ? defaultRouteLink(route, family) : requireLink(route, settings.interface);
  return { address: firstAddress(route, link, family), link };
}

/** A route to a peer. */
interface Way {
  readonly peer: Address;
  /** Of its links. */
  readonly indexes: readonly number[];
  /** Bytes; its own. */
  readonly mtu?: number;
}

/** All at once. Of a peer that no route leads to nothing is known. */
function waysTo(route: Netlink, peers: readonly Address[], source: Address): Way[] {
  const matched = ask(route, peers.map((peer) => matchRouteTo(peer, source)));
  // Of next hops that are objects of their own the kernel may show nothing here (net.ipv4.nexthop_compat_mode); a look-up shows one of them.
  const missed = peers.filter((_peer, at) => indexesOf(matched[at]).length === 0 && matched[at]?.isUnicast === true);
  const looked = new Map(ask(route, missed.map(getRouteTo)).map((found, at) => [missed[at], found]));
  return peers.flatMap((peer, at) => {
    const found = matched[at];
    if (found?.isUnicast !== true) return [];
    const indexes = indexesOf(found);
    return [{ peer, indexes: indexes.length > 0 ? indexes : indexesOf(looked.get(peer)), ...(found.mtu === undefined ? {} : { mtu: found.mtu }) }];
  });
}

function ask(route: Netlink, requests: Parameters<Netlink['tryRequest']>[0]): (KernelRoute | undefined)[] {
  if (requests.length === 0) return [];
  return route.tryRequest(requests).map((outcome) => (outcome instanceof NetlinkError || outcome[0] === undefined ? undefined : decodeRoute(outcome[0])));
}

function indexesOf(found: KernelRoute | undefined): readonly number[] {
  return found?.nextHops ?? (found?.index === undefined ? [] : [found.index]);
}

/** By index; the VTEP's own has been read before. */
function readLinks(route: Netlink, own: UnderlayLink, indexes: ReadonlySet<number>): ReadonlyMap<number, UnderlayLink> {
  const others = [...indexes].filter((index) => index !== own.index);
  const outcomes = others.length === 0 ? [] : route.tryRequest(others.map(getLinkByIndex));
  const found = outcomes.flatMap((outcome) => (outcome instanceof NetlinkError || outcome[0] === undefined ? [] : [decodeLink(outcome[0])]));
  return new Map([own, ...found].map(({ index, name, mtu }) => [index, { index, name, mtu }]));
}

function narrowest(ways: readonly Way[], links: ReadonlyMap<number, UnderlayLink>, own: UnderlayLink): Pick<Underlay, 'mtu' | 'linkMtu' | 'limit'> {
  const used = [...new Set(ways.flatMap((way) => way.indexes))].flatMap((index) => links.get(index) ?? []);
  const carriers = used.length > 0 ? used : [own];
  const limits = [
    ...carriers.map(({ name, mtu }) => ({ mtu, limit: `the MTU of ${name}` })),
    ...ways.flatMap(({ peer, mtu }) => (mtu === undefined ? [] : [{ mtu, limit: `the mtu of the route to ${formatAddress(peer)}` }])),
  ];
  return { ...limits.reduce((least, one) => (one.mtu < least.mtu ? one : least)), linkMtu: Math.max(...carriers.map(({ mtu }) => mtu)) };
}

function vtepOfAddress(route: Netlink, address: Address, name: string | undefined): Vtep {
  const holder = globalAddresses(route, 0).find((entry) => addressesEqual(entry.address.address, address));
  if (holder === undefined) {
    throw new WeftError('invalidConfiguration', `vtep.address must be an address of this node: no interface has ${formatAddress(address)}`);
  }
  const link = readLink(route, holder.index);
  if (name !== undefined && link.name !== name) {
    throw new WeftError('invalidConfiguration', `vtep.address must be on vtep.interface: ${formatAddress(address)} is on ${link.name}, not on ${name}`);
  }
  return { address, link };
}

/** Whether the link has, or may have, an address by which others can be reached. */
export function hasGlobalAddress(route: Netlink, index: number): boolean {
  try {
    return globalAddresses(route, index).length > 0;
  } catch (error) {
    if (error instanceof NetlinkError) return true;
    throw error;
  }
}

function globalAddresses(route: Netlink, index: number): LinkAddress[] {
  const entries = route.dump(listAddresses(index)).map(decodeAddress);
  return entries.filter((entry) => entry !== undefined && entry.scope === 'global' && (index === 0 || entry.index === index)) as LinkAddress[];
}

function firstAddress(route: Netlink, link: Link, family: Address['family'] | undefined): Address {
  const addresses = globalAddresses(route, link.index).map((entry) => entry.address.address);
  const found = family === undefined ? (addresses.find((address) => address.family === 4) ?? addresses[0]) : addresses.find((address) => address.family === family);
  if (found !== undefined) return found;
  const kind = family === undefined ? '' : `IPv${family} `;
  throw new WeftError('invalidConfiguration', `vtep.interface must have a global ${kind}address: ${link.name} has none`, {
    details: 'give the interface an address, or name another one in vtep.interface or vtep.address',
  });
}

function requireLink(route: Netlink, name: string): Link {
  try {
    const message = route.request([getLink(name)])[0]?.[0];
    if (message !== undefined) return decodeLink(message);
  } catch (error) {
    if (!isRefusal(error, 'ENODEV')) throw error;
  }
  throw new WeftError('invalidConfiguration', `vtep.interface must be an interface of this node: there is no ${name}`);
}

function readLink(route: Netlink, index: number): Link {
  const message = route.request([getLinkByIndex(index)])[0]?.[0];
  if (message === undefined) throw new WeftError('internal', `The kernel did not describe link number ${index}`);
  return decodeLink(message);
}

function defaultRouteLink(route: Netlink, family: Address['family'] | undefined): Link {
  for (const candidate of family === undefined ? ([4, 6] as const) : [family]) {
    const routes = route.dump(listRoutes(candidate)).map(decodeRoute).filter((entry) => entry?.dst.length === 0 && entry.isUnicast && entry.index !== undefined);
    const best = routes.sort((a, b) => (a?.priority ?? 0) - (b?.priority ?? 0))[0];
    if (best?.index !== undefined) return readLink(route, best.index);
  }
  throw new WeftError('invalidConfiguration', 'The VTEP is not known: set vtep.interface or vtep.address, since this node has no default route');
}
