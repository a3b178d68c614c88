/** What can go wrong with FRR, told apart for callers that go on from there. */
import type { ErrorName } from '../errors/catalogue.ts';
import { WeftError, type WeftErrorOptions } from '../errors/weft-error.ts';

/** What came of it. */
export type FrrErrorKind =
  /** Nobody listens at the daemon's socket, or nobody can by now: nothing was sent. */
  | 'notRunning'
  /** The socket may not be used: it belongs to root and the group frrvty. */
  | 'noPermission'
  /** The daemon did not take the command; the message has its words. */
  | 'refused'
  /** No answer in time. */
  | 'late'
  /** The connection ended before the answer: whether the command was carried out nobody knows. */
  | 'lost'
  /** The answer is not what this version of weft understands. */
  | 'garbled'
  /** bgpd is configured for something else, which is not weft's to change. */
  | 'conflict';

const names: Readonly<Record<FrrErrorKind, ErrorName>> = {
  notRunning: 'tryAgainLater',
  noPermission: 'ioFailure',
  refused: 'ioFailure',
  late: 'tryAgainLater',
  lost: 'tryAgainLater',
  garbled: 'ioFailure',
  conflict: 'invalidConfiguration',
};

/** Something that was asked of FRR and failed. */
export class FrrError extends WeftError {
  readonly kind: FrrErrorKind;

  constructor(kind: FrrErrorKind, message: string, options: WeftErrorOptions = {}) {
    super(names[kind], message, options);
    this.kind = kind;
  }
}

/** True for a FrrError of one of the given kinds; of any where none is given. */
export function isFrrError(error: unknown, ...kinds: readonly FrrErrorKind[]): error is FrrError {
  return error instanceof FrrError && (kinds.length === 0 || kinds.includes(error.kind));
}

/** A command, or FRR's words about it, which repeat the command, without the password in it. */
export function withoutPassword(text: string): string {
  return text.replace(/(\bpassword )\S.*/g, '$1…');
}
