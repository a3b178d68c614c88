import type { Log } from '../log/log.ts';
import { startTimer } from '../sys/timer.ts';

/** Kinds of refusals that are told apart in one line. */
const kindsMax = 8;

/** Says who was closed on, and why: one line for a while, for a thousand callers that try again must not fill the log. */
export class RefusalLog {
  readonly #log: Log;
  readonly #reportMs: number;
  readonly #kinds = new Map<string, number>();
  #count = 0;
  #stop: () => void = () => undefined;

  constructor(log: Log, reportMs: number) {
    this.#log = log;
    this.#reportMs = reportMs;
  }

  /** The address may be anybody's. */
  note(address: string, reason: string): void {
    this.#count += 1;
    const kind = `${address}: ${reason}`;
    if (this.#kinds.has(kind) || this.#kinds.size < kindsMax) this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    if (this.#count === 1) this.#stop = startTimer(this.#reportMs, () => this.flush());
  }

  /** Says now what has not been said yet. */
  flush(): void {
    this.#stop();
    if (this.#count === 0) return;
    const callers = [...this.#kinds].map(([kind, count]) => (count === 1 ? kind : `${kind} (${count} times)`));
    this.#log.warn({ code: 'migration-refused', connections: this.#count, callers }, 'closed connections of the migration channel');
    this.#kinds.clear();
    this.#count = 0;
  }
}
