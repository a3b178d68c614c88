/** A daemon's start and end: its socket, what it tells the service manager, and calls that are under way when it stops. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { describeOutcome } from '../harness/cni-call.ts';
import { DaemonConnection, encodeRawRequest, exchangeRaw, frameKinds, requestKinds } from '../harness/daemon-socket.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import { attachEnv, type LabNode } from '../harness/lab-node.ts';
import { createLab } from '../harness/lab.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { WatchedProcess } from '../runtimes/watched-process.ts';
import { createDelayingIpam } from './delaying-ipam.ts';
import { blueConf, callRequest, createScene, newcomer, readEndpoints } from './scene.ts';

const skip = skipWithoutDaemonLab('python3');
t.setTimeout(120_000);

const { accepted, answered } = frameKinds;

t.test('the socket', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1, ...throughLauncher });
  const node = lab.node(1);
  rmSync(node.runDirectory, { recursive: true });
  const daemon = await Daemon.start(t, node);
  t.equal(statSync(node.runDirectory).mode & 0o7777, 0o700, 'mode of the directory it makes');
  t.equal(statSync(daemon.socketPath).mode & 0o7777, 0o600, 'mode of the socket');
  t.same(readdirSync(node.runDirectory), ['weft.sock'], 'and nothing beside it');
  t.match((await daemon.status()).pid, daemon.pid);
  t.match(daemon.linesOf(/the daemon answers calls/), [{ level: 'info', pid: daemon.pid, socket: daemon.socketPath, config: node.configPath, version: /^\d+\.\d+\.\d+/ }]);

  await daemon.kill();
  t.ok(existsSync(daemon.socketPath), 'a daemon that is killed leaves its socket');
  const alone = await node.version();
  t.match([alone.exitCode, alone.stderr], [0, ''], `which is as good as none: ${describeOutcome(alone)}`);
  const next = await Daemon.start(t, node);
  t.match(await node.version(), { exitCode: 0, stderr: '' });
  t.match((await next.status()).calls, { VERSION: { ok: 1 } }, 'the next daemon takes its place');
  t.equal(await next.stop(), 0);
  t.notOk(existsSync(next.socketPath), 'a daemon that is told to stop takes it away');
  t.match(next.log.at(-1), { level: 'info', message: 'the daemon has stopped', callsLeft: 0 });
});

t.test('SIGTERM while a call is under way', { skip }, async (t) => {
  const scene = await createScene(t);
  const { node, daemon, lab } = scene;
  const ipam = createDelayingIpam(t);
  const before = node.snapshot();
  const attach = newcomer(scene, 'late', { conf: blueConf(node, { ipam: ipam.conf }) });
  const call = (verb: 'ADD' | 'DEL'): ReturnType<LabNode['call']> => node.call({ env: { ...attachEnv(verb, attach), CNI_PATH: ipam.path }, stdin: JSON.stringify(attach.conf) });
  const adding = call('ADD');
  await ipam.begun();
  daemon.signal('SIGTERM');
  t.match(await daemon.logged(/the daemon stops/), { callsInFlight: 1 });
  await daemon.eventually('has taken its socket away', () => !existsSync(daemon.socketPath));
  const other = await lab.attach(node, { label: 'other', conf: { ...blueConf(node), name: 'red', vni: 1002 } });
  t.match(await node.check(other.attach, other.result), { exitCode: 0, stderr: '' }, 'calls that come now are done by weft alone, without a word');
  daemon.signal('SIGTERM');
  daemon.signal('SIGINT');
  t.equal(daemon.isRunning, true, 'it waits for the call, also when told twice');
  ipam.release();
  const added = await adding;
  t.match([added.exitCode, added.stderr, added.result?.ips?.[0]?.address], [0, '', ipam.address], describeOutcome(added));
  t.equal(await daemon.ended, 0, 'exit status');
  t.match(daemon.linesOf(/^ADD done/), [{ containerId: 'late' }], 'the daemon has done it');
  t.equal(daemon.linesOf(/the daemon stops/).length, 1);
  t.match(await call('DEL'), { exitCode: 0, stderr: '' });
  await lab.detach(other);
  t.same(node.snapshot(), before);
  t.same(await readEndpoints(node), []);
});

t.test('SIGINT ends it as well; connections without a request do not hold it for long', { skip }, async (t) => {
  const { daemon } = await createScene(t);
  const idle = await DaemonConnection.open(daemon.socketPath);
  t.equal(await daemon.stop('SIGINT'), 0);
  t.same((await idle.frames()).filter(({ kind }) => kind === accepted || kind === answered), []);
});

t.test('a call whose request is on the way when the daemon stops', { skip }, async (t) => {
  const scene = await createScene(t);
  const { node, daemon } = scene;
  const attach = newcomer(scene, 'halfway');
  const bytes = encodeRawRequest(callRequest(node, 'ADD', attach));
  const halfway = await DaemonConnection.open(daemon.socketPath);
  halfway.send(bytes.subarray(0, 100));
  await daemon.eventually('has the connection', () => daemon.connections() === 1);
  daemon.signal('SIGTERM');
  await daemon.logged(/the daemon stops/);
  halfway.send(bytes.subarray(100));
  t.match(await halfway.frames(), [{ kind: accepted }, { kind: answered, status: 0 }], 'is done');
  t.equal(await daemon.ended, 0);
  t.match(await node.del(attach), { exitCode: 0, stderr: '' });
});

t.test('what it tells the service manager', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1, ...throughLauncher });
  const node = lab.node(1);
  const manager = await startManager(t, node);
  const daemon = await Daemon.start(t, node, { env: { NOTIFY_SOCKET: manager.path } });
  await manager.heard(/READY=1\nSTATUS=answering calls on .*weft\.sock/);
  daemon.signal('SIGHUP');
  await manager.heard(/RELOADING=1\n(MONOTONIC_USEC=\d+\n)?READY=1/);
  writeFileSync(node.configPath, 'tenants: nonsense\n');
  daemon.signal('SIGHUP');
  await manager.heard(/(RELOADING=1\n(MONOTONIC_USEC=\d+\n)?READY=1[^]*){2}/);
  t.notMatch(manager.output, /STOPPING/);
  t.equal(await daemon.stop(), 0);
  await manager.heard(/STOPPING=1/);
  t.same(daemon.linesOf(/service manager/), []);

  const lonely = await Daemon.start(t, lab.node(1), { env: { NOTIFY_SOCKET: join(node.runDirectory, 'no-such-socket'), WEFT_CONFIG: '' } });
  t.match(await lonely.logged(/cannot notify the service manager/), { level: 'warn' }, 'where it cannot be told, the daemon serves all the same');
  t.equal(await lonely.stop(), 0);
});

const faults: readonly (readonly [string, (node: LabNode) => Readonly<Record<string, string>>, RegExp, RegExp])[] = [
  ['a configuration that is no YAML', (node) => configured(node, 'tenants: ['), /node configuration|weft\.yaml/, /./],
  ['a key that is unknown', (node) => configured(node, 'node: n\npears: []\n'), /unknown key "pears": the nearest known key is "peers"/, /./],
  ['a configuration that is not there', () => ({ WEFT_CONFIG: '/no/such/weft.yaml' }), /Cannot read the node configuration \/no\/such\/weft\.yaml/, /./],
  ['a run directory too long for a socket', (node) => ({ WEFT_RUN_DIR: join(node.runDirectory, 'x'.repeat(110)) }), /Cannot listen on .*: the name of a socket may have 107 bytes/, /shorter path/],
  ['a run directory that is a file', (node) => ({ WEFT_RUN_DIR: node.configPath }), /Cannot listen on/, /./],
  ['a ledger that is none', (node) => damagedLedger(node), /ledger/i, /./],
];

for (const [what, prepare, words, details] of faults) {
  t.test(`it does not start with ${what}, and says so`, { skip }, async (t) => {
    const node = createLab(t, { nodes: 1 }).node(1);
    const daemon = Daemon.launch(t, node, { env: prepare(node) });
    t.equal(await daemon.ended, 1, 'exit status');
    t.match(daemon.linesOf(/cannot start/), [{ level: 'error', error: words }]);
    t.match(`${daemon.log.at(-1)?.['details']}`, details);
    t.same(daemon.noise, [], 'and nothing else');
    t.notOk(existsSync(daemon.socketPath));
  });
}

t.test('wrong usage', { skip }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  const daemon = Daemon.launch(t, node, { args: ['--log-level', 'loud'] });
  t.equal(await daemon.ended, 2);
  t.match(daemon.noise.join('\n'), /Allowed choices are debug, info, warn, error/);
});

t.test('levels of the log', { skip }, async (t) => {
  const { daemon, node } = await createScene(t, { daemon: { args: ['--log-level', 'debug'] } });
  await node.version();
  t.match(await daemon.logged(/^VERSION done/), { level: 'debug', outcome: 'ok', ms: Number });
  await daemon.stop();
  const terse = await Daemon.start(t, node, { args: ['--log-level', 'error'] });
  t.match(await exchangeRaw(terse.socketPath, { kind: requestKinds.question, stdin: 'status' }), [{ kind: accepted }, { kind: answered, status: 0 }]);
  t.equal(await terse.stop(), 0);
  t.same(terse.log, []);
});

function configured({ configPath }: LabNode, text: string): Readonly<Record<string, string>> {
  writeFileSync(configPath, text);
  return {};
}

function damagedLedger({ stateDirectory }: LabNode): Readonly<Record<string, string>> {
  mkdirSync(stateDirectory, { recursive: true });
  writeFileSync(join(stateDirectory, 'ledger.db'), 'this is no database, it only has its name '.repeat(200));
  return {};
}

interface Manager {
  readonly path: string;
  readonly output: string;
  readonly heard: (pattern: RegExp) => Promise<unknown>;
}

async function startManager(t: Test, node: LabNode): Promise<Manager> {
  const path = join(dirname(node.runDirectory), 'notify.sock');
  const child = spawn('python3', [join(import.meta.dirname, 'notify-socket.py'), path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  const watched = new WatchedProcess('the service manager', child);
  await watched.heard(/ready/);
  chmodSync(path, 0o600);
  return { path, heard: (pattern) => watched.heard(pattern), get output() {
    return watched.output;
  } };
}
