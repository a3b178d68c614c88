/** The process that executes the plugins and takes the time: spawner.c, compiled here, inside the node's namespace. */
import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import { inNetns } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { answerLength, decodeAnswer, encodeRequest, type BurstOutcome, type Job, type JobOutcome } from './spawner-wire.ts';

/** For all jobs of a burst together; the reference needs a second or two for 64. */
const burstDeadlineMs = 60_000;
const compileDeadlineMs = 30_000;

export interface SpawnerOptions {
  /** The namespace it runs in; absent: this process's own. */
  readonly netns?: string;
  /** Where the compiled program is put. */
  readonly directory: string;
}

interface Waiting {
  readonly resolve: (outcome: BurstOutcome) => void;
  readonly reject: (error: Error) => void;
}

/** One request at a time: what is measured shares the machine with nothing else of the benchmark's. */
export class Spawner {
  readonly #child: ChildProcessWithoutNullStreams;
  /** By executable and verb. */
  readonly #executions = new Map<string, number>();
  #received: Buffer = Buffer.alloc(0);
  #said = '';
  #waiting: Waiting | undefined;

  /** @throws Error when there is no compiler, or the program does not compile */
  static start(scope: TeardownScope, { netns, directory }: SpawnerOptions): Spawner {
    const program = join(directory, 'spawner');
    const source = join(import.meta.dirname, 'spawner.c');
    execFileSync(process.env['CC'] ?? 'gcc', ['-std=c11', '-D_GNU_SOURCE', '-O2', '-static', '-Wall', '-Wextra', '-o', program, source], { timeout: compileDeadlineMs });
    const [file, args] = netns === undefined ? [program, []] : ['ip', inNetns(netns, program)];
    const spawner = new Spawner(spawn(file, args));
    scope.teardown(() => spawner.#stop());
    return spawner;
  }

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (this.#said += chunk));
    // Not EPIPE: its own last words say why it ended.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => this.#fail(error));
    child.on('close', () => this.#fail(new Error(`the spawner ended: ${this.#said.trim()}`)));
  }

  /** Starts all jobs at once and waits for the last. A job that fails is no error here; one that cannot be executed is. */
  async run(jobs: readonly Job[]): Promise<BurstOutcome> {
    if (this.#waiting !== undefined) throw new Error('the spawner does one burst after the other: wait for the one before');
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null) return reject(new Error(`the spawner has ended: ${this.#said.trim()}`));
      this.#waiting = { resolve, reject };
      for (const job of jobs) this.#count(job);
      this.#child.stdin.write(encodeRequest(jobs, burstDeadlineMs));
    });
  }

  /** One job that must succeed. @throws Error with what it said */
  async runOne(job: Job): Promise<JobOutcome> {
    const outcome = (await this.runAll([job])).jobs[0];
    if (outcome === undefined) throw new Error('the spawner answered without an outcome');
    return outcome;
  }

  /** Jobs that must all succeed. @throws Error with what the first said that did not */
  async runAll(jobs: readonly Job[]): Promise<BurstOutcome> {
    const burst = await this.run(jobs);
    burst.jobs.forEach(({ exitStatus, output }, index) => {
      if (exitStatus !== 0) throw new Error(`${jobs[index]?.executable} ${jobs[index]?.env['CNI_COMMAND'] ?? ''} failed with status ${exitStatus}: ${output.trim()}`);
    });
    return burst;
  }

  /** How often an executable has been called with a verb. */
  executions(executable: string, verb: string): number {
    return this.#executions.get(`${executable} ${verb}`) ?? 0;
  }

  #count({ executable, env }: Job): void {
    const key = `${executable} ${env['CNI_COMMAND'] ?? ''}`;
    this.#executions.set(key, (this.#executions.get(key) ?? 0) + 1);
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    const length = answerLength(this.#received);
    if (length === undefined || this.#received.length < length) return;
    const answer = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    this.#settle()?.resolve(decodeAnswer(answer));
  }

  #fail(error: Error): void {
    this.#settle()?.reject(error);
  }

  #settle(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  /** It ends when its input does. */
  async #stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = new Promise<void>((resolve) => this.#child.once('close', () => resolve()));
    this.#child.stdin.end();
    // Only in the middle of a burst, after an error, is it not ready to end.
    if (this.#waiting !== undefined) this.#child.kill('SIGKILL');
    await closed;
  }
}
