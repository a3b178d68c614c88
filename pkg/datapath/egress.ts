/** By which link the kernel sends to an address, and who is asked for there. */
import type { Address } from '../netaddr/netaddr.ts';
import { decodeLink, getLinkByIndex, type Link } from '../netlink/link.ts';
import type { NetlinkMessage, NetlinkRequest } from '../netlink/codec.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeRoute, getRouteTo } from '../netlink/route.ts';

/** The way to an address as its route has it. */
export interface Egress {
  readonly link: Link;
  readonly nextHop: Address;
  /** False of the node's own addresses, whose link is the loopback. */
  readonly isUnicast: boolean;
  /** Bytes; where the route has one, or a router has told of it. */
  readonly mtu?: number;
}

/** Undefined where no route leads there, or its link has gone since. Equivalent to: `ip route get ADDRESS`. */
export function findEgress(route: Netlink, to: Address): Egress | undefined {
  const found = ask(route, getRouteTo(to), decodeRoute);
  const link = found?.index === undefined ? undefined : ask(route, getLinkByIndex(found.index), decodeLink);
  if (found === undefined || link === undefined) return undefined;
  return { link, nextHop: found.gateway ?? to, isUnicast: found.isUnicast, ...(found.mtu === undefined ? {} : { mtu: found.mtu }) };
}

function ask<T>(route: Netlink, request: NetlinkRequest, decode: (message: NetlinkMessage) => T): T | undefined {
  const [answer] = route.tryRequest([request]);
  return Array.isArray(answer) && answer[0] !== undefined ? decode(answer[0]) : undefined;
}
