/** Callers that misbehave while their request is sound: they go away, do not read, are too many, or are none of the daemon's. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { DaemonConnection, encodeRawRequest, exchangeRaw, frameKinds, namespaceVariables, requestKinds } from '../harness/daemon-socket.ts';
import { throughLauncher } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { attachEnv, type NodeSnapshot } from '../harness/lab-node.ts';
import { createLab } from '../harness/lab.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { createDelayingIpam } from './delaying-ipam.ts';
import { expectUnharmed, measureHealth } from './health.ts';
import { blueConf, callAlone, callRequest, createScene, newcomer, readEndpoints, type Scene } from './scene.ts';

const skip = skipWithoutDaemonLab('python3');
t.setTimeout(150_000);

const { accepted, answered, elsewhere } = frameKinds;
const otherNamespace = 3;
const nobody = 65_534;

testEachDatapath('a caller that goes away while its ADD is worked on', async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const { node, daemon } = scene;
  const ipam = createDelayingIpam(t);
  const before = node.snapshot();
  const health = await measureHealth(scene);
  const attach = newcomer(scene, 'left', { conf: blueConf(node, { ipam: ipam.conf }) });
  const request = callRequest(node, 'ADD', attach, { CNI_PATH: ipam.path });
  const leaving = await DaemonConnection.open(daemon.socketPath);
  leaving.send(encodeRawRequest(request));
  t.match(await leaving.frame(), { kind: accepted });
  await ipam.begun();
  const waiting = await DaemonConnection.open(daemon.socketPath);
  waiting.send(encodeRawRequest(request));
  t.match(await waiting.frame(), { kind: accepted }, 'another one waits for the same container');
  const staying = await DaemonConnection.open(daemon.socketPath);
  staying.send(encodeRawRequest(request));
  t.match(await staying.frame(), { kind: accepted }, 'and a third one');
  leaving.close();
  waiting.close();
  ipam.release();
  const last = await staying.frame();
  t.match(last, { kind: answered, status: 0, body: new RegExp(ipam.address) }, 'which stays, and gets its answer');
  const taken = await daemon.logged(/taken back/);
  t.match(taken, { level: 'warn', containerId: 'left' });
  t.match(daemon.linesOf(/^(ADD|DEL) /).filter(({ containerId }) => containerId === 'left').map(({ verb, outcome, error }) => [verb, outcome, error ?? 'no error']), [
    ['ADD', 'ok', 'no error'],
    ['DEL', 'ok', 'no error'],
    ['ADD', 'failed', /went away before its turn/],
    ['ADD', 'ok', 'no error'],
  ], 'the first ADD is taken back before the others have their turn, the second is not begun');
  t.same(ipam.calls(), ['ADD', 'DEL', 'ADD']);
  t.match(await readEndpoints(node), [{ containerId: 'left', addresses: [ipam.address], state: 'attached' }]);
  const check = { ...callRequest(node, 'CHECK', attach, { CNI_PATH: ipam.path }), stdin: JSON.stringify({ ...attach.conf, prevResult: JSON.parse(last?.body ?? '') }) };
  t.match(await exchangeRaw(daemon.socketPath, check), [{ kind: accepted }, { kind: answered, status: 0 }], 'what the third one got is whole');
  t.match(await exchangeRaw(daemon.socketPath, callRequest(node, 'DEL', attach, { CNI_PATH: ipam.path })), [{ kind: accepted }, { kind: answered, status: 0 }]);
  await expectAsBefore(t, scene, before);
  t.equal(readLinks(attach.netns).length, 1, 'the container has only its loopback');
  await expectUnharmed(t, scene, health);
}, { skip });

testEachDatapath('a caller that goes away while its DEL is worked on: the DEL is done', async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const { node, daemon } = scene;
  const before = node.snapshot();
  const ipam = createDelayingIpam(t, 'DEL');
  const attach = newcomer(scene, 'left', { conf: blueConf(node, { ipam: ipam.conf }) });
  t.match(await exchangeRaw(daemon.socketPath, callRequest(node, 'ADD', attach, { CNI_PATH: ipam.path })), [{ kind: accepted }, { kind: answered, status: 0 }]);
  const leaving = await DaemonConnection.open(daemon.socketPath);
  leaving.send(encodeRawRequest(callRequest(node, 'DEL', attach, { CNI_PATH: ipam.path })));
  await ipam.begun();
  leaving.close();
  ipam.release();
  await daemon.logged(/^DEL done/);
  await expectAsBefore(t, scene, before);
  t.same(await readEndpoints(node), []);
}, { skip });

t.test('a caller that does not read its answer', { skip }, async (t) => {
  const scene = await createScene(t);
  const { node, daemon } = scene;
  const health = await measureHealth(scene);
  const attach = newcomer(scene, 'deaf');
  const deaf = await DaemonConnection.open(daemon.socketPath);
  deaf.socket.pause();
  deaf.send(encodeRawRequest(callRequest(node, 'ADD', attach)));
  await daemon.logged(/^ADD done/);
  await daemon.eventually('has closed the connection', () => daemon.connections() === 0);
  deaf.socket.resume();
  t.match(await deaf.frames(), [{ kind: accepted }, { kind: answered, status: 0, body: /10\.1\.1\.11/ }], 'the answer was in the socket, and can still be read');
  t.match(await node.del(attach), { exitCode: 0, stderr: '' });
  await expectUnharmed(t, scene, health);
});

t.test('1000 idle connections, and more than the daemon keeps open', { skip }, async (t) => {
  const scene = await createScene(t);
  const { node, daemon, lab } = scene;
  const health = await measureHealth(scene);
  const idle = await openMany(daemon.socketPath, 1000);
  t.teardown(() => idle.forEach((connection) => connection.close()));
  await daemon.eventually('has 1000 connections', () => daemon.connections() === 1000);
  const served = newcomer(scene, 'served');
  t.match(await node.add(served), { exitCode: 0, stderr: '' }, 'beside 1000 idle connections a call is served');
  t.equal((await daemon.status()).calls['ADD']?.ok, 2, 'by the daemon');
  idle.push(...(await openMany(daemon.socketPath, 200)));
  const crowded = newcomer({ lab, conf: scene.conf }, 'crowded');
  const outcome = await node.add(crowded);
  t.match(outcome, { exitCode: 0 }, `beside more than it keeps open, by the daemon or by weft alone: ${describeOutcome(outcome)}`);
  t.match(await daemon.logged(/too many connections are open/), { level: 'warn', callers: Number, connections: Number });
  for (const frames of await Promise.all(idle.map((connection) => connection.frames()))) {
    const isInTime = frames.length === 0 || (frames.length === 1 && frames[0]?.kind === elsewhere);
    if (!isInTime) t.fail(`an idle connection was answered: ${JSON.stringify(frames)}`);
  }
  t.pass('each idle connection was ended by the daemon');
  for (const attach of [served, crowded]) t.match(await node.del(attach), { exitCode: 0, stderr: '' });
  await expectUnharmed(t, scene, health);
});

t.test('another user', { skip }, async (t) => {
  const { node, daemon } = await createScene(t);
  const ask = (): string => run('python3', [join(import.meta.dirname, 'connect-as.py'), daemon.socketPath, `${nobody}`]).trim();
  for (const above of ['..', '../..']) chmodSync(join(node.runDirectory, above), 0o755);
  t.equal(ask(), 'Permission denied', 'the directory keeps others out');
  chmodSync(node.runDirectory, 0o755);
  t.equal(ask(), 'Permission denied', 'so does the socket');
  chmodSync(daemon.socketPath, 0o666);
  t.equal(ask(), `${elsewhere} the daemon serves root only`, 'and so does the daemon');
  t.match(await exchangeRaw(daemon.socketPath, { kind: requestKinds.question, stdin: 'status' }), [{ kind: accepted }, { kind: answered }], 'root is served');
});

t.test('callers of another network namespace do the call themselves, there', { skip }, async (t) => {
  const scene = await createScene(t);
  const { node, daemon, lab, conf } = scene;
  const elsewhereLab = createLab(t, { nodes: 1, ...throughLauncher });
  const other = elsewhereLab.node(1);
  const before = [node.snapshot(), other.snapshot()];
  const attach = { conf: blueConf(other), containerId: 'elsewhere', netns: lab.container('elsewhere') };
  const env = { ...attachEnv('ADD', attach), WEFT_RUN_DIR: node.runDirectory };
  const added = await other.call({ env, stdin: JSON.stringify(attach.conf) });
  t.match(added, { exitCode: 0, stderr: /leaves the call to weft alone: the daemon runs in another network namespace/ }, describeOutcome(added));
  t.same(node.snapshot(), before[0], "the daemon's node is untouched");
  t.match(await readEndpoints(other), [{ containerId: 'elsewhere', state: 'attached' }]);
  const deleted = await other.call({ env: { ...env, CNI_COMMAND: 'DEL' }, stdin: JSON.stringify(attach.conf) });
  t.match(deleted, { exitCode: 0, stderr: /another network namespace/ });
  t.same(other.snapshot(), before[1]);

  const [mine, theirs] = [newcomer(scene, 'mine'), lab.container('theirs')];
  const seenOtherwise = callRequest(node, 'ADD', mine, { WEFT_TARGET_NETNS: namespaceVariables({ node: theirs }).WEFT_CALLER_NETNS ?? '' });
  t.match(await exchangeRaw(daemon.socketPath, seenOtherwise), [{ kind: elsewhere, status: otherNamespace, body: /does not see the caller's/ }], 'a path that is something else to the caller');
  const gone = callRequest(node, 'DEL', { conf, containerId: 'gone' }, { CNI_NETNS: '/run/netns/no-such-namespace' });
  t.match(await exchangeRaw(daemon.socketPath, gone), [{ kind: accepted }, { kind: answered, status: 0 }], 'a path that leads nowhere is no reason');
  t.same(await readEndpoints(node), []);
});

t.test('a daemon that is stopped: the launcher falls back, and the abandoned call is not done a second time', { skip }, async (t) => {
  const scene = await createScene(t);
  const { node, daemon } = scene;
  const before = node.snapshot();
  const attach = newcomer(scene, 'patient');
  daemon.signal('SIGSTOP');
  t.teardown(() => daemon.signal('SIGCONT'));
  const added = await node.add(attach);
  t.match(added, { exitCode: 0, stderr: /did not take the call in time; is it stopped\?/ }, describeOutcome(added));
  t.match(added.result, { ips: [{ address: '10.1.1.10/24' }] });
  daemon.signal('SIGCONT');
  const { calls } = await daemon.status();
  t.same(calls, {}, 'the daemon has found a request that nobody waits for, and has not begun it');
  t.same((await readEndpoints(node)).map(({ containerId }) => containerId), ['patient']);
  t.match(await node.check(attach, added.result), { exitCode: 0, stderr: '' }, 'the daemon knows what was done without it');
  t.match(await node.del(attach), { exitCode: 0, stderr: '' });
  t.same(node.snapshot(), before);
  t.match(await callAlone(node, 'DEL', attach), { exitCode: 0 }, 'and a second time, alone');
});

/** Behind a delegated plugin the tenant's segment is removed after the answer: nobody need wait for it. */
async function expectAsBefore(t: Test, { node, daemon }: Scene, before: NodeSnapshot): Promise<void> {
  await daemon.eventually('has removed the segment', () => isDeepStrictEqual(node.snapshot(), before)).catch(() => undefined);
  t.same(node.snapshot(), before);
}

async function openMany(path: string, count: number): Promise<DaemonConnection[]> {
  return Promise.all(Array.from({ length: count }, () => DaemonConnection.open(path)));
}
