/** The packet meter: numbered UDP packets between namespaces at a steady rate, each accounted for. The counting is meter.c's. */
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import { netnsPath, type TeardownScope } from '../../pkg/testing/netns.ts';

const compileDeadlineMs = 30_000;
/** finish() waits for packets under way for up to ten seconds. */
const answerDeadlineMs = 30_000;

/** The UDP port of every station. */
export const meterPort = 7007;
/** First word of every packet, big endian; flow (32 bits), number and time of sending (64 bits each) follow. */
export const meterMagic = 0x6d_65_74_65;

export interface MeterOptions {
  /** Packets per second of each flow. @default 1000 */
  readonly rate?: number;
  /** The meter ends itself after so long, in seconds. @default 600 */
  readonly seconds?: number;
}

/** Packets in a row that did not come. */
export interface Gap {
  /** Number of the first. */
  readonly first: number;
  readonly count: number;
  /** When the first was sent, in milliseconds since the epoch. */
  readonly at: number;
}

/** What became of one flow's packets. */
export interface FlowReport {
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  readonly received: number;
  /** Sent and not received; before finish() those that are under way are among them. */
  readonly lost: number;
  readonly duplicated: number;
  /** Came after one that was sent later. */
  readonly reordered: number;
  /** Came to another station than the one they were sent to. */
  readonly misdelivered: number;
  /** Of the lost: what the sender's own kernel refused to send; and why, the last time. */
  readonly refused: number;
  readonly refusal?: string;
  /** Both are known to a millisecond, and include how late the meter itself was. */
  readonly latencyMaxMs: number;
  readonly longestSilenceMs: number;
  /** The first twenty. */
  readonly gaps: readonly Gap[];
}

export interface MeterReport {
  readonly flows: readonly FlowReport[];
  /** Packets to a station that are none of the meter's. */
  readonly foreign: number;
  /** Lost in the meter's own buffers: not the network's fault. */
  readonly socketDrops: number;
  /** Lost on the whole machine because a queue between two devices was full. */
  readonly backlogDrops: number;
  /** The longest time for which the meter had no processor, and sent nothing. */
  readonly longestPauseMs: number;
  readonly cpuMs: number;
  readonly elapsedMs: number;
}

type Program = ChildProcessByStdio<Writable, Readable, Readable>;

/** The meter's process. Commands are done in the order in which they are given. */
export class Meter {
  readonly #child: Program;
  readonly #answers: AsyncIterator<string>;
  #said = '';

  /** Compiles and starts it; it ends with the scope. @throws Error when there is no compiler */
  static start(scope: TeardownScope, { rate = 1000, seconds = 600 }: MeterOptions = {}): Meter {
    const directory = mkdtempSync(join(tmpdir(), 'weft-meter-'));
    try {
      const program = join(directory, 'meter');
      const source = join(import.meta.dirname, 'meter.c');
      execFileSync(process.env['CC'] ?? 'gcc', ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-o', program, source], { timeout: compileDeadlineMs });
      const meter = new Meter(spawn(program, [`${rate}`, `${seconds}`], { stdio: 'pipe' }));
      const forget = undoAtExit(() => meter.stop());
      scope.teardown(async () => {
        forget();
        await meter.stop();
        rmSync(directory, { recursive: true, force: true });
      });
      return meter;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(child: Program) {
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    // Its own last words say why it ended.
    child.stdin.on('error', () => undefined);
  }

  /**
   * Gives the station an address in a namespace. A station that has one already has both from now on, and sends from the new:
   * so it is for a container that moves.
   */
  async open(station: string, { netns, address }: { readonly netns: string; readonly address: string }): Promise<void> {
    await this.#command(`open ${station} ${netnsPath(netns)} ${address}`);
  }

  /** Takes the station's addresses away: nothing of the meter's keeps the namespace any longer, and its flows wait. */
  async close(station: string): Promise<void> {
    await this.#command(`close ${station}`);
  }

  /** Sends from one station to another from now on. */
  async flow(from: string, to: string): Promise<void> {
    await this.#command(`flow ${from} ${to}`);
  }

  /** Sends between every two of the stations, both ways. */
  async mesh(stations: readonly string[]): Promise<void> {
    for (const from of stations) {
      for (const to of stations) if (from !== to) await this.flow(from, to);
    }
  }

  /** How it stands, while packets are under way. */
  async report(): Promise<MeterReport> {
    return (await this.#command('report')) as MeterReport;
  }

  /** Sends nothing more, waits for what is under way, and counts. */
  async finish(): Promise<MeterReport> {
    return (await this.#command('finish')) as MeterReport;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #command(line: string): Promise<unknown> {
    this.#child.stdin.write(`${line}\n`);
    let cancel: () => void = () => undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the meter did not answer ${line}`)), answerDeadlineMs);
      cancel = () => clearTimeout(timer);
    });
    const answer = await Promise.race([this.#answers.next(), late]).finally(cancel);
    if (answer.done === true) throw new Error(`the meter ended before it answered ${line}: ${this.#said.trim()}`);
    const value = JSON.parse(answer.value) as { readonly error?: string };
    if (value.error !== undefined) throw new Error(`the meter cannot ${line}: ${value.error}`);
    return value;
  }
}
