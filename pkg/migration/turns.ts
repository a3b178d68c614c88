/** Work on one attachment at a time, in the order in which it comes; without others before it, it begins at once. */
export class Turns {
  readonly #last = new Map<number, Promise<unknown>>();

  /** Runs the work when all earlier work on the attachment has ended, however it ended. */
  async run<T>(seq: number, work: () => Promise<T>): Promise<T> {
    const earlier = this.#last.get(seq);
    const own = earlier === undefined ? work() : earlier.then(work, work);
    this.#last.set(seq, own);
    try {
      return await own;
    } finally {
      if (this.#last.get(seq) === own) this.#last.delete(seq);
    }
  }
}
