/** When a node's kernel came to know an endpoint, and when it forgot it: what `ip monitor` said, and when. */
import { spawn } from 'node:child_process';
import { inNetns, runIn } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { eventually, type PlainNode } from './scene.ts';

/** A line of the monitor, and when it was stamped, milliseconds since 1970. */
interface Line {
  readonly at: number;
  readonly text: string;
}

const linesShown = 20;

/** A node whose forwarding entries and neighbours are listened to. It ends with its scope. */
export class KernelWatch {
  readonly #one: PlainNode;
  readonly #lines: Line[] = [];

  /** Starts it, and waits until it hears. @throws Error where it does not in time */
  static async start(scope: TeardownScope, one: PlainNode): Promise<KernelWatch> {
    const watch = new KernelWatch(scope, one);
    const probe = '192.0.2.254';
    await eventually(`a change in ${one.node.name} is heard`, () => {
      for (const verb of ['replace', 'del']) runIn(one.node.netns, 'ip', 'neigh', verb, probe, 'dev', 'eth0', 'lladdr', '02:00:00:00:00:01');
      return watch.#lines.length > 0;
    });
    return watch;
  }

  private constructor(scope: TeardownScope, one: PlainNode) {
    this.#one = one;
    // Neighbours and, in the same words, the entries of bridges and VXLAN devices. The stamps are in local time.
    const child = spawn('ip', inNetns(one.node.netns, 'ip', '-tshort', 'monitor', 'neigh'), { env: { ...process.env, TZ: 'UTC' }, stdio: ['ignore', 'pipe', 'ignore'] });
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

  /** When the last of these lines came that came first of its kind. @throws Error where one of them does not come in time */
  async heard(beginnings: readonly string[]): Promise<number> {
    const times = (): readonly (number | undefined)[] => beginnings.map((beginning) => this.#lines.find(({ text }) => text.startsWith(beginning))?.at);
    await eventually(`the kernel of ${this.#one.node.name} says ${beginnings.join(', ')}`, () => !times().includes(undefined), () => this.#lines.slice(-linesShown).map(({ text }) => text).join('\n'));
    return Math.max(...times().map(Number));
  }

  #note(line: string): void {
    const [, stamp, text] = /^\[([^\]]+)\] (.*)$/.exec(line) ?? [];
    if (text !== undefined) this.#lines.push({ at: Date.parse(`${stamp}Z`), text });
  }
}
