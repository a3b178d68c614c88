import t, { type Test } from 'tap';
import { Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { announce, attach, command, createScene, endpoint, eventually, lastingState, phases, whoHas, type Scene } from './scene.ts';

const skip = skipWithoutDaemonLab('python3');
t.setTimeout(600_000);

type Side = 'source' | 'target';
const nodeOf: Readonly<Record<Side, number>> = { source: 0, target: 1 };

/** One migration, in which a daemon is killed. */
interface Row {
  readonly what: string;
  readonly killed: Side;
  /** When, and what follows while the daemon is dead. */
  readonly course: (stage: Stage) => Promise<void>;
  readonly endsAt: Side;
  readonly isAgain?: true;
  /** Where everybody reaches the endpoint also while the daemon is dead: what else would be needed only it could do. */
  readonly isWhole?: readonly DatapathName[];
}

/** What is played; its daemons live on in the rows behind it. */
interface Played {
  readonly row: Row;
  readonly index: number;
  readonly datapath: DatapathName;
  readonly scope: Test;
}

interface Stage {
  readonly kill: () => Promise<void>;
  readonly activate: (at: Side) => Promise<string>;
  readonly speak: () => void;
  /** Waits until the source goes on with the endpoint by itself. */
  readonly takenBack: () => Promise<void>;
}

const rows: readonly Row[] = [
  // A switch's own senders are moved by the source's daemon; on bridges the kernel does it.
  { what: 'prepared; the machine announces itself', killed: 'source', course: async ({ kill, speak }) => { await kill(); speak(); }, endsAt: 'target', isWhole: ['bridge'] },
  { what: 'prepared; the machine announces itself', killed: 'target', course: async ({ kill, speak }) => { await kill(); speak(); }, endsAt: 'target' },
  { what: 'prepared; activated at the target', killed: 'source', course: async ({ kill, activate }) => { await kill(); await activate('target'); }, endsAt: 'target' },
  { what: 'stopped, and the target never hears of it', killed: 'target', course: async ({ kill, activate, takenBack }) => { await kill(); await activate('source'); await takenBack(); }, endsAt: 'source' },
  { what: 'just activated', killed: 'source', course: async ({ kill, activate }) => { await activate('source'); await kill(); }, endsAt: 'target' },
  { what: 'just activated', killed: 'target', course: async ({ kill, activate }) => { await activate('source'); await kill(); }, endsAt: 'target' },
  { what: 'in the middle of it', killed: 'source', course: async ({ kill, activate }) => { const activated = activate('source'); await kill(); await activated.catch(() => undefined); }, endsAt: 'target', isAgain: true },
  { what: 'in the middle of it', killed: 'target', course: async ({ kill, activate }) => { const activated = activate('source'); await kill(); await activated; }, endsAt: 'target', isAgain: true },
];

testEachDatapath('a daemon is killed', async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  for (const [index, row] of rows.entries()) await t.test(`${row.killed}: ${row.what}`, (inner) => play(inner, scene, { row, index, datapath, scope: t }));
}, { skip, timeout: 300_000 });

async function play(t: Test, scene: Scene, { row, index, datapath, scope }: Played): Promise<void> {
  const { nodes, daemons } = scene;
  const [one, two] = nodes;
  if (one === undefined || two === undefined) throw new Error('three nodes');
  const before = [lastingState(one), lastingState(two)];
  const source = await attach(scene, one, `source${index}`);
  const target = await attach(scene, two, `target${index}`);
  const places = { source: source.attach.netns, target: target.attach.netns };
  const at = nodeOf[row.killed];
  await row.course({
    kill: async () => void (await daemons[at]?.kill()),
    activate: (side) => command(daemons[nodeOf[side]] as Daemon, 'activate'),
    speak: () => announce(target.attach.netns),
    takenBack: () => eventually('the source takes it back', async () => (await phases(one))[endpoint] === undefined),
  });
  if (row.isWhole?.includes(datapath) === true) t.same(await whoHas(scene, source.address, places), { asked: [row.endsAt], answered: 3 }, 'while it is dead');
  daemons[at] = await Daemon.start(scope, nodes[at] as LabNode);
  // The command may not have been heard: whoever gave it gives it again.
  if (row.isAgain === true) await command(daemons[nodeOf.source] as Daemon, 'activate');
  await eventually('the endpoint is where it belongs', async () => {
    const [here, there] = [(await phases(one))[endpoint], (await phases(two))[endpoint]];
    return row.endsAt === 'target' ? here === 'left' && there === undefined : here === undefined && there === 'waiting';
  }, () => daemons.map((daemon) => daemon.describe()).join('\n'));
  t.same(await whoHas(scene, source.address, places), { asked: [row.endsAt], answered: 3 }, 'on exactly one node');
  for (const [node, { attach: container }] of [[one, source], [two, target]] as const) t.match(await node.del(container), { exitCode: 0, stderr: '' });
  await eventually('nothing is left', () => JSON.stringify([lastingState(one), lastingState(two)]) === JSON.stringify(before)).catch(() => undefined);
  t.same([lastingState(one), lastingState(two)], before);
}
