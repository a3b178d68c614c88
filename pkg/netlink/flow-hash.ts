/**
 * A program of the classic packet filter (Documentation/networking/filter.rst) that tells flows from one another: it answers with one of a
 * queue's classes, chosen by addresses and, of TCP and UDP, ports. For where the kernel has no queue that does so by itself. Pure.
 */

/** struct sock_filter, include/uapi/linux/filter.h. */
interface Instruction {
  readonly code: number;
  readonly jt?: number;
  readonly jf?: number;
  readonly k?: number;
}

/** include/uapi/linux/bpf_common.h. */
const op = {
  loadWord: 0x20, loadHalf: 0x28, loadByte: 0x30, loadWordAtX: 0x40, loadMemory: 0x60, loadHeaderLength: 0xb1, store: 0x02, toX: 0x07,
  xorX: 0xac, multiply: 0x24, shiftRight: 0x74, add: 0x04, jumpEqual: 0x15, jumpSet: 0x45, answer: 0x16, answerConstant: 0x06,
} as const;

/** Offsets in an Ethernet frame, bytes: of the type, IPv4's header (RFC 791 §3.1) and IPv6's (RFC 8200 §3). */
const ethernet = { type: 12, payload: 14 } as const;
const ipv4 = { fragment: 20, protocol: 23, source: 26, destination: 30 } as const;
const ipv6 = { next: 20, source: 22, destination: 38, payload: 54 } as const;
const etherTypes = { ipv4: 0x0800, ipv6: 0x86dd } as const;
const protocols = { tcp: 6, udp: 17 } as const;
/** Fragments behind the first have no ports. */
const fragmentOffset = 0x1fff;
/** 2^32 divided by the golden ratio: the upper bits of the product depend on all of the factor's (Knuth, TAOCP 3, §6.4). */
const multiplier = 0x9e3779b1;
const instructionBytes = 8;

/** Adds A to what is kept so far. */
const keep: readonly Instruction[] = [{ code: op.toX }, { code: op.loadMemory }, { code: op.xorX }, { code: op.store }];

/** Goes on behind `skipped` instructions where A is no protocol with ports. */
function unlessPorts(skipped: number): readonly Instruction[] {
  return [{ code: op.jumpEqual, jt: 1, k: protocols.tcp }, { code: op.jumpEqual, jf: skipped, k: protocols.udp }];
}

function ipv4Part(): readonly Instruction[] {
  const ports = [{ code: op.loadHeaderLength, k: ethernet.payload }, { code: op.loadWordAtX, k: ethernet.payload }, ...keep];
  const check = [{ code: op.loadByte, k: ipv4.protocol }, ...unlessPorts(ports.length)];
  return [
    { code: op.loadWord, k: ipv4.source }, { code: op.store }, { code: op.loadWord, k: ipv4.destination }, ...keep,
    { code: op.loadHalf, k: ipv4.fragment }, { code: op.jumpSet, jt: check.length + ports.length, k: fragmentOffset }, ...check, ...ports,
  ];
}

function ipv6Part(): readonly Instruction[] {
  const words = [4, 8, 12].flatMap((at) => [{ code: op.loadWord, k: ipv6.source + at }, ...keep]);
  const others = [0, 4, 8, 12].flatMap((at) => [{ code: op.loadWord, k: ipv6.destination + at }, ...keep]);
  const ports = [{ code: op.loadWord, k: ipv6.payload }, ...keep];
  return [{ code: op.loadWord, k: ipv6.source }, { code: op.store }, ...words, ...others, { code: op.loadByte, k: ipv6.next }, ...unlessPorts(ports.length), ...ports];
}

/**
 * The program, as an array of struct sock_filter. What is neither IPv4 nor IPv6, as ARP, gets the first class; a packet too short for its
 * header ends the program with 0, which is no class.
 * @param firstClass its number, with the queue's in the upper half @param bits of the hash; there are 2^bits classes in a row
 */
export function flowHashProgram(firstClass: number, bits: number): Uint8Array {
  const mix = [{ code: op.loadMemory }, { code: op.multiply, k: multiplier }, { code: op.shiftRight, k: 32 - bits }, { code: op.add, k: firstClass }, { code: op.answer }];
  const [four, six] = [[...ipv4Part(), ...mix], [...ipv6Part(), ...mix]];
  const program: readonly Instruction[] = [
    { code: op.loadHalf, k: ethernet.type }, { code: op.jumpEqual, jf: four.length, k: etherTypes.ipv4 }, ...four,
    { code: op.jumpEqual, jf: six.length, k: etherTypes.ipv6 }, ...six, { code: op.answerConstant, k: firstClass },
  ];
  const bytes = Buffer.alloc(instructionBytes * program.length);
  for (const [position, { code, jt = 0, jf = 0, k = 0 }] of program.entries()) {
    const start = instructionBytes * position;
    bytes.writeUInt16LE(code, start);
    bytes.writeUInt8(jt, start + 2);
    bytes.writeUInt8(jf, start + 3);
    bytes.writeUInt32LE(k, start + 4);
  }
  return bytes;
}
