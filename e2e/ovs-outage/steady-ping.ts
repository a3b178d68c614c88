/** Echo requests that go on, and when they were answered: an outage shows as a time without answers. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetns } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const pollMs = 5;

/** One pair of endpoints, in one family. */
export class SteadyPing {
  readonly name: string;
  /** When the last answer came, in milliseconds since 1970. */
  lastAnswerAt = 0;
  /** Answers that came a second time. */
  duplicates = 0;
  /** The times of all answers, in order. */
  readonly answers: number[] = [];

  constructor(scope: TeardownScope, { name, netns, address }: { readonly name: string; readonly netns: string; readonly address: string }) {
    this.name = name;
    const child = spawn('ip', inNetns(netns, 'ping', '-n', '-D', '-i', '0.05', '-W', '1', address), { stdio: ['ignore', 'pipe', 'ignore'] });
    const forget = undoAtExit(() => void child.kill('SIGKILL'));
    scope.teardown(() => {
      forget();
      child.kill('SIGKILL');
    });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#note(line);
    });
  }

  /** The first answer at or behind this time; undefined while there is none. */
  answeredSince(at: number): number | undefined {
    if (this.lastAnswerAt < at) return undefined;
    return this.answers.find((time) => time >= at);
  }

  #note(line: string): void {
    const seconds = /^\[([\d.]+)\] .*icmp_seq=\d+ (?:ttl|hlim)=/.exec(line)?.[1];
    if (seconds === undefined) return;
    if (line.includes('DUP!')) this.duplicates += 1;
    this.lastAnswerAt = Number(seconds) * 1000;
    this.answers.push(this.lastAnswerAt);
  }
}

/** Waits until all of them have been answered since then. @returns when the last of them first was @throws Error with those that were not */
export async function allAnswered(pings: readonly SteadyPing[], since: number, deadlineMs: number): Promise<number> {
  const endsAt = Date.now() + deadlineMs;
  for (;;) {
    const times = pings.map((ping) => ping.answeredSince(since));
    if (times.every((time) => time !== undefined)) return Math.max(...times);
    if (Date.now() > endsAt) throw new Error(`without an answer for ${deadlineMs} ms: ${pings.filter((_, index) => times[index] === undefined).map(({ name }) => name).join(', ')}`);
    await delay(pollMs);
  }
}
