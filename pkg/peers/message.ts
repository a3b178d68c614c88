/** What two daemons say to each other: who they are, questions, and answers to them. */
import { isJsonObject, type JsonObject } from '../cni/json-value.ts';
import { entries, type ErrorName } from '../errors/catalogue.ts';
import { describeError, isWeftError, WeftError } from '../errors/weft-error.ts';

/** What JSON can say. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Of the messages below; the greeting begins with it whatever the version is. */
export const channelVersion = 1;

/** An error as it travels. */
export interface Failure {
  /** A name of the catalogue, perhaps of a newer one. */
  readonly code: string;
  readonly message: string;
  readonly details: string;
  /** For whoever does not know the name. */
  readonly isRetryable: boolean;
}

/** One frame. Ids are those of whoever asks, from 1 up. */
export type Message =
  | { readonly kind: 'hello'; readonly version: number; readonly node: string }
  | { readonly kind: 'ask'; readonly id: number; readonly body: JsonValue }
  /** Answered at once with null, by no handler: is the other end there? */
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly body: JsonValue }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: Failure };

/** Characters of an error's words, so that it always fits into a frame: at most six bytes of JSON each. */
const wordsMax = 4096;
/** A host's name (HOST_NAME_MAX of Linux is 64, RFC 1035's limit 255). */
const nodeNameMax = 255;

/** Reads a frame's JSON. @throws SyntaxError for what is no message */
export function parseMessage(value: unknown): Message {
  if (!isJsonObject(value)) throw new SyntaxError('a message must be an object');
  const { kind } = value;
  switch (kind) {
    case 'hello':
      return { kind, version: readVersion(value), node: readNode(value) };
    case 'ask':
    case 'answer':
      return { kind, id: readId(value), body: readBody(value) };
    case 'ping':
      return { kind, id: readId(value) };
    case 'failure':
      return { kind, id: readId(value), failure: readFailure(value['failure']) };
    default:
      throw new SyntaxError('a message must be of a kind that is known');
  }
}

function readId({ id }: JsonObject): number {
  if (typeof id === 'number' && Number.isSafeInteger(id) && id > 0) return id;
  throw new SyntaxError("a message's id must be a whole number from 1 up");
}

function readBody({ body }: JsonObject): JsonValue {
  if (body === undefined) throw new SyntaxError('a message must have a body');
  // It comes out of JSON.parse().
  return body as JsonValue;
}

function readVersion({ version }: JsonObject): number {
  if (typeof version === 'number' && Number.isSafeInteger(version) && version > 0) return version;
  throw new SyntaxError('a greeting must have a version');
}

function readNode({ node }: JsonObject): string {
  // It goes into logs.
  if (typeof node === 'string' && node.length > 0 && node.length <= nodeNameMax && !/\p{Cc}/u.test(node)) return node;
  throw new SyntaxError("a greeting must have a node's name");
}

function readFailure(value: unknown): Failure {
  const { code, message, details, isRetryable } = isJsonObject(value) ? value : {};
  if (typeof code !== 'string' || typeof message !== 'string' || typeof details !== 'string' || typeof isRetryable !== 'boolean') {
    throw new SyntaxError('a failure must have a code and words');
  }
  return { code, message, details, isRetryable };
}

/** The error as it travels. What is no WeftError is a fault of weft's. */
export function failureOf(error: unknown): Failure {
  const { code, message, details } = isWeftError(error) ? error : new WeftError('internal', `the other node failed: ${describeError(error)}`);
  return { code, message: message.slice(0, wordsMax), details: details.slice(0, wordsMax), isRetryable: entries[code].isRetryable };
}

/** The error as it is thrown where it arrives. */
export function errorOf({ code, message, details, isRetryable }: Failure): WeftError {
  return new WeftError(isErrorName(code) ? code : isRetryable ? 'tryAgainLater' : 'internal', message, { details });
}

function isErrorName(code: string): code is ErrorName {
  return Object.hasOwn(entries, code);
}
