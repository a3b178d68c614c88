/** For tests: two nodes with a container each of a tenant with a control plane, and pings from one to the other, a thousand in a second. */
import { spawn } from 'node:child_process';
import { parseAddress } from '../../netaddr/netaddr.ts';
import type { AttachmentPort, RemoteEndpoint, Segment } from '../../overlay/model.ts';
import { inNetns, run } from '../../testing/command.ts';
import { undoAtExit } from '../../testing/exit-cleanup.ts';
import type { TeardownScope } from '../../testing/netns.ts';
import { blue, createContainer, createNodes, onNode2, testPort, type TestContainer, type TestNode } from '../test-node.ts';
import { linuxBridgeRemotes } from './remotes.ts';
import type { RemoteTables } from '../remotes.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { withEvpn, writeAsZebra } from './test-evpn.ts';

/** A node of the scene. */
export interface EvpnNode {
  readonly node: TestNode;
  readonly remotes: RemoteTables;
  readonly container: TestContainer;
  readonly segment: Segment;
  readonly port: AttachmentPort;
  /** The other node's endpoint. */
  readonly remote: RemoteEndpoint;
}

/** VTEPs of the two nodes. */
const vteps = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8:ffff::1', '2001:db8:ffff::2'] } as const;

/** Both nodes know and hold each other's endpoint, as zebra and weft would have it. */
export async function createEvpnNodes(scope: TeardownScope, family: 4 | 6 = 4): Promise<readonly [EvpnNode, EvpnNode]> {
  const nodes = await createNodes(scope, linuxBridgeDatapath);
  const [first, second] = vteps[family].map((text) => parseAddress(text));
  if (first === undefined || second === undefined) throw new Error('a node without a VTEP');
  const base = withEvpn({ ...blue, overlayMtu: family === 4 ? 1450 : 1430 });
  const segments = [{ ...base, vtepAddress: first, peers: [second] }, { ...onNode2(base), vtepAddress: second, peers: [first] }] as const;
  const ports = [testPort(segments[0], 5), testPort(segments[1], 6)] as const;
  const made = nodes.map((node, at): EvpnNode => {
    const [segment, port, other] = [segments[at], ports[at], ports[1 - at]] as [Segment, AttachmentPort, AttachmentPort];
    const remote = { mac: other.mac, vtep: at === 0 ? second : first, addresses: other.addresses.map(({ address }) => address) };
    return { node, remotes: linuxBridgeRemotes(node.kernel), container: createContainer(scope), segment, port, remote };
  });
  for (const { node, segment, port, container } of made) await node.datapath.attach({ segment, port, netnsFd: container.fd });
  for (const [at, { node, segment, port, remotes, remote }] of made.entries()) {
    remotes.holdRemotes(segment, [remote]);
    const addresses = (made[1 - at] as EvpnNode).port.addresses.map(({ address }) => address);
    writeAsZebra(node.netns, segment, { mac: remote.mac, vtep: vteps[family][1 - at] ?? '', addresses: addresses.map((_address, index) => (index === 0 ? `10.1.1.${6 - at}` : `fd00:1::${6 - at}`)) });
    if (port.mac === remote.mac) throw new Error('the endpoints have one MAC');
  }
  return [made[0] as EvpnNode, made[1] as EvpnNode];
}

const pingDeadlineMs = 30_000;

/** What became of many pings. */
export interface Pinged {
  readonly sent: number;
  readonly received: number;
}

/** Pings that are under way. */
export interface Pings {
  /** So many have been sent by now. @throws Error when they are not in time */
  until(count: number): Promise<void>;
  readonly ended: Promise<Pinged>;
}

/** Begins to ping, once in a millisecond. */
export function startPings(scope: TeardownScope, { netns }: TestContainer, { address, count }: { readonly address: string; readonly count: number }): Pings {
  const child = spawn('ip', inNetns(netns, 'ping', '-n', '-i', '0.001', '-c', String(count), '-W', '2', address), { stdio: ['ignore', 'pipe', 'ignore'], timeout: pingDeadlineMs });
  const forget = undoAtExit(() => child.kill('SIGKILL'));
  scope.teardown(() => void (child.kill('SIGKILL'), forget()));
  let [text, answers] = ['', 0];
  const waiters: { readonly count: number; readonly resolve: () => void }[] = [];
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString();
    answers = text.split('icmp_seq=').length - 1;
    for (const { resolve } of waiters.filter((waiter) => waiter.count <= answers)) resolve();
  });
  const ended = new Promise<Pinged>((resolve, reject) => child.once('close', () => {
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(text) ?? [];
    if (sent === undefined) reject(new Error(`ping did not end by itself: ${text.slice(-200)}`));
    else resolve({ sent: Number(sent), received: Number(received) });
  }));
  return { ended, until: (wanted) => (answers >= wanted ? Promise.resolve() : Promise.race([new Promise<void>((resolve) => waiters.push({ count: wanted, resolve })), ended.then(() => undefined)])) };
}

/** Lines of `bridge` in a namespace, in one process. */
export function bridgeBatch({ netns }: TestContainer, ...lines: readonly string[]): void {
  run('bridge', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
}
