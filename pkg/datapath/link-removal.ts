/**
 * Removing links: first they are doomed, which is quick and tells every process that they are to go, then deleted.
 *
 * Doomed links are those of one link group. Deleting a group costs the kernel one wait for its readers however many links
 * are in it, and whoever deletes it may take links along that another process has doomed: whatever is in it is to go. After
 * a crash in between, the next removal of any link, or whoever wants one of the names again, finishes it.
 */
import { delLinkGroup, getLink, linkIndexOf, setLink } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';

/** The group, "weft" in ASCII. */
export const doomedGroup = 0x77656674;

/** A link that is to go. Another may have its name afterwards, and never its index. */
export interface DoomedLink {
  readonly name: string;
  readonly index: number;
}

/** Puts links into the group; returns those that are there. @throws NetlinkError */
export function doomLinks(route: Netlink, names: readonly string[]): DoomedLink[] {
  const outcomes = route.tryRequest(names.flatMap((name) => [setLink(name, { group: doomedGroup }), getLink(name)]));
  return names.flatMap((name, position) => {
    const [doomed, read] = [outcomes[2 * position], outcomes[2 * position + 1]];
    for (const outcome of [doomed, read]) if (outcome instanceof NetlinkError && outcome.errnoCode !== 'ENODEV') throw outcome;
    const message = Array.isArray(read) ? read[0] : undefined;
    return doomed instanceof NetlinkError || message === undefined ? [] : [{ name, index: linkIndexOf(message) }];
  });
}

/** Deletes what is doomed, and waits for it: 15 to 50 ms inside the call. @throws NetlinkError */
export function reapLinks(route: Netlink): void {
  requestTolerating(route, [delLinkGroup(doomedGroup)], 'ENODEV');
}

/** Removes links within the call; for a process that serves one call. @throws NetlinkError */
export function removeLinksNow(route: Netlink, names: readonly string[]): Promise<void> {
  if (doomLinks(route, names).length > 0) reapLinks(route);
  return Promise.resolve();
}
