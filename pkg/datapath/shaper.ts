/**
 * A limit of a link: a token bucket, and below it a queue that keeps flows apart, so that a flow which stays under the limit does not wait
 * behind one that does not.
 *
 * Segmentation offload makes packets of 64 KiB, which at 20 Mbit/s last 26 ms: the bucket cuts what is larger than it sends in a millisecond.
 */
import { addFlowClasses, addFqCodel, fairKinds, fairParent } from '../netlink/fair-queue.ts';
import { setLink } from '../netlink/link.ts';
import { isRefusal } from '../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';
import { decodeQdisc, delRootQdisc, listQdiscs, replaceTokenBucket, type TokenBucket } from '../netlink/qdisc.ts';
import type { RateLimit } from '../overlay/model.ts';
import { findLinks } from './find-links.ts';
import type { Observation } from './observation.ts';

/** How long a packet of a flow may wait for the others of its flow. Longer queues are latency, shorter ones lose TCP its rate. */
const queueSeconds = 0.05;
/** Without a burst in the configuration: as much as passes in 25 ms, which a busy machine is late by and makes up for then; and no less than this, for small rates. */
const burstSeconds = 0.025;
const burstBytesMin = 32 * 1024;
/** What is not cut up lasts no longer than this. */
const packetSeconds = 0.001;
/** A bucket smaller than two frames, which the kernel rounds down, would drop them. */
const framesMin = 2;
/** Ethernet header and one VLAN tag. */
const frameOverheadBytes = 18;
const bytesMax = 0xffffffff;
/** Packets, as long as most are, of a flow's queue. */
const usualPacketBytes = 1500;
const queueLengths = { min: 100, max: 10_000 } as const;

/** The token bucket of a limit on a link with this MTU, bytes. Pure. */
export function tokenBucketOf({ rateBits, burstBits }: RateLimit, mtu: number): TokenBucket {
  const rate = Math.max(1, Math.floor(rateBits / 8));
  const least = framesMin * (mtu + frameOverheadBytes);
  const burst = clamp(burstBits === undefined ? Math.max(rate * burstSeconds, burstBytesMin) : burstBits / 8, least);
  return { rate: BigInt(rate), burst, limit: clamp(rate * queueSeconds + burst, burst), packetMax: Math.min(burst, clamp(rate * packetSeconds, least)) };
}

/** How many packets of one flow may wait. Pure. */
export function queueLengthOf({ rateBits }: RateLimit): number {
  return Math.min(queueLengths.max, Math.max(queueLengths.min, Math.ceil((rateBits / 8) * queueSeconds / usualPacketBytes)));
}

function clamp(bytes: number, least: number): number {
  return Math.min(bytesMax, Math.max(least, Math.ceil(bytes)));
}

/** A link that is limited, by name and number. */
export interface Limited {
  readonly name: string;
  readonly index: number;
  /** Bytes. */
  readonly mtu: number;
  readonly limit: RateLimit;
}

/** Limits what the link sends; what is there already stays, with its packets, and gets the limit's numbers. @throws NetlinkError */
export function shape(route: Netlink, { name, index, mtu, limit }: Limited): void {
  route.request([setLink(name, { queueLength: queueLengthOf(limit) }), replaceTokenBucket(index, tokenBucketOf(limit, mtu))]);
  const [outcome] = route.tryRequest([addFqCodel(index)]);
  if (Array.isArray(outcome) || (isRefusal(outcome, 'EEXIST') && isFqCodel(route, index))) return;
  if (outcome !== undefined && !isRefusal(outcome, 'ENOENT', 'EEXIST', 'EOPNOTSUPP')) throw outcome;
  requestTolerating(route, addFlowClasses(index), 'EEXIST');
}

function isFqCodel(route: Netlink, index: number): boolean {
  return route.dump(listQdiscs(index)).map(decodeQdisc).some((qdisc) => qdisc.index === index && qdisc.parent === fairParent && qdisc.kind === 'fq_codel');
}

/** More than any link sends. */
const unlimited: RateLimit = { rateBits: 1e12 };

/** Lets go at once what waits in limited links that are to be removed, and would be lost with them. Whatever is not there is left out. */
export function openShapers(route: Netlink, names: readonly string[], mtu: number): void {
  const links = names.length === 0 ? [] : findLinks(route, names).filter((link) => link !== undefined);
  if (links.length > 0) route.tryRequest(links.map(({ index }) => replaceTokenBucket(index, tokenBucketOf(unlimited, mtu))));
}

/** Takes off whatever queues the link has, and limits it. @throws NetlinkError */
export function reshape(route: Netlink, limited: Limited): void {
  requestTolerating(route, [delRootQdisc(limited.index)], 'ENOENT', 'EINVAL');
  shape(route, limited);
}

/** Whether the link is limited so, and flows are kept apart. */
export function isShaped(seen: Pick<Observation, 'qdiscsOf' | 'hasFlowFilter'>, index: number, limit: RateLimit): boolean {
  const { rate } = tokenBucketOf(limit, 0);
  const qdiscs = seen.qdiscsOf(index);
  const queue = qdiscs.find(({ parent, kind }) => parent === fairParent && fairKinds.includes(kind));
  if (queue === undefined || !qdiscs.some((qdisc) => qdisc.isRoot && qdisc.rate === rate)) return false;
  return queue.kind !== 'htb' || seen.hasFlowFilter(index);
}
