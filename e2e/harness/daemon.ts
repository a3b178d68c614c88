/** A `weft daemon` on a node of the lab: in the node's namespace, with the node's directories, ended with its scope. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetns, runIn } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { exchangeRaw, frameKinds, requestKinds } from './daemon-socket.ts';
import type { DatapathName, LabNode } from './lab-node.ts';
import { createLabOf, type Lab, type LabOptions } from './lab.ts';
import { launcherExecutable, weftExecutable } from './weft-executable.ts';

/** From the start to the first answer, and from a signal to the end; generous, for machines with much to do. */
const deadlineMs = 30_000;
const pollMs = 10;

/** A line of the log: its fields by name, `level` and `message` among them. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly message: string };

/** What the daemon says of itself: what the tests look at. */
export interface DaemonStatusView {
  readonly version: string;
  readonly pid: number;
  readonly node: string;
  readonly configPath?: string;
  readonly configError?: string;
  readonly callsInFlight: number;
  readonly calls: Readonly<Record<string, { readonly ok: number; readonly failed: number }>>;
  readonly reconciler: {
    readonly passes: number;
    readonly repairs: readonly { readonly at: number; readonly what: string }[];
    readonly openFaults: readonly string[];
  };
  readonly memoryBytes: number;
}

export interface DaemonOptions {
  /** @default the executable under test */
  readonly executable?: string;
  /** Variables over the node's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments behind `daemon`. */
  readonly args?: readonly string[];
}

/** A daemon's process, from its start to its end. */
export class Daemon {
  readonly node: LabNode;
  readonly pid: number;
  /** Exit status, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** What was written to stderr and is no line of the log. */
  readonly noise: string[] = [];
  readonly #child: ChildProcess;
  readonly #log: LogLine[] = [];
  #end: number | string | undefined;

  private constructor(node: LabNode, child: ChildProcess) {
    this.node = node;
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#end = code ?? signal ?? -1;
        resolve(this.#end);
      });
    });
    let rest = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#note(line);
    });
  }

  /** Starts one and does not wait; it is killed with the scope. */
  static launch(scope: TeardownScope, node: LabNode, { executable = weftExecutable, env = {}, args = [] }: DaemonOptions = {}): Daemon {
    const child = spawn('ip', inNetns(node.netns, executable, 'daemon', ...args), { env: { ...node.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
    // Spoken of by `ended` and by what waits for it.
    child.once('error', () => undefined);
    const daemon = new Daemon(node, child);
    const forget = undoAtExit(() => daemon.signal('SIGKILL'));
    scope.teardown(async () => {
      forget();
      await daemon.kill();
    });
    return daemon;
  }

  /** Starts one and waits until it answers. @throws Error with its log where it does not */
  static async start(scope: TeardownScope, node: LabNode, options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = Daemon.launch(scope, node, options);
    await daemon.ready();
    return daemon;
  }

  get socketPath(): string {
    return join(this.node.runDirectory, 'weft.sock');
  }

  /** All lines so far. */
  get log(): readonly LogLine[] {
    return this.#log;
  }

  get isRunning(): boolean {
    return this.#end === undefined;
  }

  /** Waits until this process, and not one before it, answers on the socket and has looked at the node once. @throws Error with its log */
  async ready(): Promise<void> {
    await this.eventually('answers', async () => {
      const status = await this.status().catch(() => undefined);
      return status?.pid === this.pid && status.reconciler.passes > 0;
    });
  }

  /** Asks for its status. @throws Error when nobody listens, or it answers otherwise */
  async status(): Promise<DaemonStatusView> {
    const last = (await exchangeRaw(this.socketPath, { kind: requestKinds.question, stdin: 'status' })).at(-1);
    if (last?.kind !== frameKinds.answered || last.status !== 0) throw new Error(`the daemon does not answer its status: ${JSON.stringify(last)}`);
    return JSON.parse(last.body) as DaemonStatusView;
  }

  /** Lines whose message matches. */
  linesOf(message: RegExp): readonly LogLine[] {
    return this.#log.filter((line) => message.test(line.message));
  }

  /** Waits until a line of the log has such a message. @throws Error with the log when none comes */
  async logged(message: RegExp, isMeant: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const find = (): LogLine | undefined => this.linesOf(message).find(isMeant);
    await this.eventually(`writes ${message}`, () => find() !== undefined);
    return find() as LogLine;
  }

  /** Waits for a condition, as long as the process runs. @throws Error with its log */
  async eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (!(await isSo())) {
      if (!this.isRunning) throw new Error(`the daemon ended (${this.#end}) before it ${what}:\n${this.describe()}`);
      if (performance.now() > deadline) throw new Error(`the daemon was late; it should be that it ${what}:\n${this.describe()}`);
      await delay(pollMs);
    }
  }

  /** Sends it a signal, where it still runs. */
  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  /** Tells it to stop; returns its exit status. @throws Error when it does not end in time */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    this.signal(signal);
    const late = delay(deadlineMs, undefined, { ref: false }).then(() => {
      throw new Error(`the daemon did not end after ${signal}:\n${this.describe()}`);
    });
    return Promise.race([this.ended, late]);
  }

  /** Ends it without asking. */
  async kill(): Promise<void> {
    await this.stop('SIGKILL');
  }

  /** What its descriptors lead to, as /proc shows it, without the numbers of sockets and pipes. Sorted. */
  descriptors(): readonly string[] {
    const directory = `/proc/${this.pid}/fd`;
    return readdirSync(directory).flatMap((fd) => readLinkIfThere(join(directory, fd))).sort();
  }

  /** How many connections to its socket are open on its side, by the kernel's count. */
  connections(): number {
    // Each is listed in the namespace of its caller: a launcher's in the node's, a test's in the test's own.
    const lists = runIn(this.node.netns, 'cat', '/proc/net/unix') + readFileSync('/proc/net/unix', 'utf8');
    const ends = lists.split('\n').filter((line) => line.includes(this.socketPath));
    // One of them is what it listens on.
    return Math.max(0, ends.length - 1);
  }

  /** Its log, for a person. */
  describe(): string {
    return [...this.#log.map((line) => JSON.stringify(line)), ...this.noise].join('\n');
  }

  #note(line: string): void {
    try {
      this.#log.push(JSON.parse(line) as LogLine);
    } catch {
      this.noise.push(line);
    }
  }
}

/** A descriptor may be closed while the list is read. */
function readLinkIfThere(path: string): readonly string[] {
  try {
    return [readlinkSync(path).replace(/:\[\d+\]$/, '')];
  } catch {
    return [];
  }
}

/** A lab whose nodes have a daemon each, and are called through the launcher. */
export interface DaemonLab {
  readonly lab: Lab;
  /** In the order of the nodes. */
  readonly daemons: readonly Daemon[];
}

/** What makes a lab's nodes call the launcher, with or without a daemon behind it. */
export const throughLauncher: Pick<LabOptions, 'executable' | 'env'> = { executable: launcherExecutable, env: { WEFT_EXE: weftExecutable } };

export interface DaemonLabOptions extends Omit<LabOptions, 'executable' | 'nodes'> {
  readonly daemon?: DaemonOptions;
}

/** Builds a lab of nodes with Linux bridges and starts the daemons. @throws Error with the log of the first that does not start */
export async function createDaemonLab(scope: TeardownScope, { nodes, ...options }: DaemonLabOptions & Pick<LabOptions, 'nodes'>): Promise<DaemonLab> {
  return createDaemonLabOf(scope, Array.from({ length: nodes }, () => 'bridge'), options);
}

/** The same with nodes of these datapaths, in this order. */
export async function createDaemonLabOf(scope: TeardownScope, datapaths: readonly DatapathName[], options: DaemonLabOptions = {}): Promise<DaemonLab> {
  const { daemon = {}, ...labOptions } = options;
  const lab = await createLabOf(scope, datapaths, { ...labOptions, executable: launcherExecutable, env: { ...throughLauncher.env, ...labOptions.env } });
  const daemons = await Promise.all(lab.nodes.map((node) => Daemon.start(scope, node, daemon)));
  return { lab, daemons };
}
