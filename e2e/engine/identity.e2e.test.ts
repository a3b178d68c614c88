/** WEFT_ENDPOINT: an endpoint keeps its address and MAC while its containers come and go. */
import t from 'tap';
import { runIn } from '../../pkg/testing/command.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { readInterface } from '../harness/container.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { Attach } from '../harness/lab-node.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';
import { done, refused, refusedWithRemedy, succeeded } from './outcomes.ts';
import { addressesOf, createSite, endContainer, hasHostIf, macOf, newcomer, rangeOf, type Site } from './site.ts';

const skip = skipWithoutLab();
const asDb = { args: 'WEFT_ENDPOINT=db-0;IgnoreUnknown=1' };

testEachDatapath('an endpoint keeps its address and MAC', async (t, datapath) => {
  const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10', '10.1.1.12') });
  const { node } = site;
  const first = newcomer(site, 'first', { ...asDb, args: 'WEFT_ENDPOINT=db-0;MAC=02:00:5e:00:00:01' });
  const added = await node.add(first);
  t.match(added, succeeded, describeOutcome(added));
  t.equal(macOf(added), '02:00:5e:00:00:01');
  t.match(await node.del(first), done);

  const others = [await add(site, 'other1'), await add(site, 'other2')];
  t.notOk(others.some((other) => addressesOf(other)[0] === addressesOf(added)[0]), 'nobody else gets the address meanwhile');
  t.match(await node.add(newcomer(site, 'third')), refusedWithRemedy(102, /No address is free/, /1 endpoints that are not attached keep theirs/), 'even when nothing else is left');
  const rows: readonly (readonly [string, Partial<Attach>, RegExp])[] = [
    ['nobody can ask for the address', { args: `IP=${addressesOf(added)[0]}` }, /10\.1\.1\.10 of tenant blue belongs to endpoint db-0, for which it is kept/],
    ['nor for the MAC', { args: 'MAC=02:00:5e:00:00:01', conf: { ...site.conf, ipam: {} } }, /MAC 02:00:5e:00:00:01 is in use in tenant blue/],
  ];
  for (const [name, options, words] of rows) t.match(await node.add(newcomer(site, 'thief', options)), refused(103, words), name);

  const second = await site.lab.attach(node, { label: 'second', conf: site.conf, ...asDb });
  t.same([addressesOf(second), macOf(second)], [addressesOf(added), macOf(added)], 'another container of the endpoint has both');
  t.equal(readInterface(second.netns).mac, '02:00:5e:00:00:01', 'in the kernel too');
  t.match(await node.del(first), done, 'a late DEL of the first container');
  t.match(await node.check(second.attach, second.result), done, 'takes nothing from the second');
});

testEachDatapath('an endpoint is in one container at a time', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const { node } = site;
  const first = await site.lab.attach(node, { label: 'first', conf: site.conf, ...asDb });
  const before = node.snapshot();
  const second = newcomer(site, 'second', asDb);
  t.match(await node.add(second), refused(103, /endpoint db-0 is attached to container first-\S+, eth0: delete that one first, or use another WEFT_ENDPOINT/));
  t.same(node.snapshot(), before);
  t.match(await node.check(first.attach, first.result), done, 'the first one does not notice');
  const inOtherTenant = await site.lab.attach(node, { label: 'red', conf: { ...site.conf, name: 'red', vni: 1002 }, ...asDb });
  t.same(addressesOf(inOtherTenant), addressesOf(first), "another tenant's endpoint of the same name is another endpoint");
});

testEachDatapath('a successor takes over from a container that is gone', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const { node } = site;
  const first = await site.lab.attach(node, { label: 'first', conf: site.conf, ...asDb });
  endContainer(first.netns);
  const second = await site.lab.attach(node, { label: 'second', conf: site.conf, ...asDb });
  t.same([addressesOf(second), macOf(second)], [addressesOf(first), macOf(first)]);
  t.match(await node.del(first.attach), done, 'the late DEL of the predecessor');
  t.match(await node.gc(site.conf, [{ containerID: second.attach.containerId, ifname: 'eth0' }]), done, 'and a GC that knows only the successor');
  t.match(await node.check(second.attach, second.result), done, 'free nothing of the successor');
  t.match(await node.add(newcomer(site, 'thief', { args: `IP=${addressesOf(first)[0]}` })), refused(103, /belongs to container second-/));
});

testEachDatapath('the same container ID again, after its namespace was lost', async (t, datapath) => {
  const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10') });
  const first = await site.lab.attach(site.node, { label: 'first', conf: site.conf });
  t.match(await site.node.add({ ...first.attach, netns: site.lab.container('fresh') }), refused(111, /is attached to network blue already, in \S+: call DEL first/), 'not while it is in use');
  endContainer(first.netns);
  const again = { ...first.attach, netns: site.lab.container('again') };
  const added = await site.node.add(again);
  t.match(added, succeeded, describeOutcome(added));
  t.same(addressesOf(added), ['10.1.1.10'], 'the only address of the range was taken back');
  t.match(await site.node.check(again, added.result), done);
});

t.test('an endpoint whose address the configuration no longer has', { skip }, async (t) => {
  const site = await createSite(t);
  const { node } = site;
  const first = await site.lab.attach(node, { label: 'first', conf: site.conf, ...asDb });
  await site.lab.detach(first);
  const moved = { ...site.conf, ipam: { type: 'weft', ranges: [[{ subnet: '10.7.0.0/24', rangeStart: '10.7.0.10' }]] } };
  const second = await site.lab.attach(node, { label: 'second', conf: moved, ...asDb });
  t.same([addressesOf(second), macOf(second)], [['10.7.0.10'], macOf(first)], 'it gets another, and keeps its MAC');
});

t.test('weft forget', { skip }, async (t) => {
  const site = await createSite(t, { range: rangeOf('10.1.1.10') });
  const { node } = site;
  const attached = await site.lab.attach(node, { label: 'first', conf: site.conf, ...asDb });
  t.throws(() => forget(site, 'blue', 'db-0'), /Endpoint db-0 is attached to container first-\S+: delete that first/);
  t.match(await node.check(attached.attach, attached.result), done);
  await site.lab.detach(attached);
  t.throws(() => forget(site, '1001', 'db-9'), /VNI 1001 keeps nothing for an endpoint db-9 on this node/);
  t.throws(() => forget(site, 'blue', 'db-0'), /Tenant blue has no container on this node: name it by its VNI/);
  t.throws(() => forget(site, '0', 'db-0'), /VNI must be a whole number from 1 to 16777215: current value is 0/i);
  t.match(await node.add(newcomer(site, 'early')), refused(102, /No address is free/));
  t.equal(forget(site, '1001', 'db-0'), 'forgot endpoint db-0 of tenant 1001\n');
  const late = await site.lab.attach(node, { label: 'late', conf: site.conf });
  t.same(addressesOf(late), ['10.1.1.10'], 'the address is free again');
  t.ok(hasHostIf(node, late));
});

async function add(site: Site, label: string): Promise<Awaited<ReturnType<Site['node']['add']>>> {
  return site.node.add(newcomer(site, label));
}

/** @throws Error with what the command printed on stderr */
function forget({ node }: Site, tenant: string, endpoint: string): string {
  const env = [`WEFT_STATE_DIR=${node.stateDirectory}`, `WEFT_RUN_DIR=${node.stateDirectory}/../run`];
  return runIn(node.netns, 'env', ...env, weftExecutable, 'forget', tenant, endpoint);
}
