import { decodeLink, getLink, type Link } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';

/** Reads links by name in one go; undefined for those that are not there. */
export function findLinks(route: Netlink, names: readonly string[]): (Link | undefined)[] {
  return route.tryRequest(names.map(getLink)).map((outcome) => {
    if (!(outcome instanceof NetlinkError)) return outcome[0] === undefined ? undefined : decodeLink(outcome[0]);
    if (outcome.errnoCode === 'ENODEV') return undefined;
    throw outcome;
  });
}
