/** The packet meter: numbered UDP packets between namespaces at a steady rate, each accounted for. The counting is meter.c's. */
import { join } from 'node:path';
import { netnsPath, type TeardownScope } from '../../pkg/testing/netns.ts';
import { LineProgram } from './line-program.ts';

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

/** The meter's process. Commands are done in the order in which they are given. */
export class Meter {
  readonly #program: LineProgram;

  /** Compiles and starts it; it ends with the scope. @throws Error when there is no compiler */
  static start(scope: TeardownScope, { rate = 1000, seconds = 600 }: MeterOptions = {}): Meter {
    return new Meter(LineProgram.start(scope, { name: 'meter', sources: [join(import.meta.dirname, 'meter.c')], args: [`${rate}`, `${seconds}`] }));
  }

  private constructor(program: LineProgram) {
    this.#program = program;
  }

  /**
   * Gives the station an address in a namespace. A station that has one already has both from now on, and sends from the new:
   * so it is for a container that moves.
   */
  async open(station: string, { netns, address }: { readonly netns: string; readonly address: string }): Promise<void> {
    await this.#program.command(`open ${station} ${netnsPath(netns)} ${address}`);
  }

  /** Takes the station's addresses away: nothing of the meter's keeps the namespace any longer, and its flows wait. */
  async close(station: string): Promise<void> {
    await this.#program.command(`close ${station}`);
  }

  /** Sends from one station to another from now on. */
  async flow(from: string, to: string): Promise<void> {
    await this.#program.command(`flow ${from} ${to}`);
  }

  /** Sends between every two of the stations, both ways. */
  async mesh(stations: readonly string[]): Promise<void> {
    for (const from of stations) {
      for (const to of stations) if (from !== to) await this.flow(from, to);
    }
  }

  /** How it stands, while packets are under way. */
  async report(): Promise<MeterReport> {
    return (await this.#program.command('report')) as MeterReport;
  }

  /** Sends nothing more, waits for what is under way, and counts. */
  async finish(): Promise<MeterReport> {
    return (await this.#program.command('finish')) as MeterReport;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}
