/** Requests that are none: the daemon says what is wrong or closes the connection, in time, and goes on as before. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { randomFrom, testSeed } from '../../pkg/testing/random.ts';
import { DaemonConnection, encodeRawRequest, exchangeRaw, frameKinds, headerBytes, requestKinds, type RawFrame, type RawRequest } from '../harness/daemon-socket.ts';
import type { Daemon } from '../harness/daemon.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { expectUnharmed, measureHealth } from './health.ts';
import { callRequest, createScene, newcomer, readEndpoints } from './scene.ts';

const skip = skipWithoutDaemonLab();
t.setTimeout(120_000);

const { call, question } = requestKinds;
const { elsewhere, accepted, answered } = frameKinds;
const status = { kind: question, stdin: 'status' };
const kibibyte = 1024;

/** How a daemon's answer to a request that is none looks. */
function sentAway(reason: number, words: RegExp): readonly unknown[] {
  return [{ kind: elsewhere, status: reason, body: words }];
}

const [otherVersion, badRequest] = [1, 2];
const wrong: readonly (readonly [string, RawRequest, number, RegExp])[] = [
  ['another protocol', { ...status, magic: 'HTTP' }, badRequest, /must begin with "WEFT"/],
  ['version 0', { ...status, version: 0 }, otherVersion, /version of the protocol must be 1: current value is 0/],
  ['version 2', { ...status, version: 2 }, otherVersion, /current value is 2/],
  ['version 65535', { ...status, version: 65_535 }, otherVersion, /current value is 65535/],
  ['kind 0', { ...status, kind: 0 }, badRequest, /must be of kind 1, 2, 3, 4: current value is 0/],
  ['the kind of an answer', { ...status, kind: answered }, badRequest, /current value is 130/],
  ['an environment a byte too long', { ...status, envBytes: 64 * kibibyte + 1 }, badRequest, /environment must have at most 65536 bytes: it has 65537/],
  ['an environment of 4 GiB', { ...status, envBytes: 0xffff_ffff }, badRequest, /it has 4294967295/],
  ['stdin a byte too long', { ...status, stdinBytes: kibibyte * kibibyte + 2 }, badRequest, /stdin must have at most 1048577 bytes: it has 1048578/],
  ['stdin of 4 GiB', { ...status, stdinBytes: 0xffff_ffff }, badRequest, /it has 4294967295/],
  ['an environment that ends in the middle of a variable', { kind: call, env: { CNI_COMMAND: 'ADD' }, envBytes: 5, stdinBytes: 0, stdin: '' }, badRequest, /follow it|zero byte/],
  ['a variable without a name', { kind: call, env: { '': 'ADD' } }, badRequest, /must be KEY=VALUE/],
  ['a variable twice', { kind: call, env: { CNI_COMMAND: 'ADD', 'X=1\0CNI_COMMAND': 'DEL' } }, badRequest, /CNI_COMMAND is there twice/],
  ['more bytes than were announced', { ...status, stdinBytes: 3 }, badRequest, /3 bytes follow it/],
];

t.test('requests that are wrong', { skip }, async (t) => {
  const scene = await createScene(t);
  const { daemon } = scene;
  const before = await measureHealth(scene);
  for (const [what, request, reason, words] of wrong) {
    t.match(await exchangeRaw(daemon.socketPath, request), sentAway(reason, words), what);
  }
  t.match(await sendBytes(daemon, Buffer.from('GET /status HTTP/1.1\r\nHost: weft\r\n\r\n')), sentAway(badRequest, /another protocol/), 'a web browser');
  t.match(await sendBytes(daemon, Buffer.alloc(2 * kibibyte * kibibyte, 0xff)), sentAway(badRequest, /another protocol/), 'two megabytes of ones');
  t.match(await exchangeRaw(daemon.socketPath, { kind: question, stdin: 'everything' }), [{ kind: accepted }, { kind: answered, status: 2, body: /must be ..status/ }], 'a question it does not know');
  await expectUnharmed(t, scene, before);
});

t.test('requests that do not end', { skip }, async (t) => {
  const scene = await createScene(t);
  const { daemon, node } = scene;
  const before = await measureHealth(scene);
  const whole = encodeRawRequest(callRequest(node, 'ADD', newcomer(scene, 'never')));
  const cuts = [0, 1, headerBytes - 1, headerBytes, headerBytes + 40, whole.length - 1];
  for (const cut of cuts) t.same(await sendAndEnd(daemon, whole.subarray(0, cut)), [], `a caller that ends after ${cut} of ${whole.length} bytes gets no answer`);
  const late = sentAway(badRequest, /must be complete within 5000 ms/);
  // Together: each is given five seconds.
  const held = Promise.all(cuts.map((cut) => sendBytes(daemon, whole.subarray(0, cut))));
  const slow = sendSlowly(daemon, whole);
  const one = await scene.lab.attach(node, { label: 'meanwhile', conf: scene.conf });
  t.match(await node.check(one.attach, one.result), { exitCode: 0, stderr: '' }, 'others are served in the meantime');
  t.match(await slow, late, 'a byte a second');
  (await held).forEach((frames, index) => t.match(frames, late, `a caller that says nothing more after ${cuts[index]} bytes`));
  t.match(await scene.lab.detach(one), { exitCode: 0, stderr: '' });
  t.same((await daemon.status()).calls, { ADD: { ok: 2, failed: 0 }, CHECK: { ok: 1, failed: 0 }, DEL: { ok: 2, failed: 0 } }, 'no other call has begun');
  await expectUnharmed(t, scene, before);
});

t.test('requests in odd pieces are requests', { skip }, async (t) => {
  const scene = await createScene(t);
  const { daemon, node } = scene;
  const attach = newcomer(scene, 'pieces');
  const connection = await DaemonConnection.open(daemon.socketPath);
  for (const byte of encodeRawRequest(callRequest(node, 'ADD', attach))) connection.send(Buffer.of(byte));
  t.match(await connection.frames(), [{ kind: accepted, status: 0, body: '' }, { kind: answered, status: 0, body: /10\.1\.1\.10/ }], 'byte by byte');
  t.match(await exchangeRaw(daemon.socketPath, callRequest(node, 'DEL', attach)), [{ kind: accepted }, { kind: answered, status: 0, body: '' }]);
  const large = { ...callRequest(node, 'ADD', attach), stdin: Buffer.alloc(kibibyte * kibibyte + 1, 0x20) };
  t.match(await exchangeRaw(daemon.socketPath, large), [{ kind: accepted }, { kind: answered, status: 1, body: /must have at most 1048576 bytes/ }], 'a configuration that is too large is refused in the words of weft');
  const garbage = { ...callRequest(node, 'ADD', attach), stdin: Buffer.from([0xff, 0xfe, 0x00, 0x7b]) };
  t.match(await exchangeRaw(daemon.socketPath, garbage), [{ kind: accepted }, { kind: answered, status: 1, body: /"code":6/ }], 'bytes that are no text');
  t.match(await exchangeRaw(daemon.socketPath, { kind: call, env: { WEFT_CALLER_NETNS: '1:2' } }), sentAway(3, /another network namespace/), 'a call without a verb, from anywhere');
  t.match(await exchangeRaw(daemon.socketPath, { ...status, env: { CNI_COMMAND: 'ADD' } }), [{ kind: accepted }, { kind: answered, status: 0, body: /"pid"/ }], 'a question with variables');
  t.same(await readEndpoints(node), []);
});

t.test('500 requests of random bytes, behind a sound header and without', { skip }, async (t) => {
  const scene = await createScene(t);
  const before = await measureHealth(scene);
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  for (let round = 0; round < 500; round += 1) {
    const bytes = Buffer.from(Array.from({ length: random(600) }, () => random(256)));
    const isHeaderSound = round % 2 === 0;
    const envBytes = random(bytes.length + 1);
    const request = isHeaderSound ? Buffer.concat([encodeRawRequest({ kind: 1 + random(2), envBytes, stdinBytes: bytes.length - envBytes }), bytes]) : bytes;
    const frames = await sendAndEnd(scene.daemon, request);
    const isHarmless = frames.every(({ kind, status: code }) => kind === elsewhere || kind === accepted || (kind === answered && code !== 0));
    if (!isHarmless) t.fail(`round ${round} was taken for a request: ${JSON.stringify(frames)}`);
  }
  await expectUnharmed(t, scene, before);
});

async function sendBytes(daemon: Daemon, bytes: Buffer): Promise<readonly RawFrame[]> {
  const connection = await DaemonConnection.open(daemon.socketPath);
  connection.send(bytes);
  return connection.frames();
}

async function sendAndEnd(daemon: Daemon, bytes: Buffer): Promise<readonly RawFrame[]> {
  const connection = await DaemonConnection.open(daemon.socketPath);
  connection.socket.end(bytes);
  return connection.frames();
}

/** A byte a second, until the daemon has had enough. */
async function sendSlowly(daemon: Daemon, bytes: Buffer): Promise<readonly RawFrame[]> {
  const connection = await DaemonConnection.open(daemon.socketPath);
  const frames = connection.frames();
  let isOver = false;
  void frames.finally(() => (isOver = true)).catch(() => undefined);
  for (let at = 0; at < bytes.length && !isOver; at += 1) {
    connection.send(bytes.subarray(at, at + 1));
    await Promise.race([delay(1000), frames.catch(() => undefined)]);
  }
  return frames;
}
