/**
 * Where one message ends and the next begins. JSON-RPC 1.0 over a stream has no framing (RFC 7047 §4): messages are JSON objects
 * one behind the other, so an object ends where its braces are balanced, those within strings not counted. Pure.
 *
 * Looked for in bytes, before anything is decoded: in UTF-8 no byte of a character beyond ASCII looks like a brace or a quote.
 */
import { OvsdbError } from './ovsdb-error.ts';

/** The largest message that is accepted, in bytes; the whole state of a monitor comes as one. A row of Open vSwitch has about 1 KiB. */
export const messageBytesMax: number = 64 * 1024 * 1024;

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
/** Whitespace between messages (RFC 8259 §2). */
const blanks: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);
const garbageBytesShown = 32;

/** Cuts a stream of bytes into messages. */
export class MessageSplitter {
  readonly #bytesMax: number;
  /** The pieces of the message that is not complete yet. */
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  /** @param bytesMax the largest message to accept, in bytes */
  constructor(bytesMax: number = messageBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Whether a message has begun and not ended. */
  get isWithinMessage(): boolean {
    return this.#depth > 0;
  }

  /**
   * Takes the next bytes of the stream.
   * @returns the messages that are complete with them, each the bytes of one JSON object, not looked at any further
   * @throws OvsdbError garbled where something else stands between messages, or a message is too large: the stream is of no more use
   */
  push(chunk: Buffer): readonly Buffer[] {
    const messages: Buffer[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      if (this.#depth === 0) {
        start = this.#findStart(chunk, at);
        if (start < 0) return messages;
        at = start;
      }
      if (!this.#endsWith(chunk[at] as number)) continue;
      messages.push(this.#complete(chunk.subarray(start, at + 1)));
      start = at + 1;
    }
    if (this.#depth > 0) this.#keep(chunk.subarray(start));
    return messages;
  }

  /** Position of the next message's first byte, or -1 where there is nothing but whitespace. */
  #findStart(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && blanks.has(chunk[at] as number)) at += 1;
    if (at === chunk.length) return -1;
    if (chunk[at] === openBrace) return at;
    const shown = JSON.stringify(chunk.toString('latin1', at, at + garbageBytesShown));
    throw new OvsdbError('garbled', `A message of an OVSDB server must begin with "{": it begins with ${shown}`);
  }

  /** Takes one byte of a message; true where it is its last. */
  #endsWith(byte: number): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === backslash) this.#isEscaped = true;
      else if (byte === quote) this.#isInString = false;
      return false;
    }
    if (byte === quote) this.#isInString = true;
    else if (byte === openBrace) this.#depth += 1;
    else if (byte === closeBrace) this.#depth -= 1;
    return this.#depth === 0;
  }

  #complete(last: Buffer): Buffer {
    this.#keep(last);
    const message = this.#pieces.length === 1 ? last : Buffer.concat(this.#pieces, this.#pieceBytes);
    this.#pieces = [];
    this.#pieceBytes = 0;
    return message;
  }

  #keep(piece: Buffer): void {
    this.#pieceBytes += piece.length;
    if (this.#pieceBytes > this.#bytesMax) {
      throw new OvsdbError('garbled', `A message of an OVSDB server must have at most ${this.#bytesMax} bytes: this has at least ${this.#pieceBytes}`);
    }
    this.#pieces.push(piece);
  }
}
