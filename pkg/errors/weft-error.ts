import { catalogue, type ErrorName } from './catalogue.ts';

export interface WeftErrorOptions {
  /** What the operator can do about it, or more about where it happened. Goes into the CNI error's `details`. */
  readonly details?: string;
  /** The error underneath; it goes to the log, never into the public message. */
  readonly cause?: unknown;
  /** The CNI code to report in place of the catalogue's; a delegated plugin's own code is passed on this way. */
  readonly cniCode?: number;
}

/** The one error class of weft: a name from the catalogue, a message that says what to change, and the cause. */
export class WeftError extends Error {
  override readonly name = 'WeftError';
  readonly code: ErrorName;
  readonly cniCode: number;
  readonly details: string;

  constructor(code: ErrorName, message: string, options: WeftErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.cniCode = options.cniCode ?? catalogue[code].cniCode;
    this.details = options.details ?? '';
  }
}

/** True for a WeftError of one of the given names. */
export function isWeftError(error: unknown, ...names: readonly ErrorName[]): error is WeftError {
  return error instanceof WeftError && (names.length === 0 || names.includes(error.code));
}

/** What is wrong and what to do about it, in one line. */
export function describeWithAdvice(error: unknown): string {
  const details = isWeftError(error) ? error.details : '';
  return details === '' ? describeError(error) : `${describeError(error)}: ${details}`;
}

/** The text of anything that was thrown, with the causes underneath it. For logs and for `details`. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.message === '' ? error.name : error.message;
  return error.cause === undefined ? own : `${own}: ${describeError(error.cause)}`;
}
