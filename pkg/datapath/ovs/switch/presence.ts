/**
 * Whether the switch is there, for those who would rather come again than wait, such as a DEL.
 *
 * One question at a time is under way, for everybody: whoever asks first waits a little for its answer, and whoever comes later waits no
 * longer than that one. So many calls, one behind the other, do not each wait for a switch that is known to be gone. Those who were turned
 * away are told when it is back.
 */
import { WeftError } from '../../../errors/weft-error.ts';
import { startTimer, withDeadline } from '../../../sys/timer.ts';

/** What presence is made of. */
export interface PresenceParts {
  /** Fulfilled when the switch has answered; rejected when it has not for long, after which it is asked again where somebody was turned away. */
  readonly ask: () => Promise<unknown>;
  /** Why it cannot be reached, where that is known. */
  readonly describeOutage: () => string | undefined;
  /** How long, in milliseconds, an answer is waited for. */
  readonly patienceMs: number;
}

interface Question {
  readonly askedAt: number;
  /** Whether it was answered; never rejects. */
  readonly answer: Promise<{ readonly error?: unknown }>;
}

/** Of one switch. */
export class Presence {
  readonly #parts: PresenceParts;
  readonly #listeners = new Set<() => void>();
  #question: Question | undefined;
  #isMissed = false;
  #isClosed = false;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /** Fulfilled when the switch answers. @throws WeftError tryAgainLater where it does not soon; what the question is answered with */
  async require(): Promise<void> {
    const { patienceMs, describeOutage } = this.#parts;
    const { askedAt, answer } = (this.#question ??= this.#begin());
    const outcome = await withDeadline(answer, { ms: Math.max(0, askedAt + patienceMs - performance.now()), late: () => undefined });
    if (outcome === undefined) {
      this.#isMissed = true;
      const silentMs = Math.round(performance.now() - askedAt);
      throw new WeftError('tryAgainLater', `Open vSwitch does not answer, for ${silentMs} ms by now${because(describeOutage())}`, { details: 'Look whether ovsdb-server and ovs-vswitchd run.' });
    }
    if (outcome.error !== undefined) throw outcome.error;
  }

  /** Waits for what the switch is at, as long as it is there. @returns and throws what the work does @throws WeftError as require(); the work goes on */
  async during<R>(work: Promise<R>): Promise<R> {
    // Whoever has been turned away no longer listens.
    work.catch(() => undefined);
    const settled = work.then(() => true, () => true);
    while ((await withDeadline(settled, { ms: this.#parts.patienceMs, late: () => false })) === false) await this.require();
    return work;
  }

  /** Calls the function when the switch answers after somebody was turned away. It must not throw. @returns a function that ends it */
  onReturn(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks no more. */
  close(): void {
    this.#isClosed = true;
  }

  #begin(): Question {
    const answer = this.#parts.ask().then(() => ({}), (error: unknown) => ({ error }));
    void answer.then(({ error }: { error?: unknown }) => this.#end(error));
    return { askedAt: performance.now(), answer };
  }

  #end(error: unknown): void {
    this.#question = undefined;
    if (!this.#isMissed || this.#isClosed) return;
    if (error !== undefined) return void startTimer(this.#parts.patienceMs, () => this.#askAgain());
    this.#isMissed = false;
    for (const listener of [...this.#listeners]) listener();
  }

  #askAgain(): void {
    if (!this.#isClosed && this.#isMissed) this.#question ??= this.#begin();
  }
}

function because(outage: string | undefined): string {
  return outage === undefined ? '' : `: ${outage}`;
}
