/** The daemon under measurement: one process in the node's namespace. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inNetns } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import { parseCalls, type LoggedCall } from './daemon-log.ts';
import type { LabNode } from './lab.ts';
import { readCpuMs } from './proc.ts';

const startDeadlineMs = 30_000;
const stopDeadlineMs = 60_000;
/** How often the socket is tried while the daemon starts: also the precision of the time that it takes. */
const tryEveryMs = 2;

/** How long it must have used no processor time to count as idle. */
const quietMs = 500;
const settleDeadlineMs = 15_000;

let started = 0;

export class Daemon {
  readonly pid: number;
  /** Milliseconds from the exec to a connection. */
  readonly startMs: number;
  readonly #child: ChildProcess;
  readonly #logPath: string;

  /** Starts it and waits until it takes calls. @throws Error with its log when it does not */
  static async start({ scope, node, directory, executables, env }: LabNode, { logLevel }: { readonly logLevel: 'info' | 'debug' }): Promise<Daemon> {
    started += 1;
    const logPath = join(directory, `daemon-${started}.log`);
    const log = openSync(logPath, 'w');
    const startedAt = performance.now();
    const args = inNetns(node, executables.weft, 'daemon', '--log-level', logLevel);
    const child = spawn('ip', args, { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'ignore', log] });
    closeSync(log);
    const forget = undoAtExit(() => child.kill('SIGKILL'));
    child.once('exit', forget);
    scope.teardown(() => stopChild(child));
    await waitUntilItListens(child, { socketPath: join(env['WEFT_RUN_DIR'] ?? '', 'weft.sock'), logPath });
    return new Daemon(child, { startMs: performance.now() - startedAt, logPath });
  }

  private constructor(child: ChildProcess, { startMs, logPath }: { readonly startMs: number; readonly logPath: string }) {
    this.#child = child;
    this.#logPath = logPath;
    this.startMs = startMs;
    // It has been connected to, and so it has one.
    this.pid = child.pid as number;
  }

  /** What it has logged of calls that succeeded. */
  calls(): readonly LoggedCall[] {
    return parseCalls(readFileSync(this.#logPath, 'utf8'));
  }

  /**
   * Waits until it uses no processor time, so that work which earlier calls left behind is in no figure. One that never
   * comes to rest is measured as it is, and the figures say so.
   */
  async settle(): Promise<void> {
    const deadline = performance.now() + settleDeadlineMs;
    for (let before = -1, now = readCpuMs(this.pid); now !== before && performance.now() < deadline;) {
      await sleep(quietMs);
      [before, now] = [now, readCpuMs(this.pid)];
    }
  }

  /** As the service manager stops it. @throws Error when it does not end in time */
  async stop(): Promise<void> {
    await stopChild(this.#child);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (hasEnded(child) || child.pid === undefined) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs);
  await exited;
  clearTimeout(late);
  if (child.signalCode === 'SIGKILL') throw new Error(`the daemon did not end within ${stopDeadlineMs} ms of SIGTERM`);
}

async function waitUntilItListens(child: ChildProcess, { socketPath, logPath }: { readonly socketPath: string; readonly logPath: string }): Promise<void> {
  const deadline = performance.now() + startDeadlineMs;
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  while (!(await canConnect(socketPath))) {
    const words = readFileSync(logPath, 'utf8').trim();
    if (failure !== undefined || hasEnded(child)) throw new Error(`the daemon cannot be started: ${words}`, { cause: failure });
    if (performance.now() > deadline) throw new Error(`the daemon does not listen on ${socketPath} after ${startDeadlineMs} ms: ${words}`);
    await sleep(tryEveryMs);
  }
}

async function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}
