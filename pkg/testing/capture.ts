/**
 * Counting what reaches an interface: tcpdump takes every frame, the test looks for its marker in them.
 *
 * No capture filter is used: a marker is found wherever an attack hid it (behind tags, inside a tunnel), and the
 * kernel's count of received frames then equals the frames delivered, which is what makes drain() exact.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { inNetns } from './command.ts';
import { undoAtExit } from './exit-cleanup.ts';
import type { TeardownScope } from './netns.ts';
import { PcapReader } from './pcap.ts';

const startDeadlineMs = 10_000;
const drainDeadlineMs = 10_000;
/** How much of a frame is kept. In immediate mode each frame has a slot of this size: larger ones would make the buffer hold few. */
const frameBytesMax = 2048;
const bufferKibibytes = 16_384;

type Tcpdump = ChildProcessByStdio<null, Readable, Readable>;

/** A running tcpdump on one interface. */
export class Capture {
  /** Every frame so far, in order, in and out. */
  readonly frames: Buffer[] = [];
  readonly #child: Tcpdump;
  readonly #reader = new PcapReader();
  readonly #waiters = new Set<() => void>();
  #messages = '';

  constructor(child: Tcpdump) {
    this.#child = child;
    child.stdout.on('data', (bytes: Buffer) => {
      this.frames.push(...this.#reader.push(bytes));
      this.#wake();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      this.#messages += bytes.toString();
      this.#wake();
    });
    child.on('exit', () => this.#wake());
  }

  /** How many frames carry the marker; those sent from the MAC given are left out. */
  count(marker: string | Buffer, { exceptFrom }: { readonly exceptFrom?: string } = {}): number {
    const own = exceptFrom?.replaceAll(':', '');
    return this.frames.filter((frame) => frame.includes(marker) && frame.toString('hex', 6, 12) !== own).length;
  }

  /** Waits until the condition holds for the frames so far. Resolves to false at the deadline or when tcpdump ends. */
  async waitFor(condition: (capture: Capture) => boolean, deadlineMs: number): Promise<boolean> {
    const deadline = performance.now() + deadlineMs;
    while (!condition(this)) {
      const left = deadline - performance.now();
      if (left <= 0 || this.#child.exitCode !== null) return condition(this);
      await this.#change(left);
    }
    return true;
  }

  /** Waits until tcpdump listens. @throws Error with tcpdump's message */
  async started(): Promise<void> {
    if (await this.waitFor(() => this.#messages.includes('listening on'), startDeadlineMs)) return;
    throw new Error(`tcpdump did not start: ${this.#messages.trim()}`);
  }

  /**
   * Waits until every frame that the kernel had counted at the time of the call is in `frames`. Not for loopback, whose
   * frames the kernel counts twice.
   * @throws Error when the kernel dropped frames, or they do not come in time: then a count of 0 would prove nothing
   */
  async drain(): Promise<void> {
    const before = this.#messages.length;
    // tcpdump answers SIGUSR1 with its statistics, which it asks of the kernel (packet(7), PACKET_STATISTICS).
    this.#child.kill('SIGUSR1');
    const report = (): string => this.#messages.slice(before);
    if (!(await this.waitFor(() => /dropped by kernel/.test(report()), drainDeadlineMs))) {
      throw new Error(`tcpdump gave no statistics: ${this.#messages.trim()}`);
    }
    const received = Number(/(\d+) packets? received by filter/.exec(report())?.[1]);
    const dropped = Number(/(\d+) packets? dropped by kernel/.exec(report())?.[1]);
    if (dropped > 0) throw new Error(`the capture lost ${dropped} frames`);
    if (await this.waitFor(({ frames }) => frames.length >= received, drainDeadlineMs)) return;
    throw new Error(`the capture delivered ${this.frames.length} of ${received} frames`);
  }

  /** Ends tcpdump. A second call does nothing. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  #change(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#waiters.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Starts a capture of everything on an interface of a namespace; it ends with the scope. */
export async function startCapture(scope: TeardownScope, netns: string, ifName: string): Promise<Capture> {
  const command = ['tcpdump', '-i', ifName, '-n', '-s', String(frameBytesMax), '-B', String(bufferKibibytes), '-U', '--immediate-mode', '-Z', 'root', '-w', '-'];
  const child = spawn('ip', inNetns(netns, ...command), { stdio: ['ignore', 'pipe', 'pipe'] });
  const forget = undoAtExit(() => child.kill('SIGKILL'));
  const capture = new Capture(child);
  scope.teardown(async () => {
    await capture.stop();
    forget();
  });
  await capture.started();
  return capture;
}
