/** JSON-RPC 1.0 as OVSDB uses it (RFC 7047 §4): what is in one message. Pure. */
import { OvsdbError } from './ovsdb-error.ts';

/** A message, told apart by what it must have. */
export type Message =
  /** The other side asks something; it is to be answered with the same id. */
  | { readonly kind: 'request'; readonly id: unknown; readonly method: string; readonly params: readonly unknown[] }
  /** The other side tells something. */
  | { readonly kind: 'notification'; readonly method: string; readonly params: readonly unknown[] }
  /** The other side answers; `error` is null where all went well. */
  | { readonly kind: 'response'; readonly id: unknown; readonly result: unknown; readonly error: unknown };

/** Strict: what is not UTF-8 is no JSON (RFC 8259 §8.1). */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws OvsdbError garbled where it is no JSON, or no message */
export function decodeMessage(bytes: Uint8Array): Message {
  const fields = parseObject(bytes);
  const { id, method, params, result, error } = fields;
  if (method === undefined) {
    if (id === undefined || id === null) throw new OvsdbError('garbled', 'An answer of an OVSDB server must have an id');
    return { kind: 'response', id, result: result ?? null, error: error ?? null };
  }
  if (typeof method !== 'string' || !Array.isArray(params)) {
    throw new OvsdbError('garbled', 'A request of an OVSDB server must have a method, which is a text, and params, which are an array');
  }
  return id === undefined || id === null ? { kind: 'notification', method, params } : { kind: 'request', id, method, params };
}

/** A request as it is sent. */
export function encodeRequest(request: { readonly id: number; readonly method: string; readonly params: readonly unknown[] }): string {
  return JSON.stringify({ id: request.id, method: request.method, params: request.params });
}

/** The answer to a request of the other side, as it is sent: the one of both that is not null counts. */
export function encodeResponse(response: { readonly id: unknown; readonly result: unknown; readonly error: unknown }): string {
  return JSON.stringify({ id: response.id, result: response.result, error: response.error });
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (error) {
    throw new OvsdbError('garbled', 'A message of an OVSDB server must be JSON', { cause: error });
  }
  if (isObject(value)) return value;
  throw new OvsdbError('garbled', 'A message of an OVSDB server must be a JSON object');
}

/** Whether a decoded JSON value is an object: neither null nor an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
