/** The parts of the wire format that requests and answers share: the header, the faults, and bytes that arrive piece by piece. */

/** What is wrong with the bytes of the other side. */
export type ProtocolFault =
  /** They are not of this protocol at all. */
  | 'foreign'
  /** They are of a version that this weft does not speak: the caller is older or newer, and not at fault. */
  | 'version'
  /** A kind of request or answer that this version does not have. */
  | 'kind'
  /** A length above the limit; nothing was allocated for it. */
  | 'tooLarge'
  /** The lengths are sound, and what they measure is not. */
  | 'malformed'
  /** The other side stopped sending in the middle. */
  | 'truncated';

/** Bytes that break the protocol. The decoder that threw it is of no further use. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly fault: ProtocolFault;

  constructor(fault: ProtocolFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** The version that this weft speaks. */
export const protocolVersion = 1;

/** The 16 bytes before every request and every answer; numbers are little-endian. */
export const headerBytes = 16;
const magic = Buffer.from('WEFT');
const versionOffset = 4;
const kindOffset = 6;
const firstOffset = 8;
const secondOffset = 12;

/** A header's fields; what the two numbers mean is the request's or the answer's to say. */
export interface Header {
  readonly kind: number;
  readonly first: number;
  readonly second: number;
}

/** Header and body, ready to send. @throws RangeError for a number that has no place in the header */
export function encodeMessage({ kind, first, second }: Header, body: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  header.writeUInt16LE(protocolVersion, versionOffset);
  header.writeUInt16LE(kind, kindOffset);
  header.writeUInt32LE(first, firstOffset);
  header.writeUInt32LE(second, secondOffset);
  return Buffer.concat([header, ...body]);
}

/** A header and the whole of what belongs to it. */
export interface Message {
  readonly header: Header;
  readonly body: Buffer;
}

/** What came of a chunk. */
export interface Progress {
  /** The message that the chunk completed. */
  readonly message?: Message;
  /** What the chunk had beyond it. */
  readonly rest: Buffer;
}

/** Puts messages together from bytes as they arrive. */
export class MessageDecoder {
  readonly #bodyBytesOf: (header: Header) => number;
  readonly #start = Buffer.alloc(headerBytes);
  #startLength = 0;
  #header: Header | undefined;
  #body = new GrowingBytes(0);

  /** @param bodyBytesOf the length of a body by its header; it throws where the header is to be refused */
  constructor(bodyBytesOf: (header: Header) => number) {
    this.#bodyBytesOf = bodyBytesOf;
  }

  /** True in the middle of a message. */
  get isIncomplete(): boolean {
    return this.#startLength > 0;
  }

  /** Takes bytes up to the end of a message. @throws ProtocolError */
  take(chunk: Uint8Array): Progress {
    let rest = asBuffer(chunk);
    if (this.#header === undefined) {
      const taken = rest.copy(this.#start, this.#startLength);
      this.#startLength += taken;
      rest = rest.subarray(taken);
      if (this.#startLength < headerBytes) return { rest };
      this.#header = parseHeader(this.#start);
      this.#body = new GrowingBytes(this.#bodyBytesOf(this.#header));
    }
    rest = this.#body.take(rest);
    if (!this.#body.isFull) return { rest };
    const message = { header: this.#header, body: this.#body.bytes };
    this.#header = undefined;
    this.#startLength = 0;
    return { message, rest };
  }
}

function parseHeader(start: Buffer): Header {
  if (!start.subarray(0, magic.length).equals(magic)) throw new ProtocolError('foreign', 'a message must begin with "WEFT": this is another protocol');
  const version = start.readUInt16LE(versionOffset);
  if (version !== protocolVersion) throw new ProtocolError('version', `the version of the protocol must be ${protocolVersion}: current value is ${version}`);
  return { kind: start.readUInt16LE(kindOffset), first: start.readUInt32LE(firstOffset), second: start.readUInt32LE(secondOffset) };
}

/** The first allocation for a body; an ordinary call fits. */
const firstAllocationBytes = 4096;

/**
 * So many bytes and no more. Memory grows with what has arrived, not with what was announced: a thousand connections that
 * announce a megabyte and send nothing cost nothing.
 */
class GrowingBytes {
  readonly #size: number;
  #memory: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#size = size;
    this.#memory = Buffer.allocUnsafeSlow(Math.min(size, firstAllocationBytes));
  }

  get isFull(): boolean {
    return this.#length === this.#size;
  }

  /** What has arrived. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  /** Returns what does not belong to it any more. */
  take(chunk: Buffer): Buffer {
    const taken = Math.min(chunk.length, this.#size - this.#length);
    this.#reserve(this.#length + taken);
    chunk.copy(this.#memory, this.#length, 0, taken);
    this.#length += taken;
    return chunk.subarray(taken);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#memory.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#size, Math.max(bytes, 2 * this.#memory.length)));
    this.bytes.copy(larger);
    this.#memory = larger;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
