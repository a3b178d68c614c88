/**
 * Many plugin processes at once on a node with Open vSwitch, without a daemon. Each tells the switch to which ports the tenant's broadcast
 * goes, and must not forget those that others have just plugged in; and the last one out takes the bridge along while the first one of
 * another tenant wants it.
 */
import t from 'tap';
import { createManyNetns } from '../../pkg/testing/netns.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import type { Attach } from '../harness/lab-node.ts';
import { createLabOf } from '../harness/lab.ts';
import { netConf } from '../harness/net-conf.ts';
import { readSwitch } from '../harness/node-switch.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';
import { inParallel } from './in-parallel.ts';

const skip = skipWithoutLabOf(['ovs']);
t.setTimeout(170_000);
const attachments = 40;
const atOnce = 10;

t.test(`${attachments} attachments of a tenant, ${atOnce} at a time`, { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs']);
  const node = lab.node(1);
  const [before, switchBefore] = [node.snapshot(), readSwitch(node.openVSwitch)];
  const conf = netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: [], ranges: [[{ subnet: '10.9.0.0/24' }]], extra: { datapath: 'ovs' } });
  const attaches = createManyNetns(t, attachments, 'many').map((netns, index): Attach & { netns: string } => ({ conf, netns, containerId: `container-${index}` }));

  const added = await inParallel(attaches, atOnce, (attach) => node.add(attach));
  t.same(added.filter(({ exitCode }) => exitCode !== 0).map(describeOutcome), [], 'every ADD succeeds');
  const numbers = attaches.map((_, index) => node.openVSwitch.vsctl('get', 'Interface', added[index]?.result?.interfaces?.find(({ name }) => name.startsWith('weft-p'))?.name ?? '', 'ofport').trim()).sort();
  const flood = readSwitch(node.openVSwitch).flows.filter((flow) => /table=20,.*dl_dst=01:00:00:00:00:00\/01:00:00:00:00:00/.test(flow));
  t.equal(flood.length, 1);
  t.same([...(flood[0] ?? '').matchAll(/output:(?:"[^"]*"|(\d+))/g)].length, attachments, 'broadcast goes to every port');
  t.equal(new Set(numbers).size, attachments, 'each has a port of its own');
  const last = added.at(-1)?.result?.ips?.[0]?.address.split('/')[0] ?? '';
  t.equal(await ping(attaches[0]?.netns ?? '', last), 1, 'the first reaches the last');

  const deleted = await inParallel(attaches, atOnce, (attach) => node.del(attach));
  t.same(deleted.filter(({ exitCode }) => exitCode !== 0).map(describeOutcome), [], 'every DEL succeeds');
  t.same([node.snapshot(), readSwitch(node.openVSwitch)], [before, switchBefore], 'nothing is left');
});

t.test('first and last attachments of several tenants at once', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs']);
  const node = lab.node(1);
  const [before, switchBefore] = [node.snapshot(), readSwitch(node.openVSwitch)];
  const attaches = createManyNetns(t, 12, 'tenants').map((netns, index): Attach => {
    const number = index % 6;
    return { conf: netConf({ name: `tenant${number}`, vni: 2000 + number, vtep: node.ipv4, peers: [], ranges: [[{ subnet: '10.9.0.0/24' }]], extra: { datapath: 'ovs' } }), netns, containerId: `container-${index}` };
  });
  for (const round of [1, 2, 3]) {
    const outcomes = await inParallel(attaches, atOnce, async (attach) => {
      const added = await node.add(attach);
      return added.exitCode === 0 ? node.del(attach) : added;
    });
    t.same(outcomes.filter(({ exitCode }) => exitCode !== 0).map(describeOutcome), [], `round ${round}: every ADD and DEL succeeds`);
    t.same([node.snapshot(), readSwitch(node.openVSwitch)], [before, switchBefore], `round ${round}: nothing is left`);
  }
});
