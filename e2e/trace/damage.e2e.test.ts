/** One damage after the other: the trace stops at exactly the step that names it, and a real packet is lost. */
import { runIn } from '../../pkg/testing/command.ts';
import type { Test } from 'tap';
import { Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { damages, switchDamages, type Damage } from './damages.ts';
import { arrives, askTrace, createScene, follow, forgetNeighbours, gateway, isLost, linesOf, outside, tryShow, type Scene } from './scene.ts';

testEachDatapath('damages', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  const list = datapath === 'ovs' ? switchDamages : damages;
  for (const damage of list) await t.test(damage.what, async (t) => doDamage(t, scene, damage));
}, { timeout: 240_000, tools: ['tc', 'sysctl'] });

function addressOf({ near, far }: Scene, to: Damage['to'] = 'far'): string {
  return { near: near.ipv4, far: far.ipv4, outside: outside[4], gateway: gateway[4], nobody: '10.1.1.99' }[to];
}

async function doDamage(t: Test, scene: Scene, { id, to, size, isFoundThere, isForgotten, damage, mend }: Damage): Promise<void> {
  const { lab, sender } = scene;
  const address = addressOf(scene, to);
  damage(scene);
  if (isForgotten === true) forgetNeighbours(sender);
  const here = await askTrace(lab.node(1), 'sender', address, ...(size === undefined ? [] : ['--size', String(size)]));
  const told = isFoundThere === true && here.verdict.next !== null ? await follow(lab, here) : here;
  const last = told.steps.at(-1);
  t.match([told.verdict.kind, last?.outcome, last?.id, told.exitCode], ['stops', 'stops', id, 1], `${last?.what ?? ''}`);
  if (last?.id !== id) t.comment(linesOf(told));
  if (last !== undefined) {
    t.ok(tryShow(lab.node(isFoundThere === true ? 2 : 1), last) !== '', `\`${last.show}\` shows it`);
    t.ok(last.fix !== undefined && last.fix !== '', `what to do: ${last.fix ?? ''}`);
  }
  t.ok(isLost(sender, address, size), 'a real packet is lost');
  if (mend === undefined) await mendByDaemons(t, scene);
  else mend(scene);
  if (to === 'nobody') return;
  for (const { netns } of [scene.sender, scene.near, scene.far]) forgetNeighbours({ netns });
  t.ok(await arrives(sender, address), 'mended, it goes again');
}

/** Of both nodes; the container's own interface is its own business, and set up by hand. */
async function mendByDaemons(t: Test, { lab, sender, near, far }: Scene): Promise<void> {
  for (const { netns } of [sender, near, far]) runIn(netns, 'ip', 'link', 'set', 'eth0', 'up');
  await Promise.all(lab.nodes.map(async (node) => {
    const daemon = await Daemon.start(t, node);
    await daemon.eventually('has mended the node', async () => (await daemon.status()).reconciler.passes > 0 && (await daemon.status()).reconciler.openFaults.length === 0);
    await daemon.stop();
  }));
}
