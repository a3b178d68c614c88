/**
 * Bandwidth limits of an attachment, both outside of the container, which cannot take them off.
 *
 * To the container: a shaper (shaper.ts) of the host interface. From the container: what the host interface receives is sent through
 * an `ifb` device with a shaper and comes back, still as received by the host interface, to the bridge and its guard.
 * It is the scheme of the reference bandwidth plugin, with a burst that a limit can live with, and flows kept apart.
 */
import { WeftError } from '../errors/weft-error.ts';
import { addIfb, decodeLink, getLink, setLink, setNoLinkLocal } from '../netlink/link.ts';
import { isRefusal } from '../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';
import { addIngress, addRedirect, delRootQdisc } from '../netlink/qdisc.ts';
import type { AttachmentPort, RateLimit } from '../overlay/model.ts';
import { shaperName } from '../overlay/names.ts';
import type { Fault, RouteHands } from './fault.ts';
import { doomedGroup, reapLinks } from './link-removal.ts';
import type { Observation } from './observation.ts';
import { isShaped, reshape, shape } from './shaper.ts';

/** Puts the limits on a port whose host interface is there and sends nothing through a limit yet; the number is its index. @throws WeftError kernelRefused */
export function limitBandwidth(route: Netlink, port: AttachmentPort, index: number): void {
  const { ingress, egress } = port.bandwidth ?? {};
  try {
    if (ingress !== undefined) shape(route, { name: port.hostIf, index, mtu: port.mtu, limit: ingress });
    if (egress !== undefined) limitReceived(route, { shaper: shaperName(port.hostIf), index, mtu: port.mtu, egress });
  } catch (error) {
    throw withKernelNeeds(error);
  }
}

/** The refusal with what it takes to limit, where the kernel lacks something. */
export function withKernelNeeds(error: unknown): unknown {
  if (!isRefusal(error, 'ENOENT', 'EOPNOTSUPP')) return error;
  return new WeftError('kernelRefused', 'Cannot limit the bandwidth: the kernel needs sch_tbf, sch_fq_codel or sch_htb with cls_bpf, sch_ingress, cls_u32, act_mirred and ifb', { cause: error });
}

interface ReceivedLimit {
  /** Name of the `ifb` device. */
  readonly shaper: string;
  /** Of the host interface. */
  readonly index: number;
  readonly mtu: number;
  readonly egress: RateLimit;
}

/** Whatever of it is there already is used: a repair comes this way too. */
function limitReceived(route: Netlink, { shaper, index, mtu, egress }: ReceivedLimit): void {
  const shaperIndex = makeShaper(route, { name: shaper, mtu, limit: egress });
  // Where the tenant limits what its containers receive, clsact is there, which does both.
  requestTolerating(route, [addIngress(index)], 'EEXIST');
  route.request([addRedirect(index, shaperIndex)]);
}

/** The `ifb` device with its limit, made where it is missing; its number. Last it is up: one that is down is not whole. @throws NetlinkError */
export function makeShaper(route: Netlink, { name, alias, mtu, limit }: { readonly name: string; readonly alias?: string; readonly mtu: number; readonly limit: RateLimit }): number {
  requestTolerating(route, [addIfb(name)], 'EEXIST');
  const [, , read] = route.request([setNoLinkLocal(name), setLink(name, { ...(alias === undefined ? {} : { alias }) }), getLink(name)]);
  const link = read?.[0];
  if (link === undefined) throw new WeftError('internal', `The kernel did not describe ${name}`);
  const { index } = decodeLink(link);
  shape(route, { name, index, mtu, limit });
  route.request([setLink(name, { isUp: true })]);
  return index;
}

/** Names of the links that a port has beside its host interface; the rest of the limits goes with that. */
export function shapersOf(port: AttachmentPort): string[] {
  return port.bandwidth?.egress === undefined ? [] : [shaperName(port.hostIf)];
}

interface LimitView {
  /** The host interface's. */
  readonly index: number;
  readonly seen: Observation;
  /** Sends what the host interface receives, and what it sends, through the limits there are. */
  reroute(route: Netlink): void;
}

/** What is wrong with a port's limits, in words, and what makes them anew. */
export function bandwidthFaults(port: AttachmentPort, { index, seen, reroute }: LimitView): Fault<RouteHands>[] {
  const { ingress, egress } = port.bandwidth ?? {};
  const faults: Fault<RouteHands>[] = [];
  const done = 'made anew';
  if (ingress !== undefined && !isShaped(seen, index, ingress)) {
    faults.push({ what: `the limit of ${ingress.rateBits} bit/s to the container is missing`, remedy: { done, apply: ({ route }) => reshape(route, { name: port.hostIf, index, mtu: port.mtu, limit: ingress }) } });
  }
  if (egress !== undefined && !isReceivedLimited(seen, { shaper: shaperName(port.hostIf), index, egress })) {
    faults.push({ what: `the limit of ${egress.rateBits} bit/s from the container is missing`, remedy: { done, apply: ({ route }) => remakeReceived(route, port, reroute) } });
  }
  return faults;
}

function isReceivedLimited(seen: Observation, { shaper, index, egress }: { shaper: string; index: number; egress: RateLimit }): boolean {
  const link = seen.findLink(shaper);
  return link !== undefined && link.isUp && link.group !== doomedGroup && isShaped(seen, link.index, egress) && seen.redirectsOf(index).includes(link.index);
}

/** Filters name their shaper by number: where that is another one now, they go with the qdisc they stand in. */
function remakeReceived(route: Netlink, port: AttachmentPort, reroute: LimitView['reroute']): void {
  const present = route.tryRequest(shapersOf(port).map(getLink)).flatMap((read) => (Array.isArray(read) && read[0] !== undefined ? [decodeLink(read[0])] : []));
  if (present.some(({ group }) => group === doomedGroup)) reapLinks(route);
  else for (const link of present) requestTolerating(route, [delRootQdisc(link.index)], 'ENOENT', 'EINVAL');
  reroute(route);
}
