/** Programs beside a test that are told what to do, a line at a time: the card between a node and the underlay, and a TCP listener. */
import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { inNetns, run } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import type { Lab } from '../harness/lab.ts';

/** What the card does with what is left to it; card.py says more. */
export type CardMode = 'healthy' | 'checksum' | 'segmentation';

/** Frames that came from the node. */
export interface CardCounts {
  readonly all: number;
  /** Whose checksum was left to the card. */
  readonly left: number;
  /** That the card had to cut. */
  readonly toBeCut: number;
}

class Program {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  constructor(scope: TeardownScope, netns: string, script: string, ...args: readonly string[]) {
    this.#child = spawn('ip', inNetns(netns, 'python3', resolve(import.meta.dirname, script), ...args), { stdio: 'pipe' });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    this.#child.stdin.on('error', () => undefined);
    const end = (): void => void this.#child.kill('SIGKILL');
    const forget = undoAtExit(end);
    scope.teardown(() => {
      end();
      forget();
    });
  }

  /** The next line. @throws Error where the program has ended */
  async line(): Promise<string> {
    const answer = await this.#lines.next();
    if (answer.done === true) throw new Error(`the program ended: ${this.#errors.trim()}`);
    return answer.value;
  }

  async ask(word: string): Promise<string> {
    this.#child.stdin.write(`${word}\n`);
    return this.line();
  }
}

/** A network card between a node and the underlay. */
export interface Card {
  set(mode: CardMode): Promise<void>;
  counts(): Promise<CardCounts>;
}

/** Puts a card between a node of the lab and the underlay's bridge. It goes with the scope. */
export async function insertCard(scope: TeardownScope, { underlayNetns }: Lab, nodeNumber: number): Promise<Card> {
  const [inside, near, outside] = [`port${nodeNumber}`, `near${nodeNumber}`, `far${nodeNumber}`];
  for (const line of [`link set ${inside} nomaster`, `link add ${near} type veth peer name ${outside}`, `link set ${near} master br0 up`, `link set ${outside} up`]) {
    run('ip', ['-n', underlayNetns, ...line.split(' ')]);
  }
  // The card sees all frames; the namespace's own stack has no part in them.
  for (const link of [inside, outside]) {
    for (const line of [`link set ${link} promisc on arp off addrgenmode none`]) run('ip', ['-n', underlayNetns, ...line.split(' ')]);
  }
  const program = new Program(scope, underlayNetns, 'card.py', inside, outside);
  await program.line();
  return {
    set: async (mode) => void (await program.ask(mode)),
    async counts() {
      const [all = 0, left = 0, toBeCut = 0] = (await program.ask('counts')).split(' ').map(Number);
      return { all, left, toBeCut };
    },
  };
}

/** Listens for TCP connections in a container. */
export async function startListener(scope: TeardownScope, netns: string, address: string): Promise<void> {
  await new Program(scope, netns, 'transfer.py', 'listen', address).line();
}

/** Carries bytes over a new TCP connection to a listener: `same` where they came as they were sent, `broken` where they did not come in time. */
export async function transfer(netns: string, address: string, { bytes, seconds }: { readonly bytes: number; readonly seconds: number }): Promise<string> {
  const { stdout } = await promisify(execFile)('ip', inNetns(netns, 'python3', resolve(import.meta.dirname, 'transfer.py'), 'send', address, `${bytes}`, `${seconds}`), { timeout: seconds * 1000 + 60_000 });
  return stdout.trim();
}
