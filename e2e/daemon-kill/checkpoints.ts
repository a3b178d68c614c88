/** What is expected in the middle and at the end of a test, whatever happened to the daemon. */
import type { Test } from 'tap';
import type { Daemon } from '../harness/daemon.ts';
import { describeReport, totalsOf } from '../meter/describe.ts';
import { expectExactly, pendingDels, processesOf, type Known } from './audit.ts';
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
  t.same(scene.node.snapshot(), scene.atRest, 'the node is as it was before the load');
  t.same(pendingDels(scene.node), [], 'no DEL waits');
  const report = await scene.meter.finish();
  t.comment(describeReport(report));
  t.ok(report.flows.every(({ received }) => received > 0), 'every resident was heard by every other');
  t.match(totalsOf(report), { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0 }, describeReport(report));
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

function residentsOf({ residents, node }: Scene): readonly Known[] {
  return residents.filter((resident) => resident.node === node)
    .map(({ attach, netns, result }) => ({ containerId: attach.containerId, vni: blueVni, netns, result }));
}

function toKnown({ attach, worker, result }: Held): Known {
  return { containerId: attach.containerId, vni: worker.conf['vni'] === redVni ? redVni : blueVni, netns: attach.netns, result };
}
