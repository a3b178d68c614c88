/** What is to be done in a moment that must not wait for anything: it is made ready before, and found by what the moment's message says. */
export class Readiness<T> {
  readonly #byKey = new Map<string, () => T>();
  readonly #keys = new Map<number, readonly string[]>();
  readonly #onChange: (isReady: boolean) => void;

  /** @param onChange called when something is ready, and when nothing is any more */
  constructor(onChange: (isReady: boolean) => void) {
    this.#onChange = onChange;
  }

  /** Makes it ready, in the place of what was ready for the attachment. */
  note(seq: number, keys: readonly string[], run: () => T): void {
    this.forget(seq);
    if (this.#keys.size === 0) this.#onChange(true);
    this.#keys.set(seq, keys);
    for (const key of keys) this.#byKey.set(key, run);
  }

  /** Nothing of the attachment's is ready any more. */
  forget(seq: number): void {
    for (const key of this.#keys.get(seq) ?? []) this.#byKey.delete(key);
    if (this.#keys.delete(seq) && this.#keys.size === 0) this.#onChange(false);
  }

  /** Does what is ready under the key, if anything is. */
  run(key: string): T | undefined {
    return this.#byKey.get(key)?.();
  }
}
