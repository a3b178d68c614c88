/** Plugin processes and the daemon on one node: at the same time, and one after the other. */
import t from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { createManyNetns } from '../../pkg/testing/netns.ts';
import { describeOutcome, type CniOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import { segmentLinks, tracesOfTenant } from '../harness/kernel-view.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { Attach } from '../harness/lab-node.ts';
import { createLabOf } from '../harness/lab.ts';
import { integrationBridge } from '../harness/node-switch.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { blueConf, blueVni, callAlone, createScene, newcomer, readAttention, readEndpoints } from './scene.ts';

const skip = skipWithoutDaemonLab();
t.setTimeout(150_000);

/**
 * The switch's part of a call is behind the ledger's transaction (docs/decisions.md, 25): a pass that comes in between does what a plugin
 * process is about to do, and says so.
 */
const damageOn = { bridge: /repaired|cannot be repaired|could not/, ovs: /cannot be repaired|could not/ } as const;
/** With a switch each of its reconfigurations, one for each plugin process, looks at every port. */
const containersOn = { bridge: 40, ovs: 16 } as const;

testEachDatapath('many containers, every other one by a plugin process', async (t, datapath) => {
  const containers = containersOn[datapath];
  const scene = await createScene(t, { datapath });
  const { node, daemon, conf } = scene;
  const before = node.snapshot();
  const attaches = createManyNetns(t, containers, 'both').map((netns, index): Attach => ({ conf, netns, containerId: `container-${index}` }));
  const all = (verb: 'ADD' | 'DEL', aloneWhere: 0 | 1): Promise<CniOutcome[]> =>
    Promise.all(attaches.map((attach, index) => (index % 2 === aloneWhere ? callAlone(node, verb, attach) : verb === 'ADD' ? node.add(attach) : node.del(attach))));
  for (const round of [1, 2]) {
    const added = await all('ADD', 0);
    t.same(failuresOf(added), [], `round ${round}: every ADD succeeds`);
    const addresses = added.map(({ result }) => result?.ips?.[0]?.address ?? '');
    t.equal(new Set(addresses).size, containers, `round ${round}: no address twice`);
    t.same((await readEndpoints(node)).map(({ state }) => state), Array.from({ length: containers }, () => 'attached'));
    t.equal(await ping(attaches[0]?.netns ?? '', addresses.at(-1)?.split('/')[0] ?? ''), 1, 'a container of the plugin reaches one of the daemon');
    t.same(await readAttention(node), []);
    const deleted = await all('DEL', 1);
    t.same(failuresOf(deleted), [], `round ${round}: each is detached by the other`);
    t.same(node.snapshot(), before, `round ${round}: nothing is left in the kernel`);
    t.same(await readEndpoints(node), [], `round ${round}: nothing is left in the ledger`);
  }
  t.match((await daemon.status()).calls, { ADD: { ok: containers, failed: 0 }, DEL: { ok: containers, failed: 0 } });
  t.same(daemon.linesOf(damageOn[datapath]), [], 'what the plugin did was no damage to the daemon');
  t.same((await daemon.status()).reconciler.openFaults, []);
}, { skip });

testEachDatapath('ADD by one and DEL by the other, again and again', async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const { node, daemon, lab, conf } = scene;
  // With it the guard stays: what the others leave in it is seen.
  const staying = await lab.attach(node, { label: 'staying', conf });
  const before = node.snapshot();
  const attaches = [1, 2, 3, 4, 5, 6].map((number) => newcomer(scene, `again-${number}`));
  await Promise.all(attaches.map(async (attach, index) => {
    for (let round = 0; round < 8; round += 1) {
      const isAlone = (round + index) % 2 === 0;
      const outcomes = [await (isAlone ? callAlone(node, 'ADD', attach) : node.add(attach)), await (isAlone ? node.del(attach) : callAlone(node, 'DEL', attach))];
      t.same(failuresOf(outcomes), [], `${attach.containerId}, round ${round}`);
    }
  }));
  t.same(node.snapshot(), before, 'nothing is left of them');
  t.same((await readEndpoints(node)).map(({ containerId }) => containerId), [staying.attach.containerId]);
  t.same(daemon.linesOf(damageOn[datapath]), []);
  t.match(await node.check(staying.attach, staying.result), { exitCode: 0, stderr: '' });
}, { skip });

testEachDatapath('the daemon takes over what was attached before it started', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath], throughLauncher);
  const node = lab.node(1);
  const scene = { lab, conf: blueConf(node) };
  const before = node.snapshot();
  const [one, two] = [newcomer(scene, 'one'), newcomer(scene, 'two')];
  const added = [await node.add(one), await node.add(two)];
  t.same(failuresOf(added), []);
  const addressOf = (index: number): string => added[index]?.result?.ips?.[0]?.address.replace(/\/.*/, '') ?? '';
  const [whole, traces] = [node.snapshot(), tracesOfTenant(node, blueVni)];

  const first = await Daemon.start(t, node);
  t.same((await first.status()).reconciler, { ...(await first.status()).reconciler, repairs: [], openFaults: [] }, 'what is whole is left alone');
  t.same(node.snapshot(), whole);
  if (datapath === 'bridge') run('ip', ['-n', node.netns, 'link', 'del', `weft-br${blueVni}`]);
  else node.openVSwitch.vsctl('del-br', integrationBridge);
  await first.eventually('has made the bridge anew', async () => (await ping(one.netns, addressOf(1))) === 1);
  if (datapath === 'bridge') t.same(segmentLinks(node.netns, blueVni), [`weft-br${blueVni}`, `weft-vx${blueVni}`]);
  await first.logged(/repaired/, ({ repaired }) => /bridge|no port of Open vSwitch/.test(`${repaired}`));
  await first.eventually('has nothing left to repair', async () => (await first.status()).reconciler.openFaults.length === 0);
  for (const [index, attach] of [one, two].entries()) {
    const check = await node.check(attach, added[index]?.result);
    t.match(check, { exitCode: 0, stderr: '' }, `CHECK of ${attach.containerId}: ${describeOutcome(check)}`);
  }
  t.same(await readAttention(node), []);

  await first.kill();
  if (datapath === 'bridge') run('ip', ['-n', node.netns, 'link', 'del', `weft-vx${blueVni}`]);
  else node.openVSwitch.ofctl('del-flows', integrationBridge);
  const second = await Daemon.start(t, node);
  t.same(tracesOfTenant(node, blueVni), traces, 'what was damaged while no daemon ran is repaired at the start');
  t.match(second.linesOf(/repaired/).map(({ repaired }) => repaired).join('\n'), datapath === 'bridge' ? new RegExp(`weft-vx${blueVni}|VXLAN`) : /the switch lacks \d+ flows of tenant blue/);
  for (const attach of [one, two]) t.match(await node.del(attach), { exitCode: 0, stdout: '', stderr: '' }, 'DEL by the daemon');
  t.same(node.snapshot(), before);
  t.same(await readEndpoints(node), []);
  t.match((await second.status()).calls, { DEL: { ok: 2, failed: 0 } });
}, { skip });

function failuresOf(outcomes: readonly CniOutcome[]): readonly string[] {
  return outcomes.filter(({ exitCode }) => exitCode !== 0).map(describeOutcome);
}
