/**
 * How much a TCP stream between two nodes gets: through weft's bridge and VXLAN device, through the same made by hand with `ip`, which nobody guards,
 * and over the bare underlay. By turns, and each round has ratios of its own: the machine's other work hits all three alike.
 *
 *     node 1: container ─ bridge ─ VXLAN ═══ underlay ═══ VXLAN ─ bridge ─ container: node 2
 *             hand      ─ bridge ─ VXLAN ═══          ═══ VXLAN ─ bridge ─ hand
 */
import { createLab, type Lab } from '../../e2e/harness/lab.ts';
import { startStreamServer, stream } from '../../e2e/mtu/stream.ts';
import { attachGuest, blue } from '../../e2e/harness/tenant.ts';
import { run } from '../../pkg/testing/command.ts';
import { createNetns, type TeardownScope } from '../../pkg/testing/netns.ts';
import type { Settings } from './settings.ts';
import { median } from './statistics.ts';

/** Of all rounds, the median; Gbit/s. */
export interface Throughput {
  readonly weft: number;
  readonly byHand: number;
  readonly underlay: number;
  /** Medians of each round's ratio: weft's share of the other. */
  readonly ratios: { readonly byHand: number; readonly underlay: number };
}

/** As weft makes them; the port is another, which the guard knows nothing of. */
const hand = { vni: 77, port: 24788, subnet: '10.77.0', mtu: 1450 } as const;

interface Contestant {
  /** Namespace of the sender. */
  readonly from: string;
  /** Address of the receiver. */
  readonly to: string;
}

/** Measures it. @throws Error where a stream breaks off */
export async function measureThroughput(scope: TeardownScope, weft: string, { throughputRounds, throughputSeconds }: Settings): Promise<Throughput> {
  const lab = createLab(scope, { nodes: 2, executable: weft });
  const contestants = [await attachPair(scope, lab), await makePair(scope, lab), await bareUnderlay(scope, lab)];
  const rounds: number[][] = [];
  for (let round = 0; round < throughputRounds; round += 1) rounds.push(await runRound(contestants, throughputSeconds));
  const of = (at: number): number => median(rounds.map((row) => row[at] ?? Number.NaN));
  const share = (at: number): number => median(rounds.map((row) => (row[0] ?? Number.NaN) / (row[at] ?? Number.NaN)));
  return { weft: of(0), byHand: of(1), underlay: of(2), ratios: { byHand: share(1), underlay: share(2) } };
}

async function runRound(contestants: readonly Contestant[], seconds: number): Promise<number[]> {
  const row: number[] = [];
  for (const { from, to } of contestants) {
    const { error, gbits } = await stream(from, to, seconds);
    if (error !== undefined) throw new Error(`a stream to ${to} broke off: ${error}`);
    row.push(gbits);
  }
  return row;
}

async function attachPair(scope: TeardownScope, lab: Lab): Promise<Contestant> {
  const [sender, receiver] = [await attachGuest(lab, blue, 1, { label: 'sender' }), await attachGuest(lab, blue, 2, { label: 'receiver' })];
  await lab.settle();
  await startStreamServer(scope, receiver.netns);
  return { from: sender.netns, to: receiver.participant.ipv4 };
}

async function makePair(scope: TeardownScope, lab: Lab): Promise<Contestant> {
  const ends = lab.nodes.map((node, at) => {
    const container = createNetns(scope, `hand${at + 1}`);
    const peer = lab.peersOf(at + 1)[0] ?? '';
    run('ip', ['-n', node.netns, '-batch', '-'], [
      'link add hand0 type bridge',
      `link add hand1 type vxlan id ${hand.vni} local ${node.ipv4} dstport ${hand.port} dev eth0`,
      `link add hand2 mtu ${hand.mtu} type veth peer name eth0 mtu ${hand.mtu} netns ${container}`,
      ...['hand1', 'hand2'].map((link) => `link set ${link} master hand0`),
      ...['hand0', 'hand1', 'hand2'].map((link) => `link set ${link} up`),
    ].join('\n'));
    run('bridge', ['-n', node.netns, 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'hand1', 'dst', peer]);
    run('ip', ['-n', container, '-batch', '-'], `address add ${hand.subnet}.${at + 1}/24 dev eth0\nlink set eth0 up\nlink set lo up\n`);
    return container;
  });
  const [from, receiver] = ends as [string, string];
  await startStreamServer(scope, receiver);
  return { from, to: `${hand.subnet}.2` };
}

async function bareUnderlay(scope: TeardownScope, lab: Lab): Promise<Contestant> {
  await startStreamServer(scope, lab.node(2).netns);
  return { from: lab.node(1).netns, to: lab.node(2).ipv4 };
}
