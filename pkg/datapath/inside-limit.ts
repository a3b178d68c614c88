/**
 * The limit of what a container sends where it cannot stand on the host's side: on the container's own interface, from which a container with
 * CAP_NET_ADMIN can take it off until the next pass over the node.
 *
 * - Open vSwitch's userspace datapath takes frames before the host interface's qdiscs (and has no other policing than one of these).
 * - Where the tenant has a limit of what all its containers send, the host interface's frames go through that; the kernel sends a packet through one
 *   `ifb` device and no second one (drivers/net/ifb.c, tc_skip_classify). The tenant's stays out of the container's reach.
 */
import { decodeQdisc, listQdiscs } from '../netlink/qdisc.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import { findLinks } from './find-links.ts';
import type { Fault, RouteHands } from './fault.ts';
import { reshape, shape, tokenBucketOf } from './shaper.ts';

/** Whether the limits of what the segment's containers send stand inside them. */
export function standsInside({ bandwidth }: Pick<Segment, 'bandwidth'>, isUserspace = false): boolean {
  return isUserspace || bandwidth?.egress !== undefined;
}

/** The port with the limits that stand on its host interface. */
export function limitedOnHost(port: AttachmentPort, isInside: boolean): AttachmentPort {
  const { bandwidth, ...rest } = port;
  if (!isInside || bandwidth?.egress === undefined) return port;
  return { ...rest, ...(bandwidth.ingress === undefined ? {} : { bandwidth: { ingress: bandwidth.ingress } }) };
}

/** Limits the container's interface, whose number in its namespace is given; `route` is a socket of that. @throws NetlinkError */
export function limitInside(route: Netlink, { containerIf: name, mtu, bandwidth }: AttachmentPort, index: number): void {
  if (bandwidth?.egress !== undefined) shape(route, { name, index, mtu, limit: bandwidth.egress });
}

/** What is wrong with the limit inside the container; `route` is a socket of its namespace. */
export function insideLimitFaults(route: Netlink, port: AttachmentPort, isInside: boolean): Fault<RouteHands>[] {
  const { mtu, containerIf: name, bandwidth: { egress } = {} } = port;
  if (!isInside || egress === undefined) return [];
  const [link] = findLinks(route, [name]);
  if (link === undefined) return [];
  const { index } = link;
  const { rate } = tokenBucketOf(egress, mtu);
  const isThere = route.dump(listQdiscs(index)).map(decodeQdisc).some((qdisc) => qdisc.index === index && qdisc.isRoot && qdisc.rate === rate);
  if (isThere) return [];
  return [{
    what: `the limit of ${egress.rateBits} bit/s from the container is missing`,
    remedy: { done: 'made anew', apply: (hands) => reshape(hands.route, { name, index, mtu, limit: egress }) },
  }];
}
