/**
 * The netlink wire format: messages and attributes, in the machine's byte order (RFC 3549 §2, include/uapi/linux/netlink.h).
 * Pure. Both machines weft runs on, x86-64 and arm64, are little-endian.
 */

/** A message to be sent, before it has a sequence number. */
export interface NetlinkRequest {
  readonly type: number;
  /** NLM_F_* beside NLM_F_REQUEST and NLM_F_ACK, which every request carries. */
  readonly flags: number;
  /** Family header and attributes. */
  readonly payload: Uint8Array;
  /** What the request does, for error messages: `add bridge weft-br1001`. */
  readonly what: string;
  /**
   * The kernel says nothing when all is well: the messages of an nfnetlink batch but its last, and the brackets around
   * them, which kernels before 6.9 never acknowledge. Requests with one of these among them travel in one datagram.
   */
  readonly isUnacknowledged?: boolean;
  /** Names of errnos with which a refusal is as good as done: the request is then answered with nothing. */
  readonly tolerated?: readonly string[];
}

/** The request, with refusals that are as good as done: what is to go may be gone, what is asked for need not be there. */
export function tolerating(request: NetlinkRequest, ...tolerated: readonly string[]): NetlinkRequest {
  return { ...request, tolerated };
}

/** A message that was received. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  /** Everything behind the 16-byte header. */
  readonly payload: Buffer;
}

export const messageHeaderBytes = 16;
const attributeHeaderBytes = 4;
const nlaNested = 0x8000;
/** NLA_TYPE_MASK: without the nested and the byte-order bit. */
const nlaTypeMask = 0x3fff;

/** Lengths are padded to 4 bytes (NLMSG_ALIGN, NLA_ALIGN). */
function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** One attribute. */
export function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(aligned(attributeHeaderBytes + value.length));
  bytes.writeUInt16LE(attributeHeaderBytes + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, attributeHeaderBytes);
  return bytes;
}

/** One byte. */
export function attributeU8(type: number, value: number): Uint8Array {
  return attribute(type, Uint8Array.of(value));
}

/** In network byte order; ports are carried so. */
export function attributeBe16(type: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return attribute(type, bytes);
}

/** A 32-bit number in the machine's byte order. */
export function attributeU32(type: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return attribute(type, bytes);
}

/** In network byte order; nf_tables carries every number so. */
export function attributeBe32(type: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return attribute(type, bytes);
}

/** With the terminating zero byte the kernel wants. */
export function attributeString(type: number, value: string): Uint8Array {
  return attribute(type, Buffer.from(`${value}\0`));
}

/** An attribute made of attributes. */
export function attributeNested(type: number, parts: readonly Uint8Array[]): Uint8Array {
  return attribute(type | nlaNested, Buffer.concat(parts));
}

/** Attributes by their type. */
export interface Attributes {
  /** The value of an attribute; of a repeated type the last. Undefined where there is none. */
  get(type: number): Buffer | undefined;
}

/**
 * The attributes in `bytes` from `offset` on, as far as their lengths are sound. They are looked for when they are asked for: a link is
 * described by some sixty, and nobody wants more than ten of them.
 */
export function decodeAttributes(bytes: Buffer, offset = 0): Attributes {
  return {
    get(type) {
      let found: number | undefined;
      for (let at = offset; hasAttribute(bytes, at); at += aligned(attributeLength(bytes, at))) {
        if (attributeType(bytes, at) === type) found = at;
      }
      return found === undefined ? undefined : attributeValue(bytes, found);
    },
  };
}

/** Whether there is an attribute at the place that does not reach beyond the end. */
function hasAttribute(bytes: Buffer, at: number): boolean {
  if (at + attributeHeaderBytes > bytes.length) return false;
  const length = attributeLength(bytes, at);
  return length >= attributeHeaderBytes && at + length <= bytes.length;
}

function attributeLength(bytes: Buffer, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

function attributeType(bytes: Buffer, at: number): number {
  return ((bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8)) & nlaTypeMask;
}

function attributeValue(bytes: Buffer, at: number): Buffer {
  return bytes.subarray(at + attributeHeaderBytes, at + attributeLength(bytes, at));
}

/** The attributes in `bytes` from `offset` on, in order, repetitions kept. */
export function decodeAttributeList(bytes: Buffer, offset = 0): { readonly type: number; readonly value: Buffer }[] {
  const list: { type: number; value: Buffer }[] = [];
  for (let at = offset; hasAttribute(bytes, at); at += aligned(attributeLength(bytes, at))) {
    list.push({ type: attributeType(bytes, at), value: attributeValue(bytes, at) });
  }
  return list;
}

/** A string attribute's value without its terminating zero. */
export function decodeString(value: Buffer | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}

/** One message on the wire. `flags` are complete. */
export function encodeMessage(request: { type: number; flags: number; payload: Uint8Array }, sequence: number): Buffer {
  const bytes = Buffer.alloc(aligned(messageHeaderBytes + request.payload.length));
  bytes.writeUInt32LE(messageHeaderBytes + request.payload.length, 0);
  bytes.writeUInt16LE(request.type, 4);
  bytes.writeUInt16LE(request.flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(request.payload, messageHeaderBytes);
  return bytes;
}

/** The messages of one datagram. @throws RangeError when a length does not fit, which no kernel sends */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + messageHeaderBytes <= datagram.length) {
    const length = datagram.readUInt32LE(at);
    if (length < messageHeaderBytes || at + length > datagram.length) throw new RangeError(`Netlink message length must fit its datagram: current value is ${length}`);
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      portId: datagram.readUInt32LE(at + 12),
      payload: Buffer.from(datagram.subarray(at + messageHeaderBytes, at + length)),
    });
    at += aligned(length);
  }
  return messages;
}
