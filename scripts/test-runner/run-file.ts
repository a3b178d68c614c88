/** Runs one test file in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { TapReader, type FileReport } from './tap-report.ts';

export interface RunOptions {
  /** Directory that the path is relative to, and that the test runs in. */
  readonly root: string;
  /** A file that is not done by then is ended. */
  readonly deadlineMs: number;
}

export interface FileRun extends FileReport {
  readonly path: string;
  /** The last lines the process wrote to stderr. */
  readonly stderr: string;
  readonly durationMs: number;
}

/** Time between asking a late process to end and ending it: it may have namespaces to remove. */
const graceMs = 10_000;
/** Time that a grandchild which still holds the pipes is waited for. */
const pipesMs = 2_000;
const stderrCharactersMax = 8_000;

const running = new Set<ChildProcess>();

/** Asks every test file that is still running to end. For a runner that is told to end itself. */
export function endRunningFiles(): void {
  for (const child of running) child.kill('SIGTERM');
}

/** Runs one test file to its end or to its deadline. However it ends is a report. @throws Error when there is no process to be had */
export async function runTestFile(path: string, { root, deadlineMs }: RunOptions): Promise<FileRun> {
  const startedAt = performance.now();
  // tap gives the whole file 30 s unless told otherwise; the deadline here is the one that counts.
  const env = { ...process.env, TAP_TIMEOUT: String(Math.ceil((deadlineMs + graceMs) / 1000)) };
  const child = spawn(process.execPath, [path], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const reader = new TapReader();
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => reader.write(chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr = (stderr + chunk).slice(-stderrCharactersMax)));

  const ending = await awaitEnd(child, deadlineMs);
  return { ...reader.finish(ending), path, stderr, durationMs: performance.now() - startedAt };
}

/** @returns how the process ended where that is a fault in itself */
async function awaitEnd(child: ChildProcess, deadlineMs: number): Promise<string | undefined> {
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    child.kill('SIGTERM');
  }, deadlineMs);
  const execution = setTimeout(() => child.kill('SIGKILL'), deadlineMs + graceMs);
  const closed = once(child, 'close');
  running.add(child);
  try {
    const [status, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    await Promise.race([closed, wait(pipesMs, undefined, { ref: false })]);
    if (isLate) return `not done within ${deadlineMs / 1000} s`;
    if (signal !== null) return `ended by ${signal}`;
    return status === 0 ? undefined : `exit status ${status}`;
  } finally {
    clearTimeout(deadline);
    clearTimeout(execution);
    running.delete(child);
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}
