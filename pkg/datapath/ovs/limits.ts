/**
 * Bandwidth limits of a port on Open vSwitch.
 *
 * The kernel's datapath takes frames behind the host interface's qdiscs, so the limits are those of every datapath. The userspace datapath
 * takes them before: what a container sends passes no qdisc of the host's (nor Open vSwitch's own policing, which is one). There the limit stands
 * on the container's own interface, from which a container with CAP_NET_ADMIN can take it off until the next pass over the node.
 */
import { decodeQdisc, listQdiscs, replaceTokenBucket } from '../../netlink/qdisc.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import type { AttachmentPort } from '../../overlay/model.ts';
import { tokenBucketOf } from '../bandwidth.ts';
import type { Fault, RouteHands } from '../fault.ts';
import { findLinks } from '../find-links.ts';
import type { NetlinkRequest } from '../../netlink/codec.ts';

/** The port with the limits that stand on its host interface. */
export function limitedOnHost(port: AttachmentPort, isUserspace: boolean): AttachmentPort {
  const { bandwidth, ...rest } = port;
  if (!isUserspace || bandwidth?.egress === undefined) return port;
  return { ...rest, ...(bandwidth.ingress === undefined ? {} : { bandwidth: { ingress: bandwidth.ingress } }) };
}

/** The limit that stands on the container's interface, whose index is given; none where it stands on the host's. */
export function limitInside({ bandwidth }: AttachmentPort, { index, isUserspace }: { readonly index: number; readonly isUserspace: boolean }): NetlinkRequest[] {
  return isUserspace && bandwidth?.egress !== undefined ? [replaceTokenBucket(index, tokenBucketOf(bandwidth.egress))] : [];
}

/** What is wrong with the limit inside the container; `route` is a socket of its namespace. */
export function insideLimitFaults(route: Netlink, port: AttachmentPort, isUserspace: boolean): Fault<RouteHands>[] {
  const { egress } = port.bandwidth ?? {};
  const [link] = findLinks(route, [port.containerIf]);
  if (!isUserspace || egress === undefined || link === undefined) return [];
  const { rate } = tokenBucketOf(egress);
  const isThere = route.dump(listQdiscs(link.index)).map(decodeQdisc).some((qdisc) => qdisc.index === link.index && qdisc.isRoot && qdisc.rate === rate);
  if (isThere) return [];
  return [{
    what: `the limit of ${egress.rateBits} bit/s from the container is missing`,
    remedy: { done: 'made anew', apply: (hands) => void hands.route.request(limitInside(port, { index: link.index, isUserspace })) },
  }];
}
