/**
 * A private Open vSwitch for tests: an ovsdb-server and an ovs-vswitchd with the userspace datapath, in a directory and a
 * network namespace of their own. Nothing of a system-wide Open vSwitch is seen or touched.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../sys/timer.ts';
import { inNetns, run } from './command.ts';
import { temporaryDirectory } from './directory.ts';
import { undoAtExit } from './exit-cleanup.ts';
import { createNetns, type TeardownScope } from './netns.ts';

/** What a test that starts an Open vSwitch asks of skipUnless(). */
export const openVSwitchTools: readonly string[] = ['ip', 'env', 'ovsdb-tool', 'ovsdb-server', 'ovs-vswitchd', 'ovs-vsctl', 'ovs-ofctl', 'ovs-appctl'];

/** The two processes of an Open vSwitch: the database, and the switch that carries out what it says. */
export type OpenVSwitchProgram = 'ovsdb-server' | 'ovs-vswitchd';

/** Where Debian's package and the sources' `make install` keep the schema. */
const schemaPath = '/usr/share/openvswitch/vswitch.ovsschema';
/** Tools of Open vSwitch wait for ever by default; below the deadline of run(), so that the tool itself says what it waited for. */
const toolDeadlineSeconds = 20;
const logBytesShown = 2000;
const pollMs = 10;

/** The two processes, and the system's own tools to read them back with. */
export class OpenVSwitch {
  /** The namespace both run in; where interfaces must be that are to become ports. */
  readonly netns: string;
  /** Holds the database, the sockets and the logs. */
  readonly directory: string;
  readonly #children = new Map<OpenVSwitchProgram, ChildProcess>();
  #forget: () => void = () => undefined;

  constructor({ netns, directory }: { readonly netns: string; readonly directory: string }) {
    this.netns = netns;
    this.directory = directory;
    run('ovsdb-tool', ['create', join(directory, 'conf.db'), schemaPath]);
  }

  /** The socket on which ovsdb-server speaks OVSDB. */
  get databaseSocket(): string {
    return join(this.directory, 'db.sock');
  }

  /** The socket on which ovs-vswitchd speaks OpenFlow for a bridge; there is one while both exist. */
  managementSocket(bridge: string): string {
    return join(this.directory, `${bridge}.mgmt`);
  }

  /** The process id. @throws Error where it does not run */
  pidOf(program: OpenVSwitchProgram): number {
    const pid = this.#children.get(program)?.pid;
    if (pid === undefined) throw new Error(`${program} does not run`);
    return pid;
  }

  /**
   * Starts a process that does not run, with what it kept when it ended. ovs-vswitchd needs the database.
   * @throws Error with the end of its log when it ends or is not ready in time
   */
  async start(program: OpenVSwitchProgram): Promise<void> {
    if (this.#children.has(program)) throw new Error(`${program} runs already`);
    // One that was killed has left it behind: it would look ready.
    rmSync(this.#controlSocket(program), { force: true });
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

  /** Kills a process with SIGKILL, and waits until it is gone. Does nothing where it does not run. */
  async kill(program: OpenVSwitchProgram): Promise<void> {
    const child = this.#children.get(program);
    if (child === undefined) return;
    this.#children.delete(program);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const hasEnded = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
    child.kill('SIGKILL');
    if (!hasEnded) await ended;
  }

  /** Kills a process with SIGKILL and starts it again. @throws Error as start() does */
  async restart(program: OpenVSwitchProgram): Promise<void> {
    await this.kill(program);
    await this.start(program);
  }

  /** Sends a process a signal, such as SIGSTOP for one that is to fall silent. @throws Error where it does not run */
  signal(program: OpenVSwitchProgram, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    process.kill(this.pidOf(program), signal);
  }

  /**
   * Creates a bridge as the userspace datapath needs it; it forwards nothing until it has flows.
   * @throws Error as vsctl() does
   */
  addBridge(bridge: string): void {
    this.vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev', 'fail_mode=secure');
  }

  /** Runs ovs-vsctl, which waits until ovs-vswitchd has done what was changed, unless `--no-wait` is given. @returns its output @throws Error as run() does */
  vsctl(...args: readonly string[]): string {
    return this.#tool('ovs-vsctl', `--db=unix:${this.databaseSocket}`, ...args);
  }

  /** Runs ovs-ofctl for OpenFlow 1.3; a bridge is given by its name. @returns its output @throws Error as run() does */
  ofctl(...args: readonly string[]): string {
    return this.#tool('ovs-ofctl', '--protocols=OpenFlow13', ...args);
  }

  /** Runs a command of ovs-appctl in a process. @returns its output @throws Error as run() does */
  appctl(program: OpenVSwitchProgram, ...args: readonly string[]): string {
    return this.#tool('ovs-appctl', '--target', this.#controlSocket(program), ...args);
  }

  /** What a process has logged so far, for a test that failed. Empty where it never ran. */
  log(program: OpenVSwitchProgram): string {
    try {
      return readFileSync(this.#logPath(program), 'utf8');
    } catch {
      return '';
    }
  }

  /** Ends both processes. Their interfaces go away with the namespace, and their files with the directory. May be repeated. */
  async stop(): Promise<void> {
    await this.kill('ovs-vswitchd');
    await this.kill('ovsdb-server');
    this.#forget();
  }

  #killAll(): void {
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }

  #argumentsOf(program: OpenVSwitchProgram): readonly string[] {
    const own = program === 'ovsdb-server' ? [join(this.directory, 'conf.db'), `--remote=punix:${this.databaseSocket}`] : [`unix:${this.databaseSocket}`, '--disable-system'];
    return [...own, `--unixctl=${this.#controlSocket(program)}`, `--log-file=${this.#logPath(program)}`, '-vconsole:off', '-vsyslog:off'];
  }

  /** What ends before it has a log to write to says so on stderr: both go to the same file. */
  #spawn(program: OpenVSwitchProgram): ChildProcess {
    const log = openSync(this.#logPath(program), 'a');
    try {
      const child = spawn('ip', inNetns(this.netns, program, ...this.#argumentsOf(program)), { stdio: ['ignore', log, log], env: { ...process.env, ...this.#environment() } });
      // An 'error' without a listener would end the test's process; the missing control socket is noticed anyway.
      return child.on('error', () => undefined);
    } finally {
      closeSync(log);
    }
  }

  /** The control socket is there soon or never; then they are asked something that only a process that has done its first work answers. */
  async #waitUntilReady(program: OpenVSwitchProgram, child: ChildProcess): Promise<void> {
    const deadline = performance.now() + toolDeadlineSeconds * 1000;
    while (!existsSync(this.#controlSocket(program))) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended');
      if (performance.now() > deadline) throw new Error('it made no control socket');
      await pause(pollMs);
    }
    if (program === 'ovsdb-server') this.vsctl('--retry', '--no-wait', 'init');
    else this.vsctl('set', 'Open_vSwitch', '.', `external_ids:weft-test-start=${this.pidOf(program)}`);
  }

  #tool(tool: string, ...args: readonly string[]): string {
    const variables = Object.entries(this.#environment()).map(([name, value]) => `${name}=${value}`);
    return run('env', [...variables, tool, `--timeout=${toolDeadlineSeconds}`, ...args]);
  }

  /** ovs-vswitchd makes the bridges' sockets in the run directory; ovs-ofctl looks for them there. */
  #environment(): Readonly<Record<string, string>> {
    return { OVS_RUNDIR: this.directory, OVS_LOGDIR: this.directory, OVS_DBDIR: this.directory, OVS_SYSCONFDIR: this.directory };
  }

  #controlSocket(program: OpenVSwitchProgram): string {
    return join(this.directory, `${program}.ctl`);
  }

  #logPath(program: OpenVSwitchProgram): string {
    return join(this.directory, `${program}.log`);
  }

  #endOfLog(program: OpenVSwitchProgram): string {
    return this.log(program).slice(-logBytesShown).trim() || 'it logged nothing';
  }
}

/**
 * Starts an Open vSwitch that ends with the scope, or with this process.
 * @param options.netns the namespace to run in, which must outlive the scope; default: a new one, which goes away with it
 * @throws Error with the end of the log of what did not start
 */
export async function startOpenVSwitch(scope: TeardownScope, options: { readonly netns?: string } = {}): Promise<OpenVSwitch> {
  const netns = options.netns ?? createNetns(scope, 'ovs');
  const openVSwitch = new OpenVSwitch({ netns, directory: temporaryDirectory(scope) });
  scope.teardown(() => openVSwitch.stop());
  await openVSwitch.start('ovsdb-server');
  await openVSwitch.start('ovs-vswitchd');
  return openVSwitch;
}
