/**
 * A private FRR for tests: a zebra and a bgpd in a directory and a network namespace of their own. Nothing of a system-wide FRR
 * is seen or touched.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause, withDeadline } from '../sys/timer.ts';
import { inNetns, run, runIn } from './command.ts';
import { temporaryDirectory } from './directory.ts';
import { undoAtExit } from './exit-cleanup.ts';
import { createNetns, type TeardownScope } from './netns.ts';
import type { Requirements } from './requirements.ts';

/** The two daemons: zebra speaks to the kernel, bgpd to the other nodes and to zebra. */
export type FrrProgram = 'zebra' | 'bgpd';

/** Where Debian's package has the daemons; they are on nobody's PATH. */
const daemonDirectory = '/usr/lib/frr';
const startDeadlineMs = 20_000;
/** For a daemon that was asked to end, before it is killed. */
const endDeadlineMs = 5000;
const logBytesShown = 2000;
const pollMs = 10;

/** What a test that starts an FRR asks of skipUnless(). */
export const frrRequirements: Requirements = {
  root: true,
  tools: ['ip', 'chown', 'vtysh'],
  executables: [join(daemonDirectory, 'zebra'), join(daemonDirectory, 'bgpd')],
};

/** What the daemons' configuration files say when they start for the first time. @default empty */
export type FrrConfiguration = Readonly<Partial<Record<FrrProgram, string>>>;

/** The two daemons, and vtysh to read them back with. */
export class Frr {
  /** The namespace both run in. */
  readonly netns: string;
  /** Holds the sockets, the configuration and the logs; `controlPlane.runDirectory` of a node there. */
  readonly runDirectory: string;
  readonly #children = new Map<FrrProgram, ChildProcess>();
  #forget: () => void = () => undefined;

  constructor({ netns, directory, configuration }: { readonly netns: string; readonly directory: string; readonly configuration: FrrConfiguration }) {
    this.netns = netns;
    this.runDirectory = directory;
    for (const program of ['zebra', 'bgpd'] as const) writeFileSync(this.configPath(program), configuration[program] ?? '');
    // The daemons give up being root, and make their sockets here.
    run('chown', ['-R', 'frr:frr', directory]);
  }

  /** The file a daemon reads when it starts. */
  configPath(program: FrrProgram): string {
    return join(this.runDirectory, `${program}.conf`);
  }

  /** The process id. @throws Error where it does not run */
  pidOf(program: FrrProgram): number {
    const pid = this.#children.get(program)?.pid;
    if (pid === undefined) throw new Error(`${program} does not run`);
    return pid;
  }

  /**
   * Starts a daemon that does not run, with what its configuration file says. bgpd looks for zebra when it starts, and then only every
   * ten seconds: zebra first.
   * @throws Error with the end of its log when it ends or is not ready in time
   */
  async start(program: FrrProgram): Promise<void> {
    if (this.#children.has(program)) throw new Error(`${program} runs already`);
    // One that was killed has left it behind: it would look ready.
    rmSync(this.#socketPath(program), { force: true });
    const child = this.#spawn(program);
    this.#children.set(program, child);
    if (this.#children.size === 1) this.#forget = undoAtExit(() => this.#killAll());
    try {
      await this.#waitUntilReady(program, child);
    } catch (error) {
      await this.kill(program);
      throw new Error(`${program} did not start: ${this.#endOfLog(program)}`, { cause: error });
    }
  }

  /**
   * Ends a daemon, and waits until it is gone; one that does not follow SIGTERM in time is killed. Does nothing where it does not run.
   * @param signal SIGKILL as in a crash, SIGTERM as systemd does
   */
  async kill(program: FrrProgram, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#children.get(program);
    if (child === undefined) return;
    this.#children.delete(program);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    child.kill(signal);
    await withDeadline(ended, { ms: endDeadlineMs, late: () => child.kill('SIGKILL') });
    await ended;
  }

  /** Ends a daemon and starts it again. @throws Error as start() does */
  async restart(program: FrrProgram, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    await this.kill(program, signal);
    await this.start(program);
  }

  /** Sends a daemon a signal, such as SIGSTOP for one that is to fall silent. @throws Error where it does not run */
  signal(program: FrrProgram, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGHUP'): void {
    process.kill(this.pidOf(program), signal);
  }

  /** Runs commands of vtysh in one process, as a user types them. @returns their output @throws Error as run() does */
  vtysh(...commands: readonly string[]): string {
    return run('vtysh', ['--vty_socket', this.runDirectory, ...commands.flatMap((command) => ['-c', command])]);
  }

  /** What a daemon has logged so far, for a test that failed. Empty where it never ran. */
  log(program: FrrProgram): string {
    try {
      return readFileSync(this.#logPath(program), 'utf8');
    } catch {
      return '';
    }
  }

  /** Ends both daemons. Their files go away with the directory. May be repeated. */
  async stop(): Promise<void> {
    await this.kill('bgpd');
    await this.kill('zebra');
    this.#forget();
  }

  #killAll(): void {
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }

  /** What ends before it has a log to write to says so on stderr: both go to the same file. */
  #spawn(program: FrrProgram): ChildProcess {
    const log = openSync(this.#logPath(program), 'a');
    try {
      const child = spawn('ip', inNetns(this.netns, join(daemonDirectory, program), ...this.#argumentsOf(program)), { stdio: ['ignore', log, log] });
      // An 'error' without a listener would end the test's process; the missing socket is noticed anyway.
      return child.on('error', () => undefined);
    } finally {
      closeSync(log);
    }
  }

  /** Only user and group frr are members of frrvty, whose the sockets must be. No port for telnet. */
  #argumentsOf(program: FrrProgram): readonly string[] {
    const files = ['-f', this.configPath(program), '-i', join(this.runDirectory, `${program}.pid`), '-z', join(this.runDirectory, 'zserv.api')];
    return ['-u', 'frr', '-g', 'frr', '-A', '127.0.0.1', '-P', '0', '--vty_socket', this.runDirectory, ...files, '--log', 'stdout', '--log-level', 'informational'];
  }

  /** The socket is there before the daemon answers on it. */
  async #waitUntilReady(program: FrrProgram, child: ChildProcess): Promise<void> {
    const deadline = performance.now() + startDeadlineMs;
    const isUp = (): boolean => existsSync(this.#socketPath(program));
    while (!isUp()) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended');
      if (performance.now() > deadline) throw new Error('it made no socket');
      await pause(pollMs);
    }
    run('vtysh', ['--vty_socket', this.runDirectory, '-d', program, '-c', 'show version']);
  }

  #socketPath(program: FrrProgram): string {
    return join(this.runDirectory, `${program}.vty`);
  }

  #logPath(program: FrrProgram): string {
    return join(this.runDirectory, `${program}.log`);
  }

  #endOfLog(program: FrrProgram): string {
    return this.log(program).slice(-logBytesShown).trim() || 'it logged nothing';
  }
}

/**
 * Starts an FRR that ends with the scope, or with this process.
 * @param options.netns the namespace to run in, which must outlive the scope; default: a new one, which goes away with it. Its loopback is set up.
 * @throws Error with the end of the log of what did not start
 */
export async function startFrr(scope: TeardownScope, options: { readonly netns?: string; readonly configuration?: FrrConfiguration } = {}): Promise<Frr> {
  const netns = options.netns ?? createNetns(scope, 'frr');
  runIn(netns, 'ip', 'link', 'set', 'lo', 'up');
  const frr = new Frr({ netns, directory: temporaryDirectory(scope), configuration: options.configuration ?? {} });
  scope.teardown(() => frr.stop());
  await frr.start('zebra');
  await frr.start('bgpd');
  return frr;
}
