/**
 * The filter in front of the routing events, as a program of classic BPF (include/uapi/linux/filter.h), which the kernel
 * runs before it queues anything. What a node does all day, learning neighbours and MACs, thus wakes nobody. Pure.
 */
import { messageHeaderBytes } from './codec.ts';

/** Lets a message through: one of the type for which all the conditions hold. */
export interface EventRule {
  /** RTM_*. */
  readonly type: number;
  readonly where?: readonly ByteCondition[];
}

/** Of the byte at `offset` of the payload, the bits of `mask` are those of `value`; or, with `isNot`, are not. */
export interface ByteCondition {
  readonly offset: number;
  readonly mask: number;
  readonly value: number;
  readonly isNot?: true;
}

// include/uapi/linux/rtnetlink.h
const rtm = { newLink: 16, delLink: 17, newAddress: 20, delAddress: 21, newRoute: 24, delRoute: 25, newNeighbour: 28, delNeighbour: 29, delQdisc: 37, delFilter: 45 } as const;
// struct ndmsg: the family is its first byte, the state (16 bits) at 8, the flags at 10 (include/uapi/linux/neighbour.h).
const isOfBridge: ByteCondition = { offset: 0, mask: 0xff, value: 7 }; // AF_BRIDGE
const isNotLearned: ByteCondition = { offset: 8, mask: 0x06, value: 0 }; // neither NUD_REACHABLE nor NUD_STALE
const isOfControlPlane: ByteCondition = { offset: 10, mask: 0x10, value: 0x10 }; // NTF_EXT_LEARNED
const isOfVxlan: ByteCondition = { offset: 10, mask: 0x06, value: 0x02 }; // NTF_SELF without NTF_MASTER
const isPermanent: ByteCondition = { offset: 8, mask: 0x80, value: 0x80 }; // NUD_PERMANENT

// struct ifinfomsg: the family is its first byte. AF_INET6 tells of router discovery.
const isNotOfIp6: ByteCondition = { offset: 0, mask: 0xff, value: 10, isNot: true };
// struct rtmsg: the prefix length at 1, the table at 4, who made it at 5 (include/uapi/linux/rtnetlink.h).
const isDefault: ByteCondition = { offset: 1, mask: 0xff, value: 0 };
const isNotKernels: ByteCondition = { offset: 5, mask: 0xff, value: 2, isNot: true }; // RTPROT_KERNEL
const isNotLocal: ByteCondition = { offset: 4, mask: 0xff, value: 255, isNot: true }; // RT_TABLE_LOCAL

/**
 * What can take something away from a container. Of routes that come not those that the kernel makes itself, with an address; of those
 * that go not its own of local and broadcast addresses. By any of them the other nodes may be reached from now on. Of neighbours only entries of a forwarding database that somebody had
 * programmed and that are gone, and those that come from a control plane, or onto a flood list: the rest that comes is mostly learned,
 * what was learned ages, and neighbours of IP are ARP.
 * Of traffic control only what goes.
 */
export const routeEventRules: readonly EventRule[] = [
  { type: rtm.newLink, where: [isNotOfIp6] }, { type: rtm.delLink },
  { type: rtm.newAddress }, { type: rtm.delAddress },
  { type: rtm.newRoute, where: [isDefault, isNotLocal] }, { type: rtm.newRoute, where: [isNotKernels, isNotLocal] }, { type: rtm.delRoute, where: [isNotLocal] },
  { type: rtm.newNeighbour, where: [isOfBridge, isOfControlPlane] },
  { type: rtm.newNeighbour, where: [isOfBridge, isOfVxlan, isPermanent] },
  { type: rtm.delNeighbour, where: [isOfBridge, isNotLearned] },
  { type: rtm.delNeighbour, where: [isOfBridge, isOfControlPlane] },
  { type: rtm.delQdisc }, { type: rtm.delFilter },
];

/** Entries of a forwarding database that come to the link of that number, or change there. struct ndmsg: the number (32 bits, in the machine's order) is at 4. */
export function fdbEventRules(index: number): readonly EventRule[] {
  const isAtLink = Array.from(new Uint8Array(Uint32Array.of(index).buffer), (value, at): ByteCondition => ({ offset: 4 + at, mask: 0xff, value }));
  return [{ type: rtm.newNeighbour, where: [isOfBridge, ...isAtLink] }];
}

// include/uapi/linux/bpf_common.h: class, size or operation, and addressing in one number.
const loadHalf = 0x28; // BPF_LD | BPF_H | BPF_ABS
const loadByte = 0x30; // BPF_LD | BPF_B | BPF_ABS
const maskBits = 0x54; // BPF_ALU | BPF_AND | BPF_K
const jumpIfEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const giveBack = 0x06; // BPF_RET | BPF_K

/** struct sock_filter. */
interface Instruction {
  readonly code: number;
  /** How many instructions a comparison skips when it fails, or when it holds. */
  readonly skip?: { readonly ifFalse?: number; readonly ifTrue?: number };
  readonly k: number;
}

const loadType: Instruction = { code: loadHalf, k: 4 };
/** As many bytes as there are. */
const pass: Instruction = { code: giveBack, k: 0xffff_ffff };
const drop: Instruction = { code: giveBack, k: 0 };

/**
 * The program (an array of struct sock_filter) that lets through what one of the rules names, and nothing else. It sees the
 * first message of a datagram; the rest comes with it, as the new queueing discipline does behind the one it replaces.
 */
export function encodeEventFilter(rules: readonly EventRule[]): ArrayBuffer {
  const program = [...rules.flatMap(encodeRule), drop];
  const instructionBytes = 8;
  const bytes = new DataView(new ArrayBuffer(program.length * instructionBytes));
  program.forEach(({ code, skip, k }, index) => {
    const at = index * instructionBytes;
    bytes.setUint16(at, code, true);
    bytes.setUint8(at + 2, skip?.ifTrue ?? 0);
    bytes.setUint8(at + 3, skip?.ifFalse ?? 0);
    bytes.setUint32(at + 4, k, true);
  });
  return bytes.buffer;
}

/** Built from its end: each comparison that fails skips all that is behind it, to the next rule. */
function encodeRule({ type, where = [] }: EventRule): readonly Instruction[] {
  let rest: readonly Instruction[] = [pass];
  for (const { offset, mask, value, isNot } of [...where].reverse()) {
    const skip = isNot === true ? { ifTrue: rest.length } : { ifFalse: rest.length };
    rest = [{ code: loadByte, k: messageHeaderBytes + offset }, { code: maskBits, k: mask }, { code: jumpIfEqual, skip, k: value }, ...rest];
  }
  return [loadType, { code: jumpIfEqual, skip: { ifFalse: rest.length }, k: swapBytes(type) }, ...rest];
}

/** A load takes the bytes in network order; netlink's headers are in the machine's. */
function swapBytes(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}
