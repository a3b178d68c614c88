/**
 * A queue below a token bucket that keeps flows apart: each waits for its own packets and for one of each of the others. The kernel's is
 * fq_codel; where it has none, classes of htb among which a hash divides the flows, and which take turns. Pure.
 */
import { attribute, attributeNested, attributeString, type NetlinkRequest } from './codec.ts';
import { flowHashProgram } from './flow-hash.ts';
import { createExclusive } from './link.ts';
import { bucketHandle, trafficHeader } from './qdisc.ts';

// include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h
const rtmNewQdisc = 36;
const rtmNewClass = 40;
const rtmNewFilter = 44;
const rtmGetFilter = 46;
const tca = { kind: 1, options: 2 } as const;
const htb = { parms: 1, init: 2, rate64: 6, ceil64: 7 } as const;
const bpf = { opsLength: 4, ops: 5 } as const;
/** struct tc_htb_glob's version, HTB_VER >> 16 (net/sched/sch_htb.c). */
const htbVersion = 3;
const linkLayerEthernet = 1;

/** `1:1`, the bucket's only class, whose queue this is; and the queue itself, `2:`. */
export const fairParent: number = bucketHandle + 1;
const fairHandle = 0x2_0000;
const firstClass = fairHandle + 1;
const flowBits = 7;
/** Classes among which flows are divided: that two of them share one has a chance of 1 in 128. */
export const flowClasses: number = 2 ** flowBits;
/** Bytes per second, 1 Tbit/s, so that no class waits for anything but its turn; struct tc_ratespec holds what 32 bits do. */
const noLimit = 125_000_000_000n;
const noLimit32 = 0xffffffff;
/** Ticks of 64 ns (PSCHED_SHIFT): 64 ms of that. */
const classBurstTicks = 1_000_000;
/** Bytes that a class may send in its turn: a frame of the usual size (sch_htb.c, htb_dequeue_tree). */
const quantumBytes = 1600;
const filterPriority = 1;
const everyProtocol = 0x0300;
/** Named, so that a second request finds it there. */
const filterHandle = 1;

/** Kinds of queue that keep flows apart as this one does. */
export const fairKinds: readonly string[] = ['fq_codel', 'htb'];

function fairHeader(index: number): Uint8Array {
  return trafficHeader({ index, handle: fairHandle, parent: fairParent });
}

/** Equivalent to: `tc qdisc add dev LINK parent 1:1 handle 2: fq_codel`; ENOENT where the kernel has none. */
export function addFqCodel(index: number): NetlinkRequest {
  const payload = Buffer.concat([fairHeader(index), attributeString(tca.kind, 'fq_codel')]);
  return { type: rtmNewQdisc, flags: createExclusive, payload, what: 'keep flows apart (tc qdisc fq_codel)' };
}

/**
 * Equivalent to: `tc qdisc add dev LINK parent 1:1 handle 2: htb default 1`, `tc class add dev LINK parent 2: classid 2:N htb rate 1tbit quantum 1600`
 * for each class, and `tc filter add dev LINK parent 2: protocol all prio 1 bpf bytecode …`. A class takes as many packets as the link's queue is long.
 * EEXIST of each that is there.
 */
export function addFlowClasses(index: number): NetlinkRequest[] {
  return [addHtb(index), ...Array.from({ length: flowClasses }, (_, position) => addClass(index, firstClass + position)), addFlowFilter(index)];
}

function addHtb(index: number): NetlinkRequest {
  // struct tc_htb_glob: version, rate2quantum, default class, debug, direct packets.
  const init = Buffer.alloc(20);
  init.writeUInt32LE(htbVersion, 0);
  init.writeUInt32LE(10, 4);
  init.writeUInt32LE(firstClass & 0xffff, 8);
  const payload = Buffer.concat([fairHeader(index), attributeString(tca.kind, 'htb'), attributeNested(tca.options, [attribute(htb.init, init)])]);
  return { type: rtmNewQdisc, flags: createExclusive, payload, what: 'keep flows apart (tc qdisc htb)' };
}

function addClass(index: number, handle: number): NetlinkRequest {
  // struct tc_htb_opt: two struct tc_ratespec of 12 bytes, buffer, cbuffer, quantum, level, prio.
  const parms = Buffer.alloc(44);
  for (const at of [0, 12]) {
    parms.writeUInt8(linkLayerEthernet, at + 1);
    parms.writeUInt32LE(noLimit32, at + 8);
  }
  parms.writeUInt32LE(classBurstTicks, 24);
  parms.writeUInt32LE(classBurstTicks, 28);
  parms.writeUInt32LE(quantumBytes, 32);
  const rate = Buffer.alloc(8);
  rate.writeBigUInt64LE(noLimit);
  const options = attributeNested(tca.options, [attribute(htb.rate64, rate), attribute(htb.ceil64, rate), attribute(htb.parms, parms)]);
  const payload = Buffer.concat([trafficHeader({ index, handle, parent: fairHandle }), attributeString(tca.kind, 'htb'), options]);
  return { type: rtmNewClass, flags: createExclusive, payload, what: 'keep flows apart (tc class htb)' };
}

function addFlowFilter(index: number): NetlinkRequest {
  const program = flowHashProgram(firstClass, flowBits);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(program.length / 8);
  const options = attributeNested(tca.options, [attribute(bpf.opsLength, length), attribute(bpf.ops, program)]);
  const header = trafficHeader({ index, handle: filterHandle, parent: fairHandle, info: (filterPriority << 16) | everyProtocol });
  return { type: rtmNewFilter, flags: createExclusive, payload: Buffer.concat([header, attributeString(tca.kind, 'bpf'), options]), what: 'keep flows apart (tc filter bpf)' };
}

/** Equivalent to: `tc filter show dev LINK parent 2:`. A dump; nothing, EINVAL or ENOENT where there is no such queue. */
export function listFlowFilters(index: number): NetlinkRequest {
  return { type: rtmGetFilter, flags: 0, payload: trafficHeader({ index, parent: fairHandle }), what: 'list filters' };
}
