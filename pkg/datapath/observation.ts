/**
 * The node as the kernel describes it, for comparing. Read as it is asked for, where one attachment is looked at; or all at
 * once, where the whole node is: one dump of each table then serves every segment and port.
 */
import type { Address } from '../netaddr/netaddr.ts';
import { decodeAddress, listAddresses, type LinkAddress } from '../netlink/address.ts';
import type { NetlinkMessage, NetlinkRequest } from '../netlink/codec.ts';
import { listFlowFilters } from '../netlink/fair-queue.ts';
import { decodeNeighbour, listNeighbours, type Neighbour } from '../netlink/ip-neighbour.ts';
import { decodeLink, getLink, listLinks, type Link } from '../netlink/link.ts';
import { decodeFdb, listFdb, type FdbEntry } from '../netlink/neighbour.ts';
import { isRefusal, NetlinkError } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeQdisc, decodeRedirect, listFilters, listQdiscs, type FilterPoint, type Qdisc } from '../netlink/qdisc.ts';
import { decodeRoute, getRouteTo } from '../netlink/route.ts';
import type { Kernel } from './kernel.ts';

/** What is read of the node. Numbers are indexes of links. */
export interface Observation {
  findLink(name: string): Link | undefined;
  /** Entries at a bridge port, the bridge's and its own. */
  fdbOf(index: number): readonly FdbEntry[];
  addressesOf(index: number): readonly LinkAddress[];
  qdiscsOf(index: number): readonly Qdisc[];
  /** Indexes of the links that what a link receives is redirected to; or, at egress, what it is about to send. */
  redirectsOf(index: number, point?: FilterPoint): readonly number[];
  /** Whether there is what divides flows among the classes of the link's limit (fair-queue.ts). */
  hasFlowFilter(index: number): boolean;
  /** What the link knows of the MACs of addresses. */
  neighboursOf(index: number): readonly Neighbour[];
  /** Index of the link by which the node sends to an address; undefined where it does not. */
  routeTo(address: Address): number | undefined;
  /** A sysctl below /proc/sys/net; undefined where there is none. */
  sysctl(parts: readonly string[]): string | undefined;
}

/** The kernel as it is at each question. */
export function observeNow(kernel: Pick<Kernel, 'route' | 'readSysctl'>): Observation {
  const { route } = kernel;
  return {
    findLink(name) {
      const [outcome] = route.tryRequest([getLink(name)]);
      if (outcome instanceof NetlinkError && outcome.errnoCode !== 'ENODEV') throw outcome;
      return Array.isArray(outcome) && outcome[0] !== undefined ? decodeLink(outcome[0]) : undefined;
    },
    fdbOf: (index) => described(route.dump(listFdb(index)), decodeFdb).filter((entry) => entry.index === index),
    addressesOf: (index) => described(route.dump(listAddresses(index)), decodeAddress).filter((entry) => entry.index === index),
    qdiscsOf: (index) => described(route.dump(listQdiscs(index)), decodeQdisc).filter((qdisc) => qdisc.index === index),
    redirectsOf: (index, point) => readRedirects(route, index, point),
    hasFlowFilter: (index) => readFilters(route, listFlowFilters(index)).length > 0,
    neighboursOf: (index) => described(route.dump(listNeighbours(index)), decodeNeighbour).filter((neighbour) => neighbour.index === index),
    routeTo: (address) => routeTo(route, address),
    sysctl: (parts) => kernel.readSysctl(parts),
  };
}

/** The kernel as it was at the first question about each of its tables; filters, sysctls and the routing as they are. */
export function observeOnce(kernel: Pick<Kernel, 'route' | 'readSysctl'>): Observation {
  const { route } = kernel;
  const links = once(() => new Map(described(route.dump(listLinks()), decodeLink).map((link) => [link.name, link])));
  const fdb = once(() => byIndex(described(route.dump(listFdb()), decodeFdb)));
  const addresses = once(() => byIndex(described(route.dump(listAddresses()), decodeAddress)));
  const neighbours = once(() => byIndex(described(route.dump(listNeighbours()), decodeNeighbour)));
  const qdiscs = once(() => byIndex(described(route.dump(listQdiscs()), decodeQdisc)));
  return {
    findLink: (name) => links().get(name),
    fdbOf: (index) => fdb().get(index) ?? [],
    addressesOf: (index) => addresses().get(index) ?? [],
    qdiscsOf: (index) => qdiscs().get(index) ?? [],
    redirectsOf: (index, point) => readRedirects(route, index, point),
    hasFlowFilter: (index) => readFilters(route, listFlowFilters(index)).length > 0,
    neighboursOf: (index) => neighbours().get(index) ?? [],
    routeTo: (address) => routeTo(route, address),
    sysctl: (parts) => kernel.readSysctl(parts),
  };
}

function described<T>(messages: readonly NetlinkMessage[], decode: (message: NetlinkMessage) => T | undefined): T[] {
  return messages.map(decode).filter((item) => item !== undefined);
}

function byIndex<T extends { readonly index: number }>(items: readonly T[]): Map<number, T[]> {
  const map = new Map<number, T[]>();
  for (const item of items) {
    const list = map.get(item.index);
    if (list === undefined) map.set(item.index, [item]);
    else list.push(item);
  }
  return map;
}

function once<T>(read: () => T): () => T {
  let kept: { readonly value: T } | undefined;
  return () => (kept ??= { value: read() }).value;
}

function routeTo(route: Netlink, address: Address): number | undefined {
  const [outcome] = route.tryRequest([getRouteTo(address)]);
  const found = Array.isArray(outcome) && outcome[0] !== undefined ? decodeRoute(outcome[0]) : undefined;
  return found?.isUnicast === true ? found.index : undefined;
}

function readRedirects(route: Netlink, index: number, point?: FilterPoint): number[] {
  return described(readFilters(route, listFilters(index, point)), decodeRedirect);
}

/** A link without the qdisc has no filters. */
function readFilters(route: Netlink, list: NetlinkRequest): NetlinkMessage[] {
  try {
    return route.dump(list);
  } catch (error) {
    if (isRefusal(error, 'EINVAL', 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}
