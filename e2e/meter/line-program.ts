/** A program in C, compiled when a test starts it, that answers each line on its stdin by a line of JSON. */
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const compileDeadlineMs = 30_000;
/** What waits for packets under way does so for up to ten seconds. */
const answerDeadlineMs = 30_000;

export interface LineProgramOptions {
  /** What a person calls it. */
  readonly name: string;
  /** Paths of its sources. */
  readonly sources: readonly string[];
  readonly args: readonly string[];
}

/** Its process. Commands are done in the order in which they are given. */
export class LineProgram {
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #answers: AsyncIterator<string>;
  #said = '';

  /** Compiles and starts it; it ends with the scope. @throws Error when there is no compiler */
  static start(scope: TeardownScope, { name, sources, args }: LineProgramOptions): LineProgram {
    const directory = mkdtempSync(join(tmpdir(), `weft-${name}-`));
    try {
      const path = join(directory, name);
      execFileSync(process.env['CC'] ?? 'gcc', ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-o', path, ...sources], { timeout: compileDeadlineMs });
      const program = new LineProgram(name, path, args);
      const forget = undoAtExit(() => void program.#child.kill('SIGKILL'));
      scope.teardown(async () => {
        forget();
        await program.stop();
        rmSync(directory, { recursive: true, force: true });
      });
      return program;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(name: string, path: string, args: readonly string[]) {
    this.#name = name;
    this.#child = spawn(path, args, { stdio: 'pipe' });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    // Its own last words say why it ended.
    this.#child.stdin.on('error', () => undefined);
  }

  /** Gives it a line. @returns its answer @throws Error with its words where it cannot, and where it has ended */
  async command(line: string): Promise<unknown> {
    this.#child.stdin.write(`${line}\n`);
    let cancel: () => void = () => undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the ${this.#name} did not answer ${line}`)), answerDeadlineMs);
      cancel = () => clearTimeout(timer);
    });
    const answer = await Promise.race([this.#answers.next(), late]).finally(cancel);
    if (answer.done === true) throw new Error(`the ${this.#name} ended before it answered ${line}: ${this.#said.trim()}`);
    const value = JSON.parse(answer.value) as { readonly error?: string };
    if (value.error !== undefined) throw new Error(`the ${this.#name} cannot ${line}: ${value.error}`);
    return value;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
