/** What is expected in the middle and at the end of a test, whatever happened to the daemon. */
import type { Test } from 'tap';
import type { Daemon } from '../harness/daemon.ts';
import type { DatapathName, NodeSnapshot } from '../harness/lab-node.ts';
import { withoutProbes } from '../harness/probe-tunnels.ts';
import { isLearned } from '../harness/switch-flows.ts';
import { describeReport, totalsOf } from '../meter/describe.ts';
import type { MeterReport } from '../meter/meter.ts';
import { expectExactly, processesOf, type Known } from './audit.ts';
import type { Held } from './load.ts';
import { blueVni, redVni, type Scene } from './scene.ts';

/** Holds the load, compares everything with everything, and lets it go on. The daemon must be ready. */
export async function checkInBetween(t: Test, scene: Scene, when: string): Promise<void> {
  const held = await scene.load.hold();
  await expectExactly(t, scene.node, { when, known: [...residentsOf(scene), ...held.map(toKnown)] });
  t.same(scene.load.takeFaults(), [], `${when}: every call was done, or answered with an error that a retry has healed`);
  scene.load.resume();
}

/** All containers but the residents have gone: nothing of them is left, and the residents have lost no packet. The daemon has looked at the node since. */
export async function expectAtRest(t: Test, scene: Scene): Promise<void> {
  await expectExactly(t, scene.node, { when: 'after the last DEL', known: residentsOf(scene) });
  t.same(withoutLearned(withoutProbes(scene.node.snapshot())), withoutLearned(withoutProbes(scene.atRest)), 'the node is as it was before the load');
  const report = await scene.meter.finish();
  t.comment(describeReport(report));
  t.ok(report.flows.every(({ received }) => received > 0), 'every resident was heard by every other');
  t.match(totalsOf(report), { duplicated: 0, reordered: 0, misdelivered: 0 }, describeReport(report));
  expectLosses(t, report, scene.node.datapath);
}

/** In a row, and of a flow in all: far above what the userspace datapath loses by itself, and below what an outage would cost. */
const lossesMax = { inARow: 1000, share: 0.25 } as const;

/**
 * Nothing is lost. Open vSwitch's userspace datapath loses some by itself: with every link that comes or goes in its namespace, whoever's, it
 * takes up the routes anew, and tunnels do not work for some milliseconds; and where it gets no processor its buffers hold 70 ms of this. There
 * nobody may be cut off.
 */
function expectLosses(t: Test, { flows }: MeterReport, datapath: DatapathName): void {
  if (datapath === 'bridge') return void t.same(flows.filter(({ lost }) => lost > 0), [], 'no packet is lost');
  const cutOff = flows.filter(({ lost, sent, gaps }) => lost > sent * lossesMax.share || gaps.some(({ count }) => count > lossesMax.inARow));
  t.same(cutOff, [], 'nobody is cut off');
}

/** The residents go as well, and the daemon is stopped: the node is empty. */
export async function expectEmpty(t: Test, scene: Scene, daemon: Daemon): Promise<void> {
  const { lab, node, residents } = scene;
  for (const resident of residents) await lab.detach(resident);
  t.equal(await daemon.stop(), 0, 'the last daemon stops when told');
  t.same(node.snapshot(), scene.empty, 'the node is as it was before its first container');
  await expectExactly(t, node, { when: 'at the end', known: [] });
  t.same(processesOf(node), [], 'no process of weft is left');
}

/** A switch learns while the residents talk. */
function withoutLearned({ openVSwitch, ...rest }: NodeSnapshot): unknown {
  return openVSwitch === undefined ? rest : { ...rest, ...openVSwitch, flows: openVSwitch.flows.filter((line) => !isLearned(line)) };
}

function residentsOf({ residents, node }: Scene): readonly Known[] {
  return residents.filter((resident) => resident.node === node)
    .map(({ attach, netns, result }) => ({ containerId: attach.containerId, vni: blueVni, netns, result }));
}

function toKnown({ attach, worker, result }: Held): Known {
  return { containerId: attach.containerId, vni: worker.conf['vni'] === redVni ? redVni : blueVni, netns: attach.netns, result };
}
