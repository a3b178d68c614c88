import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { inNetns } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const script = resolve(import.meta.dirname, 'send-frames.py');

type Sender = ChildProcessByStdio<Writable, Readable, Readable>;

/** Sends raw frames out of one interface of a namespace. Its lifetime is that of a process beside it. */
export class FrameSender {
  readonly #child: Sender;
  readonly #answers: AsyncIterator<string>;
  #errors = '';

  constructor(child: Sender) {
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    child.stdin.on('error', () => undefined);
  }

  /**
   * Sends the frames in order; one call at a time.
   * @returns how many the kernel took
   * @throws Error where the sender has ended
   */
  async send(frames: readonly Buffer[]): Promise<number> {
    this.#child.stdin.write([...frames.map((frame) => frame.toString('hex')), '.\n'].join('\n'));
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error(`the frame sender ended: ${this.#errors.trim()}`);
    return Number(answer.value);
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Starts a sender that ends with the scope. */
export function openFrameSender(scope: TeardownScope, netns: string, ifName: string): FrameSender {
  const child = spawn('ip', inNetns(netns, 'python3', script, ifName), { stdio: 'pipe' });
  const sender = new FrameSender(child);
  const forget = undoAtExit(() => sender.close());
  scope.teardown(() => {
    sender.close();
    forget();
  });
  return sender;
}
