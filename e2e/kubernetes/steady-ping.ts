/** Echo requests from one pod to another while the nodes are busy: how many were not answered. */
import { spawn } from 'node:child_process';
import { inNetns } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { WatchedProcess } from '../runtimes/watched-process.ts';

const intervalSeconds = 0.1;

export interface PingCount {
  readonly sent: number;
  readonly answered: number;
}

/** Starts to ping, until it is asked. @returns what ends it, and says what came of it */
export function startPing(scope: TeardownScope, netns: string, address: string): () => Promise<PingCount> {
  const child = spawn('ip', inNetns(netns, 'ping', '-n', '-q', '-i', String(intervalSeconds), address), { stdio: ['ignore', 'pipe', 'pipe'] });
  const ping = new WatchedProcess('ping', child);
  const end = (): void => void (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'));
  const forget = undoAtExit(end);
  scope.teardown(() => {
    forget();
    end();
  });
  return async () => {
    child.kill('SIGINT');
    await ping.ended;
    const [, sent, answered] = /(\d+) packets transmitted, (\d+) received/.exec(ping.output) ?? [];
    if (sent === undefined || answered === undefined) throw new Error(`ping says: ${ping.output}`);
    return { sent: Number(sent), answered: Number(answered) };
  };
}
