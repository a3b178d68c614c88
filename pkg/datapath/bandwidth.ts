/**
 * Bandwidth limits of an attachment, both outside of the container, which cannot take them off.
 *
 * To the container: a token bucket on the host interface. From the container: what the host interface receives is sent through
 * an `ifb` device with a token bucket and comes back, still as received by the host interface, to the bridge and its guard.
 * It is the scheme of the reference bandwidth plugin, with a burst that a limit can live with.
 */
import { WeftError } from '../errors/weft-error.ts';
import { addIfb, decodeLink, getLink, setLink, setNoLinkLocal } from '../netlink/link.ts';
import { isRefusal } from '../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';
import { addIngress, addRedirect, delIngress, replaceTokenBucket, type TokenBucket } from '../netlink/qdisc.ts';
import type { AttachmentPort, RateLimit } from '../overlay/model.ts';
import { shaperName } from '../overlay/names.ts';
import type { Fault, RouteHands } from './fault.ts';
import { doomedGroup, reapLinks } from './link-removal.ts';
import type { Observation } from './observation.ts';

/** How long a packet may wait, as in the reference plugin: longer queues are latency, shorter ones lose TCP its rate. */
const latencySeconds = 0.025;
/** Two of the largest packets that segmentation offload makes: with less the kernel would cut each of them up. */
const burstBytesMin = 128 * 1024;
/** Without a burst in the request: as much as passes in 10 ms. */
const burstSeconds = 0.01;
const bytesMax = 0xffffffff;

/** The token bucket of a limit. Pure. */
export function tokenBucketOf({ rateBits, burstBits }: RateLimit): TokenBucket {
  const rate = BigInt(Math.max(1, Math.floor(rateBits / 8)));
  const burst = clamp(burstBits === undefined ? Number(rate) * burstSeconds : burstBits / 8, burstBits === undefined ? burstBytesMin : 1);
  return { rate, burst, limit: clamp(Number(rate) * latencySeconds + burst, burst) };
}

function clamp(bytes: number, least: number): number {
  return Math.min(bytesMax, Math.max(least, Math.ceil(bytes)));
}

/** Puts the limits on a port whose host interface is there; the number is its index. @throws WeftError kernelRefused */
export function limitBandwidth(route: Netlink, port: AttachmentPort, index: number): void {
  const { ingress, egress } = port.bandwidth ?? {};
  try {
    if (ingress !== undefined) route.request([replaceTokenBucket(index, tokenBucketOf(ingress))]);
    if (egress !== undefined) limitReceived(route, { shaper: shaperName(port.hostIf), index, egress });
  } catch (error) {
    if (!isRefusal(error, 'ENOENT', 'EOPNOTSUPP')) throw error;
    throw new WeftError('kernelRefused', 'Cannot limit the bandwidth: the kernel needs sch_tbf, sch_ingress, cls_u32, act_mirred and ifb', { cause: error });
  }
}

/** Whatever of it is there already is used: a repair comes this way too. */
function limitReceived(route: Netlink, { shaper, index, egress }: { shaper: string; index: number; egress: RateLimit }): void {
  requestTolerating(route, [addIfb(shaper)], 'EEXIST');
  const [, , read] = route.request([setNoLinkLocal(shaper), setLink(shaper, { isUp: true }), getLink(shaper)]);
  const link = read?.[0];
  if (link === undefined) throw new WeftError('internal', `The kernel did not describe ${shaper}`);
  const shaperIndex = decodeLink(link).index;
  route.request([replaceTokenBucket(shaperIndex, tokenBucketOf(egress))]);
  route.request([addIngress(index)]);
  route.request([addRedirect(index, shaperIndex)]);
}

/** Names of the links that a port has beside its host interface; the rest of the limits goes with that. */
export function shapersOf(port: AttachmentPort): string[] {
  return port.bandwidth?.egress === undefined ? [] : [shaperName(port.hostIf)];
}

/** What is wrong with a port's limits, in words, and what makes them anew. `index` is the host interface's. */
export function bandwidthFaults(port: AttachmentPort, index: number, seen: Observation): Fault<RouteHands>[] {
  const { ingress, egress } = port.bandwidth ?? {};
  const faults: Fault<RouteHands>[] = [];
  const done = 'made anew';
  if (ingress !== undefined && !hasBucket(seen, index, ingress)) {
    faults.push({ what: `the limit of ${ingress.rateBits} bit/s to the container is missing`, remedy: { done, apply: ({ route }) => limitBandwidth(route, { ...port, bandwidth: { ingress } }, index) } });
  }
  if (egress !== undefined && !isReceivedLimited(seen, { shaper: shaperName(port.hostIf), index, egress })) {
    faults.push({ what: `the limit of ${egress.rateBits} bit/s from the container is missing`, remedy: { done, apply: ({ route }) => remakeReceived(route, { ...port, bandwidth: { egress } }, index) } });
  }
  return faults;
}

function isReceivedLimited(seen: Observation, { shaper, index, egress }: { shaper: string; index: number; egress: RateLimit }): boolean {
  const link = seen.findLink(shaper);
  return link !== undefined && link.isUp && link.group !== doomedGroup && hasBucket(seen, link.index, egress) && seen.redirectsOf(index).includes(link.index);
}

function hasBucket(seen: Observation, index: number, limit: RateLimit): boolean {
  const { rate } = tokenBucketOf(limit);
  return seen.qdiscsOf(index).some((qdisc) => qdisc.isRoot && qdisc.rate === rate);
}

/** Filters name their shaper by number: where that is another one now, they go with the qdisc they stand in. */
function remakeReceived(route: Netlink, port: AttachmentPort, index: number): void {
  const [read] = route.tryRequest(shapersOf(port).map(getLink));
  if (Array.isArray(read) && read[0] !== undefined && decodeLink(read[0]).group === doomedGroup) reapLinks(route);
  requestTolerating(route, [delIngress(index)], 'ENOENT', 'EINVAL');
  limitBandwidth(route, port, index);
}
