/** A process that runs while the test does, and what it has written so far. */
import type { ChildProcess } from 'node:child_process';

/** A process that says nothing for so long fails its test instead of stopping the run. */
const deadlineMs = 30_000;

/** The lifetime is the process's own. */
export class WatchedProcess {
  /** stdout and stderr, as they came. */
  output = '';
  /** The exit status, null after a signal. */
  readonly ended: Promise<number | null>;
  readonly #name: string;
  readonly #waiters = new Set<() => void>();
  #isOver = false;

  constructor(name: string, child: ChildProcess) {
    this.#name = name;
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        this.#isOver = true;
        this.#hear('');
        resolve(code);
      });
    });
  }

  /** Waits until the process has written something. @throws Error with its words where it ends or is late */
  async heard(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = performance.now() + deadlineMs;
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null) return match;
      const leftMs = deadline - performance.now();
      if (this.#isOver || leftMs <= 0) throw new Error(`${this.#name} ${this.#isOver ? 'ended' : 'was late'} before it wrote ${pattern}:\n${this.output}`);
      await this.#change(leftMs);
    }
  }

  #hear(text: string): void {
    this.output += text;
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  #change(leftMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, leftMs);
      this.#waiters.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
