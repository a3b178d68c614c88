/** The MTU that a container gets, and that it is neither a byte too large nor too small. */
import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { datapathTitles } from '../harness/each-datapath.ts';
import { readAttachment, readSegment } from '../harness/kernel-view.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { attachGuest, blue, tenantConf, type Guest } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';
import { sendPacket } from './packet-size.ts';
import { overheadBytes, setUnderlayMtu } from './underlay.ts';

t.setTimeout(300_000);

const underlayMtus = [1500, 1600, 9000, 1543];

for (const datapath of ['bridge', 'ovs'] as const) {
  for (const family of [4, 6] as const) {
    t.test(`full-size packets pass and larger ones are answered: ${datapathTitles[datapath]}, IPv${family} underlay`, { skip: skipWithoutLabOf([datapath]) }, async (t) => {
      const lab = await createLabOf(t, [datapath, datapath], { underlayMtu: Math.max(...underlayMtus) });
      for (const underlayMtu of underlayMtus) await t.test(`${underlayMtu} bytes`, async (t) => checkSizes(t, lab, { family, underlayMtu }));
    });
  }
}

async function checkSizes(t: Test, lab: Lab, { family, underlayMtu }: { readonly family: 4 | 6; readonly underlayMtu: number }): Promise<void> {
  setUnderlayMtu(lab, underlayMtu);
  const mtu = underlayMtu - overheadBytes[family];
  const tenant = { ...blue, underlay: family };
  const [near, far] = [await attachGuest(lab, tenant, 1, { label: 'near' }), await attachGuest(lab, tenant, 2, { label: 'far' })];
  await lab.settle();
  for (const guest of [near, far]) t.match(readAttachment(guest), { containerMtu: mtu, hostMtu: mtu }, `${guest.participant.name} has ${mtu}`);
  for (const address of [far.participant.ipv4, far.participant.ipv6]) {
    t.equal(await sendPacket(near.netns, address, mtu), 'delivered', `${mtu} bytes to ${address}`);
    t.equal(await sendPacket(near.netns, address, mtu + 1), 'refused', `${mtu + 1} bytes to ${address}`);
  }
  if (near.node.datapath === 'bridge') await checkTooLarge(t, { near, far, mtu, underlayMtu });
  for (const guest of [near, far]) await lab.detach(guest);
}

interface Sizes {
  readonly near: Guest;
  readonly far: Guest;
  readonly mtu: number;
  readonly underlayMtu: number;
}

/** Somebody has given the interface more than there is room for: the tunnel answers in the far container's name. */
async function checkTooLarge(t: Test, { near, far, mtu, underlayMtu }: Sizes): Promise<void> {
  t.match(readSegment(near.node.netns, blue.vni), { vxlanMtu: underlayMtu }, "the tunnel's device has the underlay's");
  run('ip', ['-n', near.node.netns, 'link', 'set', readAttachment(near).hostIf ?? '', 'mtu', `${mtu + 1}`]);
  run('ip', ['-n', near.netns, 'link', 'set', 'eth0', 'mtu', `${mtu + 1}`]);
  for (const address of [far.participant.ipv4, far.participant.ipv6]) t.equal(await sendPacket(near.netns, address, mtu + 1), 'answered too big', `${mtu + 1} bytes to ${address}, from an interface that takes them`);
}

t.test('an mtu that does not fit is refused, or warned about', { skip: skipWithoutLabOf(['bridge']) }, async (t) => {
  const lab = await createLabOf(t, ['bridge', 'bridge']);
  const node = lab.node(1);
  const attach = { netns: lab.container('large'), containerId: 'large' };
  const conf = { ...tenantConf(lab, blue, 1), mtu: 1451 };
  const words = "mtu must be at most 1450, which is the underlay's 1500 less VXLAN's 50: current value is 1451";
  const refused = await node.add({ ...attach, conf });
  t.match(refused, { exitCode: 1, error: { code: 7 } }, describeOutcome(refused));
  t.ok(describeOutcome(refused).includes(words));
  const warned = await lab.attach(node, { label: 'warned', conf: { ...conf, mtuPolicy: 'warn' } });
  t.match(readAttachment(warned), { containerMtu: 1450, hostMtu: 1450 }, 'what fits is used');
});

t.test('the smallest of the ways to the peers counts', { skip: skipWithoutLabOf(['bridge']) }, async (t) => {
  const lab = await createLabOf(t, ['bridge', 'bridge'], { underlayMtu: 9000 });
  const [node, other] = [lab.node(1), lab.node(2)];
  run('ip', ['-n', node.netns, 'route', 'add', `${other.ipv4}/32`, 'dev', 'eth0', 'mtu', '1700']);
  const narrow = await attachGuest(lab, blue, 1, { label: 'narrow' });
  t.match(readAttachment(narrow), { containerMtu: 1650, hostMtu: 1650 }, "the route's own mtu");
  t.match(readSegment(node.netns, blue.vni), { vxlanMtu: 9000 }, "the tunnel's device has the link's");
  run('ip', ['-n', node.netns, 'link', 'add', 'wide', 'mtu', '1600', 'type', 'bridge']);
  run('ip', ['-n', node.netns, 'link', 'set', 'wide', 'up']);
  run('ip', ['-n', node.netns, 'route', 'add', '198.51.100.7/32', 'dev', 'wide']);
  const wide = await attachGuest(lab, { name: 'wide', vni: 1002, extra: { peers: [other.ipv4, '198.51.100.7'] } }, 1, { label: 'wide' });
  t.match(readAttachment(wide), { containerMtu: 1550 }, 'another link leads to another peer');
});
