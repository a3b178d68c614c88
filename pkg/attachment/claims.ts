/**
 * Which attachments the calls of this process are working on, by sequence number. The ledger names the process only, and a
 * daemon answers many calls at once: without this each would take another's half-made attachment for an interrupted one.
 */
export class Claims {
  readonly #counts = new Map<number, number>();

  /** Whether a call of this process is working on the attachment. */
  has(seq: number): boolean {
    return this.#counts.has(seq);
  }

  /** Runs a function that works on the attachment. */
  async hold<T>(seq: number, work: () => Promise<T>): Promise<T> {
    this.#counts.set(seq, (this.#counts.get(seq) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const count = (this.#counts.get(seq) ?? 1) - 1;
      if (count === 0) this.#counts.delete(seq);
      else this.#counts.set(seq, count);
    }
  }
}
