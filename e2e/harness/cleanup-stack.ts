import type { TeardownScope } from '../../pkg/testing/netns.ts';

/** Clean-up outside of tests: what tap's `t.teardown` is inside of them. Last registered, first undone. */
export class CleanupStack implements TeardownScope {
  readonly #undos: (() => void | Promise<void>)[] = [];

  teardown(undo: () => void | Promise<void>): void {
    this.#undos.push(undo);
  }

  /** Undoes everything, also after one undo failed. @throws AggregateError of what failed */
  async run(): Promise<void> {
    const errors: unknown[] = [];
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'cleaning up failed');
  }
}
