/** Answers: the frames that a daemon sends to its caller. */
import { encodeMessage, MessageDecoder, ProtocolError, type Header } from './wire.ts';

/** Numbers of the kinds of frame; the high bit tells them from requests. */
const frameKinds = { accepted: 0x81, answered: 0x82, elsewhere: 0x83 } as const;

/**
 * `accepted`: the request has been read whole, and work begins. `answered`: the end; status is the process's exit status, body
 * its stdout. `elsewhere`: the end too; the daemon does not do this call, and nothing of it has begun.
 */
export type FrameKind = keyof typeof frameKinds;

/** One frame of an answer. */
export interface Frame {
  readonly kind: FrameKind;
  /** 0 to 2³² − 1. */
  readonly status: number;
  readonly body: Buffer;
}

/** Why a daemon sends its caller elsewhere: the status of such a frame. The body says it in words. */
export const elsewhereReasons = {
  unknownVersion: 1,
  badRequest: 2,
  otherNamespace: 3,
  tooBusy: 4,
  shuttingDown: 5,
  notPermitted: 6,
} as const;

export type ElsewhereReason = keyof typeof elsewhereReasons;

/** More than any answer has: the list of a node's endpoints, at a kilobyte for each of 10,000. */
export const answerBytesMax: number = 16 * 1024 * 1024;

/** A frame to encode. */
export interface FrameContent {
  readonly kind: FrameKind;
  /** @default 0 */
  readonly status?: number;
  /** Text is sent as UTF-8. @default nothing */
  readonly body?: string | Uint8Array;
}

/** @throws ProtocolError tooLarge; RangeError for a status that is no unsigned 32-bit number */
export function encodeFrame({ kind, status = 0, body = '' }: FrameContent): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const header = { kind: frameKinds[kind], first: status, second: bytes.length };
  bodyBytesOf(header);
  return encodeMessage(header, [bytes]);
}

/** Puts the frames of one answer together from bytes as they arrive. */
export class FrameDecoder {
  readonly #messages = new MessageDecoder(bodyBytesOf);
  #isAccepted = false;
  #isDone = false;

  /** Whether `accepted` has come: from then on the call has begun. */
  get isAccepted(): boolean {
    return this.#isAccepted;
  }

  /** Whether the last frame has come. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Takes the next bytes; returns the frames that they complete. @throws ProtocolError */
  push(chunk: Uint8Array): readonly Frame[] {
    const frames: Frame[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#isDone) throw new ProtocolError('malformed', `an answer must end with its last frame: ${rest.length} bytes follow it`);
      const progress = this.#messages.take(rest);
      rest = progress.rest;
      if (progress.message === undefined) break;
      const { header, body } = progress.message;
      frames.push(this.#follow({ kind: kindOf(header.kind), status: header.first, body }));
    }
    return frames;
  }

  /** To be called when the daemon sends no more and the last frame has not come. @throws ProtocolError truncated, always */
  end(): never {
    const where = this.#isAccepted ? 'after it had begun the call' : 'before it had begun the call';
    throw new ProtocolError('truncated', `the daemon closed the connection ${where}`);
  }

  #follow(frame: Frame): Frame {
    if (frame.kind === 'accepted' && this.#isAccepted) throw new ProtocolError('malformed', 'an answer must accept its request once: it did twice');
    if (frame.kind === 'elsewhere' && this.#isAccepted) throw new ProtocolError('malformed', 'an answer must not send a caller elsewhere after it has accepted the request');
    if (frame.kind === 'accepted') this.#isAccepted = true;
    else this.#isDone = true;
    return frame;
  }
}

function bodyBytesOf({ kind, second }: Header): number {
  const name = kindOf(kind);
  const max = name === 'accepted' ? 0 : answerBytesMax;
  if (second > max) throw new ProtocolError('tooLarge', `the body of a frame "${name}" must have at most ${max} bytes: it has ${second}`);
  return second;
}

function kindOf(number: number): FrameKind {
  for (const kind of Object.keys(frameKinds) as FrameKind[]) {
    if (frameKinds[kind] === number) return kind;
  }
  throw new ProtocolError('kind', `a frame must be of kind ${Object.values(frameKinds).join(', ')}: current value is ${number}`);
}
