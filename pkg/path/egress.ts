/** What this node's own interfaces say of a path. */
import type { Address } from '../netaddr/netaddr.ts';
import { decodeLink, getLinkByIndex } from '../netlink/link.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeRoute, getRouteTo } from '../netlink/route.ts';
import { packetBytesMax } from './message.ts';

/** How packets to a peer leave this node. */
export interface Egress {
  readonly linkIndex: number;
  /** Of the link, bytes. */
  readonly mtuBytes: number;
  readonly gateway?: Address;
}

/** Asks the kernel; undefined where no route leads to the peer, or where it is on this very node. */
export function findEgress(route: Netlink, peer: Address): Egress | undefined {
  const [answer] = route.tryRequest([getRouteTo(peer)]);
  const found = Array.isArray(answer) && answer[0] !== undefined ? decodeRoute(answer[0]) : undefined;
  if (found?.index === undefined || !found.isUnicast) return undefined;
  const [link] = route.tryRequest([getLinkByIndex(found.index)]);
  if (!Array.isArray(link) || link[0] === undefined) return undefined;
  const mtuBytes = Math.min(decodeLink(link[0]).mtu, packetBytesMax);
  return { linkIndex: found.index, mtuBytes, ...(found.gateway === undefined ? {} : { gateway: found.gateway }) };
}
