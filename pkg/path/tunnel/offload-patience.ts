/**
 * How long a remedy stays before the way is tested without it: a round, or, of what has come back soon after it was gone, twice as many as
 * before. Pure.
 */

const roundsMax = 16;
/** So many times as long as it stayed without being needed, a relapse is one. */
const relapseFactor = 10;

interface State {
  readonly rounds: number;
  /** Of them, until the next that tests. */
  readonly left: number;
  /** Milliseconds since the epoch; absent: it has not been on again yet. */
  readonly endedAt?: number;
}

/** Remembers by VTEP. */
export class Patience {
  readonly #states = new Map<string, State>();

  /** A remedy is in force from now on. */
  begin(key: string, { now, roundMs }: { readonly now: number; readonly roundMs: number }): void {
    const { rounds: before = 1, endedAt } = this.#states.get(key) ?? {};
    const isRelapse = endedAt !== undefined && now - endedAt < relapseFactor * before * roundMs;
    const rounds = isRelapse ? Math.min(before * 2, roundsMax) : 1;
    this.#states.set(key, { rounds, left: rounds - 1 });
  }

  /** Whether this round is to test; to be called once in each. Of a remedy of an earlier daemon, which may not be quite gone, the second is the first. */
  isDue(key: string): boolean {
    const { left, ...state } = this.#states.get(key) ?? { rounds: 1, left: 1 };
    const isDue = left <= 0;
    this.#states.set(key, { ...state, left: (isDue ? state.rounds : left) - 1 });
    return isDue;
  }

  /** The remedy is no longer in force. */
  end(key: string, now: number): void {
    this.#states.set(key, { ...(this.#states.get(key) ?? { rounds: 1, left: 0 }), endedAt: now });
  }

  /** The next round tests all. */
  forgo(): void {
    for (const [key, state] of this.#states) this.#states.set(key, { ...state, left: 0 });
  }
}
