/**
 * How the source opens a gate: by a frame that it sends by the relay in the machine's place, and that seems to come out of the machine's port. So the
 * gate opens in the kernel, as for the machine's own announcement, and no process of the target has to run first.
 *
 *     target: weft-sr<VNI> ─ filter: from this MAC to itself, RARP: as received by ─> the port of the machine ── guard, bridge
 *
 * No endpoint can send it: what it sends to itself stays on its node, and others do not have its MAC. On the relay only the other node is heard.
 */
import { WeftError } from '../../errors/weft-error.ts';
import { macFromBytes, type Mac } from '../../netaddr/netaddr.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import { addFrameRedirect, decodeFrameRedirect, delFrameRedirect, frameRedirectsMax, listFilters, type ListedFrameRedirect } from '../../netlink/qdisc.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import type { AttachmentPort } from '../../overlay/model.ts';
import { relayName } from '../../overlay/names.ts';
import { openingFrame } from '../announcement.ts';
import { findLinks } from '../find-links.ts';
import { isWaiting } from '../phases.ts';

const ethernetBytes = 14;

function macOf({ header }: ListedFrameRedirect): Mac {
  return macFromBytes(header.subarray(0, 6));
}

function listOpeners(route: Netlink, relay: number): ListedFrameRedirect[] {
  try {
    return route.dump(listFilters(relay)).map(decodeFrameRedirect).filter((filter) => filter !== undefined);
  } catch (error) {
    if (isRefusal(error, 'EINVAL', 'ENOENT')) return [];
    throw error;
  }
}

/** Lets the other node open the port of an attachment that waits; nothing while the relay or the port is missing. @throws NetlinkError, WeftError tryAgainLater */
export function letSourceOpen(route: Netlink, port: AttachmentPort): void {
  const [relay, host] = isWaiting(port) ? findLinks(route, [relayName(port.vni), port.hostIf]) : [];
  if (relay !== undefined && host !== undefined) ensureOpener(route, relay.index, { mac: port.mac, host: host.index });
}

function ensureOpener(route: Netlink, relay: number, { mac, host }: { readonly mac: Mac; readonly host: number }): void {
  const present = listOpeners(route, relay);
  const own = present.filter((filter) => macOf(filter) === mac);
  if (own.length === 1 && own[0]?.to === host) return;
  remove(route, relay, own);
  const taken = new Set(present.filter((filter) => !own.includes(filter)).map(({ node }) => node));
  const node = Array.from({ length: frameRedirectsMax }, (_, at) => at + 1).find((free) => !taken.has(free));
  if (node === undefined) throw new WeftError('tryAgainLater', `More than ${frameRedirectsMax} endpoints of one tenant cannot wait on a node: let some of them arrive first`);
  route.request([addFrameRedirect(relay, { header: openingFrame(mac).subarray(0, ethernetBytes), to: host, node })]);
}

/** Takes those off the relay whose MAC is none of a waiting endpoint. @throws NetlinkError */
export function removeOpeners(route: Netlink, relay: number, isWaitingFor: (mac: Mac) => boolean): void {
  remove(route, relay, listOpeners(route, relay).filter((filter) => !isWaitingFor(macOf(filter))));
}

function remove(route: Netlink, relay: number, filters: readonly ListedFrameRedirect[]): void {
  if (filters.length > 0) requestTolerating(route, filters.map(({ node }) => delFrameRedirect(relay, node)), 'ENOENT', 'EINVAL');
}
