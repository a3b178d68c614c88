import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { readRuleset } from '../../pkg/testing/observe.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { agreed, createOutageScene, expectNoLoss, knownEverywhere, missingOn, startTraffic, tablesOf, tenants, type OutageScene } from './outage-scene.ts';
import { eventually, fullMesh, skipWithoutEvpnLab, type EvpnNode } from './scene.ts';

const skip = skipWithoutEvpnLab('gcc');
/** Longer than the other nodes need to find out that a neighbour is silent (holdSeconds of its default), and short for a test. */
const retainSeconds = 12;
t.setTimeout(200_000);

void t.test('a node that is really gone is forgotten, and found again', { skip }, async (t) => {
  const scene = await createOutageScene(t, { controlPlane: (node, lab) => [...fullMesh(node, lab), `retainSeconds: ${retainSeconds}`] });
  const before = scene.nodes.map(tablesOf);
  const [cut, ...others] = [...scene.nodes].reverse() as [EvpnNode, ...EvpnNode[]];
  const meter = await startTraffic(t, scene.residents.filter(({ node }) => node !== cut.node));
  const link = ['-n', cut.node.netns, 'link', 'set', 'eth0'];
  run('ip', [...link, 'down']);
  for (const program of ['bgpd', 'zebra'] as const) await cut.frr.kill(program);
  await missedAndKept(t, scene, { cut, others });
  await forgotten(t, { cut, others });
  t.same(missingOn(scene, cut), [], 'the node that hears of nobody keeps all it knew');
  run('ip', [...link, 'up']);
  run('ip', ['-n', cut.node.netns, 'route', 'replace', 'default', 'via', '10.200.0.1']);
  for (const program of ['zebra', 'bgpd'] as const) await cut.frr.start(program);
  await knownEverywhere(scene);
  await agreed(scene.nodes);
  await expectNoLoss(t, meter);
  t.same(scene.nodes.map(tablesOf), before, 'all is as it was');
});

interface Sides {
  readonly cut: EvpnNode;
  readonly others: readonly EvpnNode[];
}

/** BGP tells of the node no more, and everything that leads to it is there. */
async function missedAndKept(t: Test, scene: OutageScene, { cut, others }: Sides): Promise<void> {
  const words = new RegExp(`BGP does not tell of ${cut.node.ipv4.replaceAll('.', '\\.')} any more; what was there is kept for now`);
  await Promise.all(others.map(({ daemon }) => daemon.logged(words)));
  for (const one of others) {
    await eventually(`${one.node.name} has all of ${cut.node.name} again`, () => missingOn(scene, one).length === 0, () => missingOn(scene, one).join('\n'));
    t.match(tracesOf(one, cut), { tables: /./, guard: true }, `${one.node.name} has what leads to ${cut.node.name}`);
  }
}

/** Nothing that leads to the node is left on the others. */
async function forgotten(t: Test, { cut, others }: Sides): Promise<void> {
  for (const one of others) {
    await eventually(`${one.node.name} forgets ${cut.node.name}`, () => tracesOf(one, cut).tables === '' && !tracesOf(one, cut).guard, () => `${tracesOf(one, cut).tables}\n${one.daemon.describe()}`);
    const { stdout } = await runWeft(one.node, ['evpn', '-o', 'json']);
    t.match(JSON.parse(stdout), { disagreements: [], tenants: tenants.map(() => ({ lost: [] })) }, `for ${one.node.name} nothing is missed any more`);
  }
}

/** What of a node names another: entries of its tables, and whether the guard lets its packets in. */
function tracesOf(one: EvpnNode, { node: { ipv4 } }: EvpnNode): { readonly tables: string; readonly guard: boolean } {
  return { tables: tablesOf(one).filter((line) => line.includes(` ${ipv4} `)).join('\n'), guard: readRuleset(one.node.netns).includes(ipv4) };
}
