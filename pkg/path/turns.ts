/** So many at once, the others in the order in which they came. */
export class Turns {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Does it when it is its turn. Rejects as the work does. */
  async take(work: () => Promise<void>): Promise<void> {
    if (this.#count >= this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#count += 1;
    try {
      await work();
    } finally {
      // The turn passes on to the next one, or is free.
      const next = this.#waiting.shift();
      if (next === undefined) this.#count -= 1;
      else next();
    }
  }
}
