/** The plugin alone, without a daemon, on nodes with Open vSwitch: its verbs, and what else a node may have. */
import t from 'tap';
import { run, runIn } from '../../pkg/testing/command.ts';
import { done, refused } from '../engine/outcomes.ts';
import { ping, readInterface } from '../harness/container.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import { createLabOf, type Attached } from '../harness/lab.ts';
import { flowsOfVni, readSwitch } from '../harness/node-switch.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { attachGuest, blue, red, tenantConf, type Tenant } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

const skip = skipWithoutLabOf(['ovs'], 'tcpdump');
t.setTimeout(90_000);

t.test('GC removes what vanished without DEL, and keeps the rest', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs', 'ovs']);
  const node = lab.node(1);
  const before = node.snapshot();
  const [kept, gone, far] = [await attachGuest(lab, blue, 1, { label: 'kept' }), await attachGuest(lab, blue, 1, { label: 'gone' }), await attachGuest(lab, blue, 2, { label: 'far' })];
  const lost = await attachGuest(lab, red, 1, { label: 'lost' });
  await lab.settle();
  const { hostIf = '' } = readAttachment(gone);
  for (const { netns } of [gone, lost]) run('ip', ['netns', 'del', netns]);
  t.match(await node.gc(kept.attach.conf, [idOf(kept)]), done, 'GC of blue');
  t.match(await node.gc(lost.attach.conf, []), done, 'GC of red');
  const view = readSwitch(node.openVSwitch);
  t.notOk(view.ports.includes(hostIf), 'its port is gone');
  t.same(flowsOfVni(view, red.vni), [], 'the flows of a tenant without containers too');
  t.equal(await ping(kept.netns, far.participant.ipv4), 1, 'what is valid works');
  await lab.detach(kept);
  t.same(node.snapshot(), before, 'nothing is left');
});

t.test('a node that is no peer any more is neither heard nor reached, until it is one again', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs', 'ovs', 'bridge']);
  const node = lab.node(1);
  const [one, two, three] = [await attachGuest(lab, blue, 1, { label: 'one' }), await attachGuest(lab, blue, 2, { label: 'two' }), await attachGuest(lab, blue, 3, { label: 'three' })];
  const reach = async (): Promise<readonly number[]> => Promise.all([two, three].map(({ participant }) => ping(one.netns, participant.ipv4)));
  t.same(await reach(), [1, 1]);
  // The peers are those of the last ADD.
  await lab.attach(node, { label: 'fewer', conf: { ...one.attach.conf, peers: [lab.node(2).ipv4] } });
  t.same(await reach(), [1, 0], 'what was learned of it counts for nothing');
  t.equal(await ping(three.netns, one.participant.ipv4), 0);
  await lab.attach(node, { label: 'all', conf: one.attach.conf });
  t.same(await reach(), [1, 1]);
});

t.test('layer 2 attachments bring addresses of their own', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs', 'bridge']);
  const tenant: Tenant = { ...blue, extra: { ipam: {} } };
  const [one, two] = [await attachGuest(lab, tenant, 1, { label: 'one' }), await attachGuest(lab, tenant, 2, { label: 'two' })];
  for (const [index, { netns }] of [one, two].entries()) runIn(netns, 'ip', 'address', 'add', `192.168.7.${index + 1}/24`, 'dev', 'eth0');
  await lab.settle();
  t.equal(await ping(one.netns, '192.168.7.2'), 1, 'from the switch to the bridge');
  t.equal(await ping(two.netns, '192.168.7.1'), 1, 'and back');
  t.equal(await ping(one.netns, `${readInterface(two.netns).linkLocal}%eth0`), 1, 'link-local');
  runIn(one.netns, 'ip', 'link', 'set', 'eth0', 'address', '06:00:00:00:00:99');
  t.equal(await ping(one.netns, '192.168.7.2'), 0, 'but no MAC that is not its own');
});

t.test('tenants of both datapaths on one node, on UDP ports of their own', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs', 'ovs']);
  const before = lab.nodes.map((node) => node.snapshot());
  // A packet to the port of a switch's tunnel never gets to the kernel's VXLAN device: they cannot share one.
  const onBridge: Tenant = { ...red, extra: { datapath: 'bridge', vtep: { interface: 'br-phy', port: 14789 } } };
  const guests = [];
  for (const number of [1, 2]) {
    guests.push(await attachGuest(lab, blue, number, { label: `blue-${number}` }));
    guests.push(await attachGuest(lab, onBridge, number, { label: `red-${number}` }));
  }
  await lab.settle();
  t.same(describeFaults(await measureReach(t, guests.map(({ participant }) => participant))), []);
  for (const guest of guests) await lab.detach(guest);
  t.same(lab.nodes.map((node) => node.snapshot()), before, 'nothing is left');
});

t.test('a node whose underlay is no bridge of the switch is told so, and nothing is made', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs']);
  const node = lab.node(1);
  run('ip', ['-n', node.netns, 'link', 'add', 'nic1', 'up', 'type', 'veth', 'peer', 'name', 'wire1']);
  run('ip', ['-n', node.netns, 'route', 'add', '198.51.100.0/24', 'dev', 'nic1']);
  const before = node.snapshot();
  const good = tenantConf(lab, blue, 1);
  t.match(await node.status(good), done, 'STATUS of a network that works');
  t.same(node.snapshot(), before, 'STATUS changes nothing');

  const conf = { ...good, peers: ['198.51.100.7'] };
  const words = /packets to the other nodes leave by nic1, which is not a port of Open vSwitch/;
  t.match(await node.status(conf), refused(50, words), 'STATUS');
  t.same(node.snapshot(), before, 'nor does one that has something to say');
  t.match(await node.add({ conf, netns: lab.container('one'), containerId: 'one' }), { exitCode: 1, error: { msg: words } }, 'ADD');
  t.same(node.snapshot(), before, 'an ADD takes back what it has made');
});

function idOf({ attach }: Attached): { readonly containerID: string; readonly ifname: string } {
  return { containerID: attach.containerId, ifname: 'eth0' };
}
