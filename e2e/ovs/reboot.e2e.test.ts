/** After a reboot the kernel is empty, while the switch's database and the ledger are as they were: ports whose links are gone among it. */
import t from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { afterBoot, emptyKernel } from '../engine/boot.ts';
import { mountingExecutable } from '../engine/mount-namespace.ts';
import { done, succeeded } from '../engine/outcomes.ts';
import { describeOutcome, type CniOutcome } from '../harness/cni-call.ts';
import { addressesUsable, ping } from '../harness/container.ts';
import { createLabOf } from '../harness/lab.ts';
import { flowsOfVni, readSwitch } from '../harness/node-switch.ts';
import { attachGuest, blue, red, tenantConf } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

const skip = skipWithoutLabOf(['ovs']);
t.setTimeout(60_000);

t.test('a reboot of a node with Open vSwitch', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs', 'ovs'], { executable: mountingExecutable(t) });
  const node = lab.node(1);
  const before = node.snapshot();
  const far = await attachGuest(lab, blue, 2, { label: 'far' });
  const lost = [await attachGuest(lab, blue, 1, { label: 'lost1' }), await attachGuest(lab, blue, 1, { label: 'lost2' }), await attachGuest(lab, red, 1, { label: 'lost3' })];
  for (const { netns } of lost) run('ip', ['netns', 'del', netns]);
  await emptyKernel(node);
  const closed = readSwitch(node.openVSwitch);
  t.equal(closed.ports.length, lost.length + 1, 'the database has the ports of the last boot, and the tunnel');
  t.same(closed.flows, [], 'without a flow the bridge is closed');

  const call = afterBoot(t, node);
  const fresh = { conf: tenantConf(lab, blue, 1), containerId: 'fresh', netns: lab.container('fresh') };
  const added = await call('ADD', fresh);
  t.match(added, succeeded, describeOutcome(added));
  await Promise.all([fresh.netns, far.netns].map((netns) => addressesUsable(netns)));
  t.equal(await ping(fresh.netns, far.participant.ipv4), 1, 'a new container reaches the other node');
  t.equal(await ping(far.netns, addressesOf(added)[1] ?? ''), 1, 'and is reached from there');
  t.match(await call('CHECK', fresh, { ...fresh.conf, prevResult: added.result }), done);
  t.same(flowsOfVni(readSwitch(node.openVSwitch), red.vni), [], 'the other tenant is not there');

  for (const { attach } of lost) t.match(await call('DEL', attach), done, 'DELs of the last boot’s containers succeed');
  t.equal(await ping(fresh.netns, far.participant.ipv4), 1, 'and take nothing from the new one');
  t.match(await call('DEL', fresh), done);
  t.same(node.snapshot(), before, 'nothing is left');
});

function addressesOf({ result }: CniOutcome): readonly string[] {
  return result?.ips?.map(({ address }) => address.replace(/\/.*/, '')) ?? [];
}
