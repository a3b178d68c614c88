/** Who comes when: what is asked for within one turn of the event loop goes together, and what is about the same name one behind the other. */
import { nextTurn } from '../../../sys/timer.ts';

/** Collects what comes within one turn of the event loop. */
export class TurnBatch<T> {
  readonly #carryOut: (items: readonly T[]) => void;
  #items: T[] = [];

  constructor(carryOut: (items: readonly T[]) => void) {
    this.#carryOut = carryOut;
  }

  /** Adds one; all are carried out together before long. */
  push(item: T): void {
    this.#items.push(item);
    if (this.#items.length === 1) void nextTurn().then(() => this.#flush());
  }

  #flush(): void {
    const items = this.#items;
    this.#items = [];
    this.#carryOut(items);
  }
}

/** Lets tasks that share a name run one behind the other, in the order of the calls. */
export class NameTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Whether a task that has the name is under way, or waits. */
  has(name: string): boolean {
    return this.#last.has(name);
  }

  /** Runs the task when nothing that was asked for before has one of its names. @returns and throws what it does */
  async run<R>(names: readonly string[], task: () => Promise<R>): Promise<R> {
    const before = names.map((name) => this.#last.get(name));
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    for (const name of names) this.#last.set(name, ended);
    try {
      await Promise.all(before);
      return await task();
    } finally {
      for (const name of names) if (this.#last.get(name) === ended) this.#last.delete(name);
      end();
    }
  }
}
