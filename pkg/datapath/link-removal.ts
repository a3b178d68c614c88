/**
 * Removing links: first they are doomed, which is quick and tells every process that they are to go, then deleted.
 *
 * Doomed links are those of one link group. Deleting a group costs the kernel one wait for its readers however many links
 * are in it, and whoever deletes it may take links along that another process has doomed: whatever is in it is to go. After
 * a crash in between, the next removal of any link, or whoever wants one of the names again, finishes it.
 */
import { delLinkGroup, setLink } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';

/** The group, "weft" in ASCII. */
export const doomedGroup = 0x77656674;

/** Puts links into the group; returns the names of those that are there. @throws NetlinkError */
export function doomLinks(route: Netlink, names: readonly string[]): string[] {
  const outcomes = route.tryRequest(names.map((name) => setLink(name, { group: doomedGroup })));
  return names.filter((_name, index) => {
    const outcome = outcomes[index];
    if (!(outcome instanceof NetlinkError)) return true;
    if (outcome.errnoCode === 'ENODEV') return false;
    throw outcome;
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
