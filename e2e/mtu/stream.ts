/** A TCP stream between containers, and how it fares: iperf3, in slots of 100 ms. */
import { execFile, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetns, runIn } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const slotSeconds = 0.1;
const port = 5201;

/** What a stream went through. */
export interface StreamReport {
  /** Why it ended before its time, in words; absent: it did not. */
  readonly error?: string;
  readonly retransmits: number;
  /** Slots in which nothing was sent, and the most that followed each other. */
  readonly stalled: number;
  readonly longestStall: number;
  readonly slots: number;
  readonly gbits: number;
}

/** Starts a server that ends with the scope. */
export async function startStreamServer(scope: TeardownScope, netns: string): Promise<void> {
  const child = spawn('ip', inNetns(netns, 'iperf3', '-s', '-p', String(port)), { stdio: 'ignore' });
  const forget = undoAtExit(() => child.kill('SIGKILL'));
  scope.teardown(() => {
    forget();
    child.kill('SIGKILL');
  });
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (runIn(netns, 'ss', '-Hltn').includes(`:${port}`)) return;
    await delay(100);
  }
  throw new Error(`iperf3 does not listen in ${netns}`);
}

/** Sends for so many seconds. Never rejects: what went wrong is in the report. */
export function stream(netns: string, address: string, seconds: number): Promise<StreamReport> {
  return new Promise((resolve) => {
    const args = inNetns(netns, 'iperf3', '-c', address, '-p', String(port), '-t', String(seconds), '-i', String(slotSeconds), '-J');
    execFile('ip', args, { timeout: (seconds + 60) * 1000, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => resolve(readReport(stdout, error)));
  });
}

interface IperfReport {
  readonly error?: string;
  readonly intervals?: readonly { readonly sum: { readonly bytes: number; readonly retransmits?: number } }[];
  readonly end?: { readonly sum_sent?: { readonly bits_per_second: number; readonly retransmits?: number } };
}

function readReport(stdout: string, error: Error | null): StreamReport {
  let report: IperfReport;
  try {
    report = JSON.parse(stdout) as IperfReport;
  } catch {
    report = { error: error?.message ?? 'iperf3 printed no report' };
  }
  const slots = (report.intervals ?? []).map(({ sum }) => sum.bytes);
  const failure = report.error ?? error?.message;
  return {
    ...(failure === undefined ? {} : { error: failure }),
    retransmits: report.end?.sum_sent?.retransmits ?? 0,
    stalled: slots.filter((bytes) => bytes === 0).length,
    longestStall: longestRun(slots, (bytes) => bytes === 0),
    slots: slots.length,
    gbits: (report.end?.sum_sent?.bits_per_second ?? 0) / 1e9,
  };
}

function longestRun<T>(items: readonly T[], isMeant: (item: T) => boolean): number {
  let [longest, run] = [0, 0];
  for (const item of items) {
    run = isMeant(item) ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

/** Turns the segmentation that a container leaves to its network card on or off. */
export function setSegmentationOffload(netns: string, isOn: boolean): void {
  const state = isOn ? 'on' : 'off';
  runIn(netns, 'ethtool', '-K', 'eth0', 'tso', state, 'gso', state, 'gro', state);
}
