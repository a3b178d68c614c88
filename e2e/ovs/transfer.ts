/** Transfers between namespaces whose content is compared: a ping shows neither a wrong checksum nor a lost segment. */
import { execFile, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { inNetns } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const script = resolve(import.meta.dirname, 'transfer.py');
const port = 7001;
/** Some hundred full-size segments. */
const bytes = 1_048_576;
const deadlineMs = 60_000;

/** Starts a receiver that ends with the scope. @throws Error where it does not start */
export async function startReceiver(scope: TeardownScope, netns: string): Promise<void> {
  const child = spawn('ip', inNetns(netns, 'python3', script, 'serve', String(port)), { stdio: ['ignore', 'pipe', 'inherit'] });
  const forget = undoAtExit(() => child.kill('SIGKILL'));
  scope.teardown(() => {
    child.kill('SIGKILL');
    forget();
  });
  const isReady = await new Promise<boolean>((settle) => {
    child.stdout.once('data', () => settle(true));
    child.once('exit', () => settle(false));
  });
  if (!isReady) throw new Error(`the receiver in ${netns} did not start`);
}

/** Sends 1 MiB over TCP and a datagram in fragments to a receiver; 'whole', or what was wrong. */
export function transfer(netns: string, address: string): Promise<string> {
  return new Promise((settle) => {
    execFile('ip', inNetns(netns, 'python3', script, 'send', address, String(port), String(bytes)), { timeout: deadlineMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) =>
      settle(error === null ? stdout.trim() : stderr.trim().split('\n').at(-1) ?? 'nothing was said'),
    );
  });
}
