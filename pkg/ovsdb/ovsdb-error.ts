import { WeftError, type WeftErrorOptions } from '../errors/weft-error.ts';
import type { ErrorName } from '../errors/catalogue.ts';

/** What came of it, for callers that go on from there. */
export type OvsdbErrorKind =
  /** There is no connection: nothing was sent, and nothing changed. */
  | 'unavailable'
  /** The request was sent, and whether it was carried out nobody knows: the connection was lost, or the answer is late. */
  | 'outcomeUnknown'
  /** The server refused: nothing of the transaction was applied. */
  | 'refused'
  /** A `wait` operation found the database in another state: nothing of the transaction was applied (RFC 7047 §5.2.6). */
  | 'waitFailed'
  /** Applied to the database, but not carried out in time by whoever watches it. */
  | 'notRealised'
  /** What the server sent is not of the protocol, or not of the types that were asked for. */
  | 'garbled';

const names: Readonly<Record<OvsdbErrorKind, ErrorName>> = {
  unavailable: 'tryAgainLater',
  outcomeUnknown: 'tryAgainLater',
  refused: 'ioFailure',
  waitFailed: 'tryAgainLater',
  notRealised: 'tryAgainLater',
  garbled: 'ioFailure',
};

/** The operation of a transaction that was refused. */
export interface RefusedOperation {
  /** Position in the transaction. */
  readonly index: number;
  /** Such as `insert`. */
  readonly op: string;
  /** Undefined where the operation names none, as `commit`. */
  readonly table?: string;
}

/** What OvsdbError is made of beside its kind and message. */
export interface OvsdbErrorOptions extends WeftErrorOptions {
  /** The server's own word for it, such as `constraint violation` (RFC 7047 §3.1, `error`). */
  readonly refusal?: string;
  readonly operation?: RefusedOperation;
}

/** A request to an OVSDB server that failed. */
export class OvsdbError extends WeftError {
  readonly kind: OvsdbErrorKind;
  /** The server's own word for a refusal, such as `referential integrity violation`; undefined for other kinds. */
  readonly refusal: string | undefined;
  /** What was refused; undefined where no operation is to blame: constraints are looked at when a transaction ends. */
  readonly operation: RefusedOperation | undefined;

  constructor(kind: OvsdbErrorKind, message: string, options: OvsdbErrorOptions = {}) {
    super(names[kind], message, options);
    this.kind = kind;
    this.refusal = options.refusal;
    this.operation = options.operation;
  }
}

/** True for an OvsdbError of one of the given kinds; of any where none is given. */
export function isOvsdbError(error: unknown, ...kinds: readonly OvsdbErrorKind[]): error is OvsdbError {
  return error instanceof OvsdbError && (kinds.length === 0 || kinds.includes(error.kind));
}

/** True where the caller has to look whether its transaction was applied. */
export function isOutcomeUnknown(error: unknown): error is OvsdbError {
  return isOvsdbError(error, 'outcomeUnknown');
}
