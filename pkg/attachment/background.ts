/**
 * Work that begins in a call and that no answer waits for. What fails is said, and found by the next pass over the node. A process that
 * ends with its call has none: it waits.
 */
import { describeError } from '../errors/weft-error.ts';

/** What is left running when calls have been answered. */
export class Background {
  readonly #running = new Set<Promise<void>>();
  readonly #warn: (message: string) => void;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** Lets the work go on. @param what the words for its failure: `<what> failed: …` */
  leave(work: Promise<void>, what: string): void {
    const running = work.catch((error: unknown) => this.#warn(`${what} failed: ${describeError(error)}`)).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Fulfilled when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
