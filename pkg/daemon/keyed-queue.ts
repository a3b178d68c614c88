/** Work that must not overlap: what has the same key runs one after the other, in the order in which it came. */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs the work when all earlier work of the key has ended, however it ended. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const earlier = this.#tails.get(key);
    const own = earlier === undefined ? work() : earlier.then(work);
    const tail = own.then(() => undefined, () => undefined);
    this.#tails.set(key, tail);
    try {
      return await own;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
