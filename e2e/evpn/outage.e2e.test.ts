import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Daemon } from '../harness/daemon.ts';
import { Course, type Victim } from './outage-course.ts';
import { agreed, createOutageScene, expectNoLoss, knownEverywhere, missingOn, startTraffic, tablesOf, tenants, type OutageScene } from './outage-scene.ts';
import { fdbOf, skipWithoutEvpnLab, type EvpnNode } from './scene.ts';

const skip = skipWithoutEvpnLab('gcc');
const pairs = 10;
/** With nobody to put anything back. */
const bareMs = 2000;
t.setTimeout(400_000);

void t.test(`FRR ends ${2 * pairs} times, and with weft's daemon, while containers exchange packets`, { skip }, async (t) => {
  const scene = await createOutageScene(t);
  const before = scene.nodes.map(tablesOf);
  const meter = await startTraffic(t, scene.residents);
  const course = new Course(t, scene);
  for (let pair = 0; pair < pairs; pair += 1) await course.round(victimsOf(pair));
  await course.leave();
  await knownEverywhere(scene);
  t.comment(`\n${course.render(await meter.report())}`);
  t.same(scene.nodes.map(tablesOf), before, 'nothing is left, and nothing is missing');
  const after = await endEverything(t, scene);
  await expectNoLoss(t, meter);
  t.same(after.nodes.map(tablesOf), before, 'nor after FRR and the daemon');
});

/** zebra of one node, and, while its bgpd looks for the new one, bgpd of the next. */
function victimsOf(pair: number): readonly Victim[] {
  const signals = ['SIGKILL', 'SIGTERM'] as const;
  const [zebra, bgpd] = [pair % 3, (pair + 1) % 3];
  return [
    { number: zebra + 1, program: 'zebra', signal: signals[pair % 2] as Victim['signal'] },
    { number: bgpd + 1, program: 'bgpd', signal: signals[(pair >> 1) % 2] as Victim['signal'] },
  ];
}

/**
 * bgpd of a node ends, weft's daemon is killed, then zebra ends: nobody is there who puts anything back. The daemon comes back before FRR.
 * @returns the scene with the new daemon
 */
async function endEverything(t: Test, scene: OutageScene): Promise<OutageScene> {
  const [one, ...others] = scene.nodes as [EvpnNode, ...EvpnNode[]];
  const held = heldBy(one);
  await one.frr.kill('bgpd', 'SIGTERM');
  await knownEverywhere(scene);
  await one.daemon.kill();
  await one.frr.kill('zebra', 'SIGTERM');
  await delay(bareMs);
  t.same(heldBy(one), held, 'what was held is still held while nobody is there');
  const nodes = [{ ...one, daemon: await Daemon.start(t, one.node) }, ...others];
  const after = { ...scene, nodes };
  await knownEverywhere(after);
  t.same(nodes.map((node) => missingOn(after, node)).flat(), [], 'a daemon that starts without FRR puts it back');
  t.same(heldBy(one), held, 'and holds it');
  await one.frr.start('zebra');
  await one.frr.start('bgpd');
  await knownEverywhere(after);
  await agreed(nodes);
  return after;
}

/** The spare tunnels' entries. */
function heldBy(one: EvpnNode): readonly string[] {
  return tenants.flatMap(({ vni }) => fdbOf(one, `weft-sp${vni}`).map(({ mac, dst = '' }) => `${vni} ${mac} ${dst}`)).sort();
}
