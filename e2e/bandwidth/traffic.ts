/** Traffic that would take all there is, what of it arrives by the kernel's own count, and how long a small flow beside it waits. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetns, runIn } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

/** One end of a flow. */
export interface End {
  readonly netns: string;
  /** IPv4. */
  readonly address: string;
}

export interface FlowOptions {
  /** Of the server, and, 10,000 higher, of the client: one port, one flow, one class of the queue. */
  readonly port: number;
  readonly seconds: number;
  /** UDP at this rate, bits per second, instead of TCP. */
  readonly udp?: number;
}

/** iperf3 between two containers, from its first second on until it is over. */
export interface Flow {
  /** The exit status of the client. */
  readonly ended: Promise<number | null>;
}

const warmUpMs = 600;
const startPollMs = 50;
const startAttempts = 100;

function start(scope: TeardownScope, netns: string, command: readonly string[]): ChildProcess {
  const child = spawn('ip', inNetns(netns, ...command), { stdio: ['ignore', 'pipe', 'pipe'] });
  child.once('error', () => undefined);
  const forget = undoAtExit(() => void child.kill('SIGKILL'));
  scope.teardown(() => {
    forget();
    child.kill('SIGKILL');
  });
  return child;
}

function output(child: ChildProcess): Promise<{ readonly code: number | null; readonly text: string }> {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (piece: string) => void (text += piece));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
}

function isListening(netns: string, port: number): boolean {
  return execFileSync('ip', inNetns(netns, 'ss', '-Hltn', `sport = :${port}`), { encoding: 'utf8' }).trim() !== '';
}

/** Starts it, and waits until it has found its pace. @throws Error where it does not start */
export async function startFlow(scope: TeardownScope, from: End, { to, port, seconds, udp }: FlowOptions & { readonly to: End }): Promise<Flow> {
  const server = start(scope, to.netns, ['iperf3', '-s', '-1', '-4', '-p', `${port}`]);
  void output(server);
  for (let attempt = 0; !isListening(to.netns, port); attempt += 1) {
    if (attempt === startAttempts) throw new Error(`iperf3 in ${to.netns} does not listen on ${port}`);
    await delay(startPollMs);
  }
  const kind = udp === undefined ? [] : ['-u', '-b', `${udp}`, '-l', '1300'];
  const client = start(scope, from.netns, ['iperf3', '-c', to.address, '-p', `${port}`, '--cport', `${port + 10_000}`, '-t', `${seconds}`, ...kind]);
  const done = output(client);
  await delay(warmUpMs);
  if (client.exitCode !== null) throw new Error(`iperf3 from ${from.netns} to ${to.address} ended at once: ${(await done).text}`);
  return { ended: done.then(({ code }) => code) };
}

interface Count {
  /** Nanoseconds. */
  readonly at: bigint;
  readonly bytes: bigint;
}

/** Bytes of frames that the interface has received; the clock is read in the same breath, since a busy machine may take long to start a program. */
function count({ netns }: End): Count {
  const [at = '0', bytes = '0'] = runIn(netns, 'sh', '-c', 'date +%s%N; cat /sys/class/net/eth0/statistics/rx_bytes').split('\n');
  return { at: BigInt(at), bytes: BigInt(bytes) };
}

/** What each of the containers receives from now on for so long, in bits per second, with the frames' headers. */
export async function rates(ends: readonly End[], ms = 2000): Promise<number[]> {
  const before = ends.map(count);
  await delay(ms);
  return ends.map(count).map(({ at, bytes }, index) => {
    const { at: since = 0n, bytes: earlier = 0n } = before[index] ?? {};
    return (8e9 * Number(bytes - earlier)) / Number(at - since);
  });
}

const echoProgram = `
import socket, sys, time, threading
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', port))
s.settimeout(1)
got = {}
def receive():
    while len(got) < count:
        try: data = s.recv(100)
        except socket.timeout: return
        got.setdefault(int(data[:8]), time.monotonic())
t = threading.Thread(target=receive); t.start()
sent, late = [], []
begin = time.monotonic()
for n in range(count):
    time.sleep(max(0, begin + n / 100 - time.monotonic()))
    sent.append(time.monotonic())
    late.append((sent[-1] - begin - n / 100) * 1000)
    s.sendto(b'%08d' % n + bytes(56), (host, port))
t.join()
rtts = sorted((got[n] - sent[n]) * 1000 for n in got)
print(len(got), rtts[int(len(rtts) * .5)] if rtts else 1e6, rtts[int(len(rtts) * .95)] if rtts else 1e6, sorted(late)[int(count * .95)])
`;
const echoServer = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', int(sys.argv[1])))
while True:
    data, peer = s.recvfrom(100)
    s.sendto(data, peer)
`;

/** Round trips of a flow of 100 packets a second. */
export interface Echo {
  readonly answered: number;
  /** Milliseconds. */
  readonly medianMs: number;
  readonly p95Ms: number;
  /** By how much the machine wakes the sender later than it should, the 95th percentile. */
  readonly lateMs: number;
}

/** The two ends of a small flow. */
export class EchoFlow {
  readonly #scope: TeardownScope;
  readonly #from: End;
  readonly #to: End;
  readonly #port: number;

  constructor(scope: TeardownScope, { from, to, port }: { readonly from: End; readonly to: End; readonly port: number }) {
    this.#scope = scope;
    this.#from = from;
    this.#to = to;
    this.#port = port;
    void output(start(scope, to.netns, ['python3', '-c', echoServer, `${port}`]));
  }

  /** Sends so many packets, 10 ms apart. @throws Error where the program fails */
  async run(packets: number): Promise<Echo> {
    const { code, text } = await output(start(this.#scope, this.#from.netns, ['python3', '-c', echoProgram, this.#to.address, `${this.#port}`, `${packets}`]));
    const [answered = 0, medianMs = 0, p95Ms = 0, lateMs = 0] = text.trim().split(' ').map(Number);
    if (code !== 0) throw new Error(`the echo program failed: ${text}`);
    return { answered, medianMs, p95Ms, lateMs };
  }
}
