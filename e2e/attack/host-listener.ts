import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { inNetns } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const script = resolve(import.meta.dirname, 'listen.py');

/** A service in a namespace that notes what reaches it, over UDP and TCP, IPv4 and IPv6. */
export class HostListener {
  /** What it noted: `ready` first, then `udp <payload>` and `tcp <address>`. */
  readonly lines: string[] = [];
  readonly #waiters = new Set<() => void>();

  constructor(child: ChildProcessByStdio<null, Readable, null>) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(line);
      for (const waiter of this.#waiters) waiter();
    });
  }

  /** Waits for a line. Resolves to false at the deadline. */
  async heard(line: string, deadlineMs = 5000): Promise<boolean> {
    if (this.lines.includes(line)) return true;
    return new Promise((resolve) => {
      const settle = (isHeard: boolean): void => {
        clearTimeout(timer);
        this.#waiters.delete(check);
        resolve(isHeard);
      };
      const check = (): void => void (this.lines.includes(line) && settle(true));
      const timer = setTimeout(() => settle(false), deadlineMs);
      this.#waiters.add(check);
    });
  }
}

/** Starts a service that ends with the scope. @throws Error when it cannot listen */
export async function startHostListener(scope: TeardownScope, netns: string, port: number): Promise<HostListener> {
  const child = spawn('ip', inNetns(netns, 'python3', script, String(port)), { stdio: ['ignore', 'pipe', 'inherit'] });
  const forget = undoAtExit(() => child.kill('SIGKILL'));
  scope.teardown(() => {
    child.kill('SIGKILL');
    forget();
  });
  const listener = new HostListener(child);
  if (!(await listener.heard('ready'))) throw new Error(`the listener on port ${port} did not start`);
  return listener;
}
