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
    this.begin(seq);
    try {
      return await work();
    } finally {
      this.end(seq);
    }
  }

  /** For work that begins inside a transaction: other calls see the attachment as soon as that is committed. */
  begin(seq: number): void {
    this.#counts.set(seq, (this.#counts.get(seq) ?? 0) + 1);
  }

  end(seq: number): void {
    const count = (this.#counts.get(seq) ?? 1) - 1;
    if (count === 0) this.#counts.delete(seq);
    else this.#counts.set(seq, count);
  }
}
