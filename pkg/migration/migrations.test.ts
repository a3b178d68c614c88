import t, { type Test } from 'tap';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { testMac, testSegment } from '../ledger/test-records.ts';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { pause } from '../sys/timer.ts';
import { carryOut, hasten } from './commands.ts';
import { endpoint, testNode, TestNetwork, type TestNode } from './test-nodes.ts';

const deadlineMs = 10_000;

async function eventually(t: Test, what: string, isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + deadlineMs; performance.now() < deadline && !isSo(); await pause(10));
  t.ok(isSo(), what);
}

interface Scene {
  readonly network: TestNetwork;
  readonly source: TestNode;
  readonly target: TestNode;
}

/** The endpoint is attached at node 1, and waits at node 2. */
async function begun(t: Test, options?: { readonly timeoutMs: number }): Promise<Scene & { readonly waiting: AttachmentRecord }> {
  const network = new TestNetwork();
  const [source, target] = [testNode(t, network, 1, options), testNode(t, network, 2, options)];
  source.put();
  const found = await target.migrations.find({ segment: testSegment({ vtepAddress: target.vtep, peers: [source.vtep] }), endpoint });
  t.match(found, { mac: testMac(1), addresses: { length: 2 }, migration: { other: source.vtep, id: String } });
  const waiting = target.put({ id: found?.migration?.id ?? '', phase: 'waiting', other: source.vtep });
  await target.migrations.begin(waiting);
  t.same([source.phase(), target.phase()], ['relaying', 'waiting']);
  t.same(source.calls.splice(0), ['startRelay relaying']);
  t.same(network.kept.toSorted(), ['192.0.2.1 to 192.0.2.2', '192.0.2.2 to 192.0.2.1'], 'what is to be said need not wait for a connection');
  t.same([...network.urgent].sort(), ['192.0.2.1', '192.0.2.2']);
  return { network, source, target, waiting };
}

function command(node: TestNode, verb: string, more: object = {}): Promise<{ readonly words: string }> {
  const body = { verb, tenant: 'blue', endpoint, ...more };
  hasten(node.migrations, body);
  return carryOut(node.engine, node.migrations, body);
}

async function expectDone(t: Test, { source, target, network }: Scene): Promise<void> {
  await eventually(t, 'the source has left, and the target is as any other', () => source.phase() === 'left' && target.phase() === 'none');
  t.equal(source.calls.at(-1), 'leave left');
  t.ok(target.calls.includes('settle none'));
  t.same([network.kept, [...network.urgent]], [[], []], 'no connection is kept any more, and nobody is in a hurry');
}

t.test('the machine stops at the source', async (t) => {
  const scene = await begun(t);
  const { source, target, network } = scene;
  t.same(await command(source, 'activate'), { words: 'the endpoint vm-1 goes to VTEP 192.0.2.2' });
  t.same([source.phase(), target.phase()], ['departed', 'arrived']);
  t.same(target.calls.slice(0, 3), ['armed waiting', 'open arrived', 'announce arrived'], 'the gate first, and then the rest');
  t.same(network.heard.filter((line) => line.endsWith('says open')), ['192.0.2.1 says open'], 'it is said once');
  await expectDone(t, scene);
  t.equal(target.calls.filter((call) => call.startsWith('announce')).length, 4, 'it is announced again, in case');
});

t.test('the machine speaks at the target', async (t) => {
  const scene = await begun(t);
  scene.target.speak();
  scene.target.speak();
  await eventually(t, 'the source departs', () => scene.source.phase() === 'departed');
  t.equal(scene.target.calls.filter((call) => call.startsWith('open')).length, 1, 'once');
  await expectDone(t, scene);
  await t.rejects(command(scene.source, 'cancel'), { code: 'invalidConfiguration', message: /is at VTEP 192\.0\.2\.2 by now: let it migrate back/ });
  await t.rejects(command(scene.target, 'activate'), { message: /is not on its way/ });
});

t.test('activated at the target, without a word from the source', async (t) => {
  const scene = await begun(t);
  scene.network.cut.add('192.0.2.1');
  const answer = await command(scene.target, 'activate');
  t.match(answer.words, /^the endpoint vm-1 has come from VTEP 192\.0\.2\.1; VTEP 192\.0\.2\.1 does not answer: 192\.0\.2\.1 does not answer$/);
  t.equal(scene.target.phase(), 'arrived');
  scene.network.cut.clear();
  t.match(await command(scene.target, 'activate'), { words: 'the endpoint vm-1 has come from VTEP 192.0.2.1' });
  await expectDone(t, scene);
});

t.test('cancelled at either end', async (t) => {
  for (const [at, words] of [['source', 'the endpoint vm-1 is here'], ['target', 'the endpoint vm-1 is still at VTEP 192.0.2.1']] as const) {
    const { source, target } = await begun(t);
    t.same(await command({ source, target }[at], 'cancel'), { words });
    t.same([source.phase(), target.phase()], ['none', 'waiting'], `by the ${at}: it goes on at the source`);
    t.same(source.calls, ['takeBack none']);
    await t.rejects(command(source, 'activate'), { code: 'invalidConfiguration', message: /is not on its way/ });
    target.speak();
    await eventually(t, 'a machine that comes all the same has it', () => source.phase() === 'departed' && target.phase() === 'arrived');
  }
});

t.test('prepared and never activated', async (t) => {
  const { source, target } = await begun(t, { timeoutMs: 300 });
  await eventually(t, 'given up', () => source.phase() === 'none');
  t.same([source.calls, target.phase()], [['takeBack none'], 'waiting']);
});

t.test('the target dies after the stop', async (t) => {
  const { network, source } = await begun(t);
  network.cut.add('192.0.2.2');
  t.match(await command(source, 'activate'), { words: /goes to VTEP 192\.0\.2\.2; VTEP 192\.0\.2\.2 does not answer/ });
  t.equal(source.phase(), 'departed');
  await eventually(t, 'it goes on at the source', () => source.phase() === 'none');
  t.same(source.calls.slice(0, 3), ['depart departed', 'takeBack none', 'announce none']);
});

t.test('an attachment that is deleted on the way', async (t) => {
  const abandoned = await begun(t);
  await abandoned.target.migrations.remove(abandoned.waiting);
  t.same([abandoned.source.phase(), abandoned.source.calls], ['none', ['takeBack none']], "the target's: the source goes on");
  const gone = await begun(t);
  const [record] = gone.source.ledger.read((tx) => tx.listAttachments());
  if (record === undefined) throw new Error('the source has its record');
  await gone.source.migrations.remove(record);
  t.equal(gone.target.phase(), 'arrived', "the source's: the target is all there is");
});

t.test('a target that is gone without a word', async (t) => {
  const { source, target } = await begun(t);
  const [record] = target.ledger.read((tx) => tx.listAttachments());
  target.ledger.write((tx) => tx.deleteAttachment(record?.seq ?? 0));
  t.match(await command(source, 'activate'), { words: /goes to/ });
  await eventually(t, 'the source finds it out', () => source.phase() === 'none');
  t.same(source.calls.slice(0, 3), ['activated relaying', 'depart departed', 'takeBack none']);
});

t.test('daemons that start anew in each phase', async (t) => {
  const prepared = await begun(t);
  const source = prepared.source.restart();
  const target = prepared.target.restart();
  await Promise.all([source.migrations.resume(), target.migrations.resume()]);
  t.match(await command(source, 'activate'), { words: 'the endpoint vm-1 goes to VTEP 192.0.2.2' });
  const [again, there] = [source.restart(), target.restart()];
  await Promise.all([again.migrations.resume(), there.migrations.resume()]);
  await expectDone(t, { ...prepared, source: again, target: there });

  const halfway = await begun(t);
  halfway.source.migrations.stop();
  halfway.target.speak();
  await eventually(t, 'it is open', () => halfway.target.phase() === 'arrived');
  t.equal(halfway.source.phase(), 'relaying', 'a daemon that has stopped does nothing');
  const late = halfway.source.restart();
  await late.migrations.resume();
  t.equal(late.phase(), 'departed', 'the next one has heard of it');
});

t.test('what the kernel refuses', async (t) => {
  const { source, target } = await begun(t);
  source.refuse = 'depart';
  await t.rejects(command(source, 'activate'), { code: 'kernelRefused' });
  t.equal(source.phase(), 'relaying', 'the phase is as it was');
  source.refuse = undefined;
  await eventually(t, 'the machine has stopped: the target was told at once, and says so', () => source.phase() === 'departed' && target.phase() === 'arrived');
  const other = await begun(t);
  other.target.refuse = 'open';
  t.match(await command(other.source, 'activate'), { words: /does not answer: open is refused/ });
  t.equal(other.target.phase(), 'waiting');
  other.target.refuse = undefined;
  await eventually(t, 'it is tried again', () => other.target.phase() === 'arrived');
});

t.test('where an endpoint is', async (t) => {
  const network = new TestNetwork();
  const [one, two, three] = [testNode(t, network, 1), testNode(t, network, 2), testNode(t, network, 3)];
  const find = (node: TestNode): ReturnType<TestNode['migrations']['find']> => node.migrations.find({ segment: testSegment({ vtepAddress: node.vtep, peers: [one, two, three].map(({ vtep }) => vtep) }), endpoint });
  t.equal(await find(one), undefined, 'nowhere');
  const kept = { vni: testSegment().vni, endpoint, mac: testMac(9), addresses: [] };
  three.ledger.write((tx) => tx.putIdentity({ ...kept, updatedAt: 5 }));
  t.same(await find(one), { mac: testMac(9), addresses: [] }, 'what a node keeps for it');
  one.ledger.write((tx) => tx.putIdentity({ ...kept, mac: testMac(8), updatedAt: 6 }));
  t.equal(await find(one), undefined, 'but this one knows better');
  two.put({ id: 'x', phase: 'relaying', other: one.vtep });
  await t.rejects(find(three), { code: 'tryAgainLater', message: 'The endpoint vm-1 at VTEP 192.0.2.2 cannot come here now: it is on its way to VTEP 192.0.2.1: weft migrate cancel gives that up' });
  const [record] = two.ledger.read((tx) => tx.listAttachments());
  if (record === undefined) throw new Error('it is there');
  const { migration: _, ...port } = record.port;
  two.ledger.write((tx) => tx.updateAttachment(record.seq, { port }));
  t.match(await find(three), { migration: { other: two.vtep } });
  network.cut.add('192.0.2.2');
  t.same(await find(three), { mac: testMac(8), addresses: [] }, 'one that cannot be asked keeps nobody waiting');
  t.match(three.said.join('\n'), /a node could not be asked for an endpoint/);
  network.cut.clear();
  one.put();
  await t.rejects(find(three), { code: 'addressTaken', message: /is attached at two VTEPs, 192\.0\.2\.1 and 192\.0\.2\.2/ });
});

t.test('weft migrate prepare', async (t) => {
  const network = new TestNetwork();
  const [source, target] = [testNode(t, network, 1), testNode(t, network, 2)];
  await t.rejects(command(target, 'prepare', { from: '192.0.2.1' }), { message: /Tenant blue has no container on this node/ });
  await t.rejects(command(target, 'prepare', { tenant: '1001', from: '192.0.2.1' }), { code: 'unknownContainer', message: /No container of VTEP 192\.0\.2\.1 is the endpoint vm-1 of VNI 1001/ });
  source.put();
  t.same(await command(target, 'prepare', { tenant: '1001', from: '192.0.2.1' }), { words: 'the next container with WEFT_ENDPOINT=vm-1 takes the endpoint over from VTEP 192.0.2.1' });
  const segment = testSegment({ vtepAddress: target.vtep, peers: [] });
  t.equal(formatAddress((await target.migrations.find({ segment, endpoint }))?.migration?.other ?? parseAddress('::')), '192.0.2.1', 'also where no peer is known');
  for (const [body, words] of [[{ verb: 'push' }, /verb must be one of prepare, activate, cancel: current value is "push"/], [{ tenant: '' }, /tenant must be text/], [{ endpoint: 7 }, /endpoint must be text/]] as const) {
    await t.rejects(command(source, 'activate', body), { code: 'invalidConfiguration', message: words });
  }
  await t.rejects(command(target, 'prepare', { tenant: '1001' }), { message: /from must be the VTEP/ });
  await t.rejects(command(source, 'activate', { endpoint: 'vm-2' }), { code: 'unknownContainer' });
});

t.test('two targets', async (t) => {
  const { network, source } = await begun(t);
  const third = testNode(t, network, 3);
  const waiting = third.put({ id: 'other', phase: 'waiting', other: source.vtep });
  await t.rejects(third.migrations.begin(waiting), { code: 'tryAgainLater', message: /VTEP 192\.0\.2\.1 does not let the endpoint vm-1 go: the endpoint is unknown there/ });
  t.equal(source.phase(), 'relaying');
});
