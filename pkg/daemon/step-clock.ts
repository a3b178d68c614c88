/** Where the time of a call goes, for whoever looks: off unless the log is at its most talkative. */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Milliseconds by step. */
export type Steps = Readonly<Record<string, number>>;

/** Adds up what the steps of each call take, however calls interleave. */
export class StepClock {
  readonly #calls = new AsyncLocalStorage<Map<string, number>>();

  /** Runs a call; returns what came of it, and the steps it took. */
  async watch<T>(call: () => Promise<T>): Promise<{ readonly result: T; readonly steps: Steps }> {
    const steps = new Map<string, number>();
    const result = await this.#calls.run(steps, call);
    return { result, steps: Object.fromEntries([...steps].map(([step, ms]) => [step, Math.round(ms * 1000) / 1000])) };
  }

  /** Runs a step of the call that is under way; the step of a promise ends when that is settled. */
  time<T>(step: string, work: () => T): T {
    const steps = this.#calls.getStore();
    if (steps === undefined) return work();
    const startedAt = performance.now();
    const note = (): void => void steps.set(step, (steps.get(step) ?? 0) + performance.now() - startedAt);
    let result: T;
    try {
      result = work();
    } catch (error) {
      note();
      throw error;
    }
    if (result instanceof Promise) void result.then(note, note);
    else note();
    return result;
  }
}
