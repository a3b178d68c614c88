/** One deadline for several steps: each has what the ones before it left. */
export class Deadline {
  readonly #endsAt: number;
  /** What it was to begin with, in milliseconds, for messages. */
  readonly ms: number;

  constructor(ms: number) {
    this.ms = ms;
    this.#endsAt = performance.now() + ms;
  }

  /** What is left of it, in whole milliseconds; at least 1, so that the step itself says that it is late. */
  get deadlineMs(): number {
    return Math.max(1, Math.ceil(this.#endsAt - performance.now()));
  }

  get isOver(): boolean {
    return performance.now() >= this.#endsAt;
  }
}
