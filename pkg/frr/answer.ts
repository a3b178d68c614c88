/**
 * One answer on a vty socket: text, three NULs, and a byte that says what came of the command (vtysh_read() of lib/vty.c,
 * vtysh_client_run() of vtysh/vtysh.c). Pure.
 */
import { FrrError } from './frr-error.ts';

/** A daemon's answer to one command. */
export interface Answer {
  readonly text: string;
  /** CMD_SUCCESS, CMD_WARNING and so on (lib/command.h). */
  readonly status: number;
}

/** Three NULs and the status, bytes. */
const trailerBytes = 4;
/** The table of a large node as JSON is some megabytes; more is a fault, and would only fill memory. Bytes. */
const answerBytesMax = 64 * 1024 * 1024;

/** Puts an answer together out of the pieces in which it arrives. */
export class AnswerReader {
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Where the text ends: it has no NULs. */
  #textBytes: number | undefined;

  constructor(bytesMax: number = answerBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Takes a piece; nothing may come behind an answer, since one command is asked at a time.
   * @returns the answer, where this was its last piece
   * @throws FrrError garbled
   */
  push(piece: Buffer): Answer | undefined {
    const nul = this.#textBytes === undefined ? piece.indexOf(0) : -1;
    if (nul !== -1) this.#textBytes = this.#bytes + nul;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes > this.#bytesMax) throw new FrrError('garbled', `An answer of FRR must have at most ${this.#bytesMax} bytes: this has at least ${this.#bytes}`);
    if (this.#textBytes === undefined || this.#bytes < this.#textBytes + trailerBytes) return undefined;
    return this.#complete(this.#textBytes);
  }

  #complete(textBytes: number): Answer {
    const bytes = Buffer.concat(this.#pieces, this.#bytes);
    this.#pieces = [];
    this.#bytes = 0;
    this.#textBytes = undefined;
    const [, second, third, status] = bytes.subarray(textBytes);
    if (second !== 0 || third !== 0 || status === undefined || bytes.length !== textBytes + trailerBytes) {
      throw new FrrError('garbled', 'An answer of FRR must end with three zero bytes and its status');
    }
    return { text: bytes.toString('utf8', 0, textBytes), status };
  }
}
