/** STATUS fails with 50 exactly when an ADD would fail for the node's sake, and says what to change. */
import t from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { mounting, mountingExecutable, stateDirectoryFull, stateDirectoryReadOnly } from './mount-namespace.ts';
import { done, refused, refusedWithRemedy, succeeded } from './outcomes.ts';
import { createSite, newcomer, rangeOf, type Site } from './site.ts';

const skip = skipWithoutLab();

testEachDatapath('STATUS of a node that is ready', async (t, datapath) => {
  const site = await createSite(t, { datapath, extra: { isGateway: true, ipMasq: true } });
  const before = site.node.snapshot();
  t.match(await site.node.status(site.conf), done);
  t.match(await site.node.status({ ...site.conf, isGateway: false, ipMasq: false, ipam: {} }), done, 'without addresses');
  t.same(site.node.snapshot(), before, 'looking changes nothing');
  const attached = await site.lab.attach(site.node, { label: 'one', conf: site.conf });
  t.match(await site.node.status(site.conf), done, 'with an attachment and its gateway in place');
  await site.lab.detach(attached);
});

t.test('STATUS of a tenant that has no address left', { skip }, async (t) => {
  const site = await createSite(t, { range: rangeOf('10.1.1.10') });
  const attached = await site.lab.attach(site.node, { label: 'only', conf: site.conf });
  t.match(await site.node.status(site.conf), refusedWithRemedy(50, /No address is free in 10\.1\.1\.10.* of tenant blue/, /enlarge the range or remove containers/));
  t.match(await site.node.status({ ...site.conf, name: 'red', vni: 1002 }), done, "another tenant's equal range is free");
  await site.lab.detach(attached);
  t.match(await site.node.status(site.conf), done);
  const kept = await site.lab.attach(site.node, { label: 'kept', conf: site.conf, args: 'WEFT_ENDPOINT=db' });
  await site.lab.detach(kept);
  t.match(await site.node.status(site.conf), refused(50, /No address is free/), 'the address of an endpoint that is away is not free');
});

t.test('STATUS of one family that is exhausted beside one that is not', { skip }, async (t) => {
  const ranges = [[{ subnet: '10.1.1.0/24' }], [{ subnet: 'fd00:1::/64', rangeStart: 'fd00:1::10', rangeEnd: 'fd00:1::10' }]];
  const site = await createSite(t, { extra: { ipam: { type: 'weft', ranges } } });
  await site.lab.attach(site.node, { label: 'only', conf: site.conf });
  t.match(await site.node.status(site.conf), refused(50, /No address is free in fd00:1::10/));
});

testEachDatapath('STATUS of an underlay that is not there', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const { conf, node } = site;
  const rows: readonly (readonly [string, object, RegExp])[] = [
    ['no such interface', { interface: 'bond7' }, /vtep\.interface must be an interface of this node: there is no bond7/],
    ['an interface without an address', { interface: 'bare0' }, /vtep\.interface must have a global IPv4 address: bare0 has none/],
    ['an address of another node', { address: '10.200.0.12' }, /vtep\.address must be an address of this node: no interface has 10\.200\.0\.12/],
    ['an address of another interface', { interface: 'bare0', address: '10.200.0.11' }, /vtep\.address must be on vtep\.interface: 10\.200\.0\.11 is on (eth0|br-phy)/],
  ];
  run('ip', ['-n', node.netns, 'link', 'add', 'bare0', 'type', 'bridge']);
  for (const [name, vtep, words] of rows) await agree(t, { ...site, conf: { ...conf, vtep } }, { name, words });
  await agree(t, { ...site, conf: { ...conf, mtu: 1451 } }, { name: 'an MTU that does not fit', words: /mtu must be at most 1450, which is the underlay's 1500 less VXLAN's 50/ });
  run('ip', ['-n', node.netns, 'route', 'del', 'default']);
  const { vtep: _, ...withoutVtep } = conf;
  await agree(t, { ...site, conf: withoutVtep }, { name: 'no default route', words: /VTEP is not known: set vtep\.interface or vtep\.address/ });
});

testEachDatapath('STATUS of a tenant that cannot be as configured', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const { conf } = site;
  await site.lab.attach(site.node, { label: 'present', conf });
  await agree(t, { ...site, conf: { ...conf, vni: 1009 } }, { name: 'another VNI', words: /tenant blue has VNI 1001 on this node, not 1009/ });
  await agree(t, { ...site, conf: { ...conf, name: 'red' } }, { name: "another tenant's VNI", words: /VNI 1001 belongs to tenant blue on this node, not to red/ });
  await agree(t, { ...site, conf: { ...conf, vtep: { port: 4790 } } }, { name: 'another UDP port', words: /tenant blue uses UDP port 4789 on this node, not 4790/ });
  const gateway = { isGateway: true, ipam: { type: 'weft', ranges: [[{ subnet: '10.200.0.0/16', rangeStart: '10.200.9.0', rangeEnd: '10.200.9.9' }]] } };
  await agree(t, { ...site, conf: { ...conf, name: 'red', vni: 1002, ...gateway } }, { name: "the underlay's own subnet", words: /subnet 10\.200\.0\.0\/16 of tenant red cannot have its gateway on this node/ });
});

testEachDatapath('STATUS of a state directory that cannot be written', async (t, datapath) => {
  const site = await createSite(t, { datapath, executable: mountingExecutable(t) });
  const present = await site.lab.attach(site.node, { label: 'present', conf: site.conf });
  const attach = newcomer(site, 'newcomer');
  const before = site.node.snapshot();
  for (const [name, commands, words] of [
    ['read-only', stateDirectoryReadOnly, /read-?only/i],
    ['full', stateDirectoryFull, /the disk is full; free some space on it/],
  ] as const) {
    const status = await site.node.call({ env: mounting(commands, 'STATUS', attach), stdin: JSON.stringify({ ...site.conf, cniVersion: '1.1.0' }) });
    t.match(status, refused(50, words), `${name}: ${describeOutcome(status)}`);
    t.match(status.error?.msg, site.node.stateDirectory, 'the directory is named');
    const added = await site.node.call({ env: mounting(commands, 'ADD', attach), stdin: JSON.stringify(site.conf) });
    t.match(added, refused(5, words), `an ADD fails as STATUS said: ${describeOutcome(added)}`);
    t.same(site.node.snapshot(), before, 'and leaves nothing');
  }
  t.match(await site.node.status(site.conf), done, 'when it can be written again');
  t.match(await site.node.check(present.attach, present.result), done);
  t.match(await site.node.add(attach), succeeded);
});

t.test('STATUS with a configuration that is wrong in itself', { skip }, async (t) => {
  const { node, conf } = await createSite(t);
  t.match(await node.status({ ...conf, vni: 0 }), refused(7, /vni must be a whole number from 1 to 16777215: current value is 0/), "the fault's own code: no waiting helps");
  t.match(await node.status({ ...conf, vtep: { address: node.ipv6 } }), refused(7, /peers must be of the family of vtep\.address, fd00:200::11: current value is 10\.200\.0\.12/));
  t.match(await node.status({ ...conf, vmi: 7 }), refused(2, /unknown key.*vmi.*vni/s));
});

/** STATUS says 50 with the words, an ADD fails with the same words, and the node is as before. */
async function agree(t: Tap, site: Site, { name, words }: { readonly name: string; readonly words: RegExp }): Promise<void> {
  const before = site.node.snapshot();
  const status = await site.node.status(site.conf);
  t.match(status, refused(50, words), `STATUS: ${name}: ${describeOutcome(status)}`);
  const added = await site.node.add(newcomer(site, 'refused'));
  t.match(added, { exitCode: 1, error: { msg: status.error?.msg } }, `ADD says the same: ${describeOutcome(added)}`);
  t.same(site.node.snapshot(), before, 'the node is as before');
}

/** As much of tap's `t` as is used here. */
interface Tap {
  match(found: unknown, pattern: unknown, message: string): boolean;
  same(found: unknown, wanted: unknown, message: string): boolean;
}
