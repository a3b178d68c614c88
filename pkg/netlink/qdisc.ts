/** Queueing disciplines and the one filter weft needs: the requests of `tc`. Pure. */
import { attribute, attributeNested, attributeString, attributeU32, decodeAttributes, decodeString, type Attributes, type NetlinkMessage, type NetlinkRequest } from './codec.ts';
import { createExclusive } from './link.ts';

const createReplace = 0x400 | 0x100;
// include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h, tc_act/tc_mirred.h
const rtmNewQdisc = 36;
const rtmDelQdisc = 37;
const rtmGetQdisc = 38;
const rtmNewFilter = 44;
const rtmDelFilter = 45;
const rtmGetFilter = 46;
const tca = { kind: 1, options: 2 } as const;
const tbf = { parms: 1, rate64: 4, peakRate64: 5, burst: 6, peakBurst: 7 } as const;
const u32 = { sel: 5, act: 7 } as const;
const mirredParms = 2;
/** struct tc_mirred, whose last member is the link. */
const mirredBytes = 28;
const headerBytes = 20;
const parentRoot = 0xffffffff;
const parentIngress = 0xfffffff1;
const ingressHandle = 0xffff0000;
/** TC_H_CLSACT with TC_H_MIN_INGRESS, which the qdisc ingress takes as well, and TC_H_MIN_EGRESS. */
const pointIngress = 0xfffffff2;
const pointEgress = 0xfffffff3;
/** Where a filter sees packets: as the link receives them (of either qdisc), or as they are about to be sent (of clsact). */
export type FilterPoint = 'ingress' | 'egress';
const filterParents: Readonly<Record<FilterPoint, number>> = { ingress: pointIngress, egress: pointEgress };
/** The hash table of u32 filters that the kernel makes by itself, TC_U32_ROOT >> 1 (net/sched/cls_u32.c). */
const firstHashTable = 0x80000000;
/** struct tc_u32_sel without its keys, and struct tc_u32_key. */
const selectorBytes = 16;
const keyBytes = 16;
const headerEthernetBytes = 14;
/** Of ARP and RARP, what they begin with (RFC 826). */
const ethernetHardware = Uint8Array.of(0, 1);
/** TC_LINKLAYER_ETHERNET: with it the kernel computes transmission times and wants no table of them. */
const linkLayerEthernet = 1;
const rateMax32 = 0xffffffff;
/** Of a bucket that cuts packets up, bytes per second: 1 Tbit/s, at which nobody waits. */
const peakRate = 125_000_000_000n;
/** `1:`, by which what is below a bucket names it. */
export const bucketHandle = 0x1_0000;

/** A token bucket. */
export interface TokenBucket {
  /** Bytes per second. */
  readonly rate: bigint;
  /** Bytes that may be sent at once. */
  readonly burst: number;
  /** Bytes that may wait, where no other queue is put below. */
  readonly limit: number;
  /** Bytes; what segmentation offload made larger is cut into its segments before it waits, and other packets that are larger are dropped. Absent: the burst. */
  readonly packetMax?: number;
}

/** A link's queueing discipline as the kernel describes it. */
export interface Qdisc {
  /** Index of the link. */
  readonly index: number;
  readonly kind: string;
  readonly isRoot: boolean;
  /** Of the class that it is the queue of; 0xffffffff: of the link. */
  readonly parent: number;
  /** Bytes per second, of a token bucket. */
  readonly rate?: bigint;
}

/** struct tcmsg. */
export function trafficHeader(options: { index: number; handle?: number; parent?: number; info?: number }): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeInt32LE(options.index, 4);
  bytes.writeUInt32LE(options.handle ?? 0, 8);
  bytes.writeUInt32LE(options.parent ?? 0, 12);
  bytes.writeUInt32LE(options.info ?? 0, 16);
  return bytes;
}

/** Equivalent to: `tc qdisc replace dev LINK root handle 1: tbf rate RATE burst BURST limit LIMIT [peakrate 1tbit mtu PACKETMAX]`. What is below stays. */
export function replaceTokenBucket(index: number, { rate, burst, limit, packetMax }: TokenBucket): NetlinkRequest {
  // struct tc_tbf_qopt: two struct tc_ratespec of 12 bytes, limit, buffer (replaced by TCA_TBF_BURST), mtu.
  const parms = Buffer.alloc(36);
  parms.writeUInt8(linkLayerEthernet, 1);
  parms.writeUInt32LE(rate > BigInt(rateMax32) ? rateMax32 : Number(rate), 8);
  parms.writeUInt32LE(limit, 24);
  const options = [attribute(tbf.rate64, unsigned64(rate)), attributeU32(tbf.burst, burst)];
  if (packetMax !== undefined) {
    parms.writeUInt8(linkLayerEthernet, 13);
    parms.writeUInt32LE(rateMax32, 20);
    options.push(attribute(tbf.peakRate64, unsigned64(peakRate)), attributeU32(tbf.peakBurst, packetMax));
  }
  const payload = Buffer.concat([trafficHeader({ index, handle: bucketHandle, parent: parentRoot }), attributeString(tca.kind, 'tbf'), attributeNested(tca.options, [attribute(tbf.parms, parms), ...options])]);
  return { type: rtmNewQdisc, flags: createReplace, payload, what: 'limit the bandwidth (tc qdisc tbf)' };
}

function unsigned64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** Equivalent to: `tc qdisc del dev LINK root`; ENOENT where there is none but the link's own. */
export function delRootQdisc(index: number): NetlinkRequest {
  return { type: rtmDelQdisc, flags: 0, payload: trafficHeader({ index, parent: parentRoot }), what: 'limit the bandwidth no longer (tc qdisc)' };
}

/** Equivalent to: `tc qdisc add dev LINK ingress`: where filters see what the link receives. */
export function addIngress(index: number): NetlinkRequest {
  const payload = Buffer.concat([trafficHeader({ index, handle: ingressHandle, parent: parentIngress }), attributeString(tca.kind, 'ingress')]);
  return { type: rtmNewQdisc, flags: createExclusive, payload, what: 'look at received packets (tc qdisc ingress)' };
}

/** Equivalent to: `tc qdisc del dev LINK ingress`, with its filters; EINVAL or ENOENT where there is none. */
export function delIngress(index: number): NetlinkRequest {
  const payload = Buffer.concat([trafficHeader({ index, handle: ingressHandle, parent: parentIngress }), attributeString(tca.kind, 'ingress')]);
  return { type: rtmDelQdisc, flags: 0, payload, what: 'look at received packets no longer (tc qdisc ingress)' };
}

/** Equivalent to: `tc qdisc add dev LINK clsact`: where filters see also what the link is about to send. */
export function addClsact(index: number): NetlinkRequest {
  const payload = Buffer.concat([trafficHeader({ index, handle: ingressHandle, parent: parentIngress }), attributeString(tca.kind, 'clsact')]);
  return { type: rtmNewQdisc, flags: createExclusive, payload, what: 'look at sent packets (tc qdisc clsact)' };
}

/** Equivalent to: `tc qdisc del dev LINK clsact`, or ingress, whichever is there, with its filters; EINVAL or ENOENT where there is none. */
export function delClsact(index: number): NetlinkRequest {
  return { type: rtmDelQdisc, flags: 0, payload: trafficHeader({ index, handle: ingressHandle, parent: parentIngress }), what: 'look at packets no longer (tc qdisc clsact)' };
}

/** Equivalent to: `tc filter add dev LINK ingress|egress protocol all prio 1|2 u32 match u32 0 0 action mirred egress redirect dev TO`: as if the other link sent it. */
export function addRedirect(index: number, to: number, point: FilterPoint = 'ingress'): NetlinkRequest {
  return redirectFilter({ index, to, point, action: mirredActions.sent });
}

/** Equivalent to: `tc filter add dev LINK ingress protocol all prio 1 u32 match u32 0 0 action mirred ingress redirect dev TO`: as if the other link had received it. */
export function addRedirectAsReceived(index: number, to: number): NetlinkRequest {
  return redirectFilter({ index, to, point: 'ingress', action: mirredActions.received });
}

/** TCA_EGRESS_REDIR, TCA_INGRESS_REDIR. */
const mirredActions = { sent: 1, received: 3 } as const;

/** struct tc_u32_key: bits that must be as they are there, from the beginning of the network header, four bytes at a time. */
interface U32Key {
  readonly offset: number;
  readonly value: number;
}

/** Matches everything. */
const anything: readonly U32Key[] = [];

interface RedirectFilter {
  readonly index: number;
  readonly to: number;
  readonly point: FilterPoint;
  readonly action: number;
  readonly keys?: readonly U32Key[];
  /** Among the filters of the link; 0: the kernel chooses one behind all that were chosen by others. */
  readonly node?: number;
}

/** u32 keeps the filters of both points of a clsact together, and lists with those of one the other's of the same priority (net/sched/cls_u32.c, tc_u_common_ptr). */
const filterPriorities: Readonly<Record<FilterPoint, number>> = { ingress: 1, egress: 2 };
const everyProtocol = 0x0300;

function filterHeader({ index, point, node = 0 }: Pick<RedirectFilter, 'index' | 'point' | 'node'>): Uint8Array {
  return trafficHeader({ index, parent: filterParents[point], info: (filterPriorities[point] << 16) | everyProtocol, ...(node === 0 ? {} : { handle: firstHashTable + node }) });
}

function redirectFilter({ index, to, point, action, keys = anything, node }: RedirectFilter): NetlinkRequest {
  // struct tc_mirred: index, capabilities, action TC_ACT_STOLEN, two counters, what is done, the link.
  const redirect = Buffer.alloc(mirredBytes);
  redirect.writeInt32LE(4, 8);
  redirect.writeInt32LE(action, 20);
  redirect.writeUInt32LE(to, 24);
  const mirred = attributeNested(1, [attributeString(1, 'mirred'), attributeNested(2, [attribute(mirredParms, redirect)])]);
  const options = [attribute(u32.sel, selectorOf(keys)), attributeNested(u32.act, [mirred])];
  const header = filterHeader({ index, point, ...(node === undefined ? {} : { node }) });
  const payload = Buffer.concat([header, attributeString(tca.kind, 'u32'), attributeNested(tca.options, options)]);
  return { type: rtmNewFilter, flags: createExclusive, payload, what: `redirect ${point === 'ingress' ? 'received' : 'sent'} packets (tc filter u32, action mirred)` };
}

/** struct tc_u32_sel, terminal, with its keys; one of them at least, which may match everything. */
function selectorOf(keys: readonly U32Key[]): Uint8Array {
  const selector = Buffer.alloc(selectorBytes + keyBytes * Math.max(1, keys.length));
  selector.writeUInt8(1, 0);
  selector.writeUInt8(Math.max(1, keys.length), 2);
  for (const [at, { offset, value }] of keys.entries()) {
    const start = selectorBytes + keyBytes * at;
    selector.writeUInt32BE(0xffffffff, start);
    selector.writeUInt32BE(value, start + 4);
    selector.writeInt32LE(offset, start + 8);
  }
  return selector;
}

/** An Ethernet header and the link beside which a frame with it is received. */
export interface FrameRedirect {
  readonly header: Uint8Array;
  readonly to: number;
}

/** A filter of addFrameRedirect()'s kind, as the kernel describes it. */
export interface ListedFrameRedirect extends FrameRedirect {
  readonly node: number;
}

/** Those that can be told from one another, of a link. */
export const frameRedirectsMax = 0x7ff;

/**
 * Equivalent to: `tc filter add dev LINK ingress protocol all prio 1 handle 800::NODE u32 match … action mirred ingress redirect dev TO`, for frames with
 * exactly this Ethernet header (14 bytes) and hardware type Ethernet behind it, as ARP and RARP have: as if the other link had received it. Before addRedirectAsReceived()'s,
 * whose node the kernel chooses, from 0x800 on (net/sched/cls_u32.c, gen_new_kid). @param node 1 to frameRedirectsMax
 */
export function addFrameRedirect(index: number, { header, to, node }: ListedFrameRedirect): NetlinkRequest {
  return redirectFilter({ index, to, point: 'ingress', action: mirredActions.received, node, keys: keysOf(header) });
}

/** Removes a filter of addFrameRedirect()'s kind; ENOENT where there is none. */
export function delFrameRedirect(index: number, node: number): NetlinkRequest {
  const payload = Buffer.concat([filterHeader({ index, point: 'ingress', node }), attributeString(tca.kind, 'u32')]);
  return { type: rtmDelFilter, flags: 0, payload, what: 'redirect received packets no longer (tc filter u32)' };
}

function keysOf(header: Uint8Array): readonly U32Key[] {
  const bytes = Buffer.concat([header, ethernetHardware]);
  return [0, 4, 8, 12].map((at) => ({ offset: at - headerEthernetBytes, value: bytes.readUInt32BE(at) }));
}

/** A filter of addFrameRedirect()'s kind; undefined for others. */
export function decodeFrameRedirect(message: NetlinkMessage): ListedFrameRedirect | undefined {
  const to = decodeRedirect(message);
  const node = message.payload.readUInt32LE(8) - firstHashTable;
  const selector = innerAttributes(decodeAttributes(message.payload, headerBytes).get(tca.options)).get(u32.sel);
  if (to === undefined || selector === undefined || node < 1 || node > frameRedirectsMax || selector.length < selectorBytes + 4 * keyBytes) return undefined;
  const header = Buffer.concat([0, 1, 2, 3].map((at) => selector.subarray(selectorBytes + keyBytes * at + 4, selectorBytes + keyBytes * at + 8)));
  return { to, node, header: header.subarray(0, headerEthernetBytes) };
}

/** Equivalent to: `tc filter show dev LINK ingress|egress`. A dump; EINVAL or nothing where the link has no such qdisc. */
export function listFilters(index: number, point: FilterPoint = 'ingress'): NetlinkRequest {
  return { type: rtmGetFilter, flags: 0, payload: trafficHeader({ index, parent: filterParents[point] }), what: 'list filters' };
}

/** Index of the link that a filter of addRedirect()'s kind sends packets to; undefined for other filters. */
export function decodeRedirect({ payload }: NetlinkMessage): number | undefined {
  const attributes = decodeAttributes(payload, headerBytes);
  const options = attributes.get(tca.options);
  if (decodeString(attributes.get(tca.kind)) !== 'u32' || options === undefined) return undefined;
  const action = innerAttributes(innerAttributes(options).get(u32.act)).get(1);
  const kind = decodeString(innerAttributes(action).get(1));
  const parms = innerAttributes(innerAttributes(action).get(2)).get(mirredParms);
  return kind === 'mirred' && parms?.length === mirredBytes ? parms.readUInt32LE(mirredBytes - 4) : undefined;
}

function innerAttributes(value: Buffer | undefined): Attributes {
  return decodeAttributes(value ?? Buffer.alloc(0));
}

/** Equivalent to: `tc qdisc show [dev LINK]`. A dump; kernels may answer with those of all links. */
export function listQdiscs(index = 0): NetlinkRequest {
  return { type: rtmGetQdisc, flags: 0, payload: trafficHeader({ index }), what: 'list queueing disciplines' };
}

/** The queueing discipline a RTM_NEWQDISC message describes. */
export function decodeQdisc(message: NetlinkMessage): Qdisc {
  const { payload } = message;
  const attributes = decodeAttributes(payload, headerBytes);
  const kind = decodeString(attributes.get(tca.kind)) ?? '';
  const options = attributes.get(tca.options);
  return {
    index: payload.readInt32LE(4),
    kind,
    isRoot: payload.readUInt32LE(12) === parentRoot,
    parent: payload.readUInt32LE(12),
    ...(kind === 'tbf' && options !== undefined ? { rate: decodeRate(options) } : {}),
  };
}

/** TCA_TBF_RATE64 is there only for rates that do not fit 32 bits. */
function decodeRate(options: Buffer): bigint {
  const attributes = decodeAttributes(options);
  const wide = attributes.get(tbf.rate64);
  return wide === undefined ? BigInt(attributes.get(tbf.parms)?.readUInt32LE(8) ?? 0) : wide.readBigUInt64LE();
}
