import t from 'tap';
import { findLink, readLinks } from '../../pkg/testing/observe.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { run } from '../../pkg/testing/command.ts';
import { CleanupStack } from './cleanup-stack.ts';
import { ping } from './container.ts';
import { createLab } from './lab.ts';

const referencePlugin = '/usr/lib/cni/bridge';
const skip = skipUnless({ root: true, tools: ['ip', 'ping'] });
const skipReference = skip || skipUnless({ executables: [referencePlugin, '/usr/lib/cni/host-local'] });
t.setTimeout(60_000);

t.test('nodes of a lab reach each other with full-size packets, in both families', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 3, underlayMtu: 1600 });
  const first = lab.node(1);
  for (const number of [2, 3]) {
    const { ipv4, ipv6 } = lab.node(number);
    t.equal(await ping(first.netns, ipv4, { size: 1600 - 28, df: true }), 1, ipv4);
    t.equal(await ping(first.netns, ipv6, { size: 1600 - 48, df: true }), 1, ipv6);
  }
  t.equal(await ping(first.netns, lab.node(2).ipv4, { size: 1600 - 27, df: true }), 0, 'one byte too many');
  t.same(lab.peersOf(2), ['10.200.0.11', '10.200.0.13']);
  t.same(lab.peersOf(2, 6), ['fd00:200::11', 'fd00:200::13']);
  t.throws(() => lab.node(4), /node must be from 1 to 3: current value is 4/);
});

t.test('a lab leaves nothing behind', { skip }, async (t) => {
  const before = listNetns();
  const scope = new CleanupStack();
  createLab(scope, { nodes: 2 });
  t.equal(listNetns().length, before.length + 3);
  await scope.run();
  t.same(listNetns(), before);
});

t.test('CNI calls go to the node they are made on', { skip: skipReference }, async (t) => {
  const lab = createLab(t, { nodes: 2, executable: referencePlugin });
  const ipam = { type: 'host-local', subnet: '10.9.0.0/24', dataDir: lab.node(1).stateDirectory };
  const conf = { cniVersion: '1.0.0', name: 'reference', type: 'bridge', bridge: 'ref0', ipam };
  const before = lab.node(1).snapshot();
  const one = await lab.attach(lab.node(1), { label: 'one', conf });
  const two = await lab.attach(lab.node(1), { label: 'two', conf });
  t.same(one.result.ips?.[0]?.address, '10.9.0.2/24');
  t.equal(await ping(one.netns, '10.9.0.3'), 1);
  t.ok(findLink(lab.node(1).netns, 'ref0'));
  t.notOk(findLink(lab.node(2).netns, 'ref0'));
  for (const attached of [one, two]) await lab.detach(attached);
  t.equal(readLinks(one.netns).length, 1, 'only loopback is left');
  run('ip', ['-n', lab.node(1).netns, 'link', 'del', 'ref0']);
  t.same(lab.node(1).snapshot(), before);
  const outcome = await lab.node(1).add({ ...one.attach, conf: { ...conf, type: 'bridge', ipam: { type: 'no-such-plugin' } } });
  t.not(outcome.exitCode, 0);
  t.match(outcome.error, { code: Number, msg: /no-such-plugin/ });
});

/** This process's own namespaces; other tests may run beside it. */
function listNetns(): readonly string[] {
  const names = run('ip', ['netns', 'list']).split('\n').map((line) => line.split(' ')[0] ?? '');
  return names.filter((name) => name.startsWith(`wt${process.pid}-`)).sort();
}
