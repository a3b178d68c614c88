import { WeftError } from '../errors/weft-error.ts';
import type { Refusal } from './refusal.ts';

/** What became of a request that was not done as it was asked. */
export type OpenFlowFailure =
  /** The switch said no. */
  | 'refused'
  /** Nobody listens, or not for OpenFlow 1.3, or the connection has ended before. Nothing was sent. */
  | 'absent'
  /** The connection ended first. */
  | 'lost'
  /** There was no answer in time. */
  | 'late'
  /** The answer cannot be read. */
  | 'garbled';

/** A request to a switch that failed. */
export class OpenFlowError extends WeftError {
  readonly failure: OpenFlowFailure;
  /** Where the switch refused: with which words. */
  readonly refusal: Refusal | undefined;

  constructor(failure: OpenFlowFailure, message: string, options: { readonly refusal?: Refusal; readonly cause?: unknown } = {}) {
    super(failure === 'late' || failure === 'lost' ? 'tryAgainLater' : 'ioFailure', message, { cause: options.cause });
    this.failure = failure;
    this.refusal = options.refusal;
  }

  /** The switch may have done what it was asked, or not: look before asking again. */
  get isOutcomeUnknown(): boolean {
    return this.failure === 'lost' || this.failure === 'late' || this.failure === 'garbled';
  }
}

/** True for a refusal with one of the names, or with any where none is given. */
export function isSwitchRefusal(error: unknown, ...names: readonly string[]): error is OpenFlowError {
  return error instanceof OpenFlowError && error.refusal !== undefined && (names.length === 0 || names.includes(error.refusal.name));
}
