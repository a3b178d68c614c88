/** Requests: what a caller sends, one for each connection. */
import { configurationBytesMax } from '../cni/configuration.ts';
import { decodeEnvironment, encodeEnvironment } from './environment-block.ts';
import { encodeMessage, headerBytes, MessageDecoder, ProtocolError, type Header, type Message } from './wire.ts';

/** Numbers of the kinds of request. */
const requestKinds = { call: 1, question: 2, retire: 3, command: 4 } as const;

/** `call`: a CNI call. `question`: a word on stdin, answered in JSON. `retire`: a newer daemon takes over. `command`: JSON on stdin, answered in JSON. */
export type RequestKind = keyof typeof requestKinds;

/** A request, whole. */
export interface Request {
  readonly kind: RequestKind;
  /** Of a call: its CNI_* variables, PATH, and the variables below. */
  readonly env: Readonly<Record<string, string>>;
  /** Of a call: its configuration. Of a question: its word. Of a command: its JSON. */
  readonly stdin: string;
}

/** The variable with `device:inode` of the caller's network namespace, in decimal. */
export const callerNetnsVariable = 'WEFT_CALLER_NETNS';
/** The variable with `device:inode` of what the caller sees at CNI_NETNS; absent where there is nothing. */
export const targetNetnsVariable = 'WEFT_TARGET_NETNS';

/** A CNI call has a dozen variables; CNI_ARGS is the longest. */
export const environmentBytesMax: number = 64 * 1024;
/** A byte more than a configuration may have, so that the daemon and not the protocol says that it is too large. */
export const stdinBytesMax: number = configurationBytesMax + 1;
/** How long a caller may take to send its request, from connecting, in milliseconds. */
export const requestDeadlineMs = 5000;

/** @throws ProtocolError tooLarge, malformed (a variable that cannot be written) */
export function encodeRequest({ kind, env, stdin }: Request): Buffer {
  const block = encodeEnvironment(env);
  const input = Buffer.from(stdin);
  const header = { kind: requestKinds[kind], first: block.length, second: input.length };
  bodyBytesOf(header);
  return encodeMessage(header, [block, input]);
}

/** Puts one request together from bytes as they arrive. Pure: the deadline is the caller's. */
export class RequestDecoder {
  readonly #messages = new MessageDecoder(bodyBytesOf);
  #isDone = false;

  /**
   * Takes the next bytes; returns the request when they complete it.
   * @throws ProtocolError; its `fault` tells a caller of another version from one that is broken
   */
  push(chunk: Uint8Array): Request | undefined {
    if (chunk.length === 0) return undefined;
    const { message, rest } = this.#isDone ? { rest: chunk } : this.#messages.take(chunk);
    if (rest.length > 0) throw new ProtocolError('malformed', `a connection has one request: ${rest.length} bytes follow it`);
    if (message === undefined) return undefined;
    this.#isDone = true;
    return decodeRequest(message);
  }

  /** To be called when the caller sends no more. @throws ProtocolError truncated where there is no whole request */
  end(): void {
    if (this.#isDone) return;
    throw new ProtocolError('truncated', this.#messages.isIncomplete ? 'the caller stopped in the middle of its request' : 'the caller sent no request');
  }
}

function bodyBytesOf({ kind, first, second }: Header): number {
  kindOf(kind);
  if (first > environmentBytesMax) throw new ProtocolError('tooLarge', `the environment must have at most ${environmentBytesMax} bytes: it has ${first}`);
  if (second > stdinBytesMax) throw new ProtocolError('tooLarge', `stdin must have at most ${stdinBytesMax} bytes: it has ${second}`);
  return first + second;
}

function decodeRequest({ header, body }: Message): Request {
  const environmentBytes = header.first;
  return {
    kind: kindOf(header.kind),
    env: decodeEnvironment(body.subarray(0, environmentBytes)),
    // The one conversion, of the whole: a character may have come in two pieces.
    stdin: body.toString('utf8', environmentBytes),
  };
}

function kindOf(number: number): RequestKind {
  for (const kind of Object.keys(requestKinds) as RequestKind[]) {
    if (requestKinds[kind] === number) return kind;
  }
  throw new ProtocolError('kind', `a request must be of kind ${Object.values(requestKinds).join(', ')}: current value is ${number}`);
}

/** The most bytes that one request has on the wire. */
export const requestBytesMax: number = headerBytes + environmentBytesMax + stdinBytesMax;
