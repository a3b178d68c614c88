import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { encodeRequest } from '../protocol/protocol.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import type { Answer, RequestHandler } from './connection.ts';
import { DaemonServer } from './server.ts';
import { eventually, recordingLog, type LoggedLine } from './test-daemon.ts';
import { TestCaller } from './test-socket.ts';

const longMs = 20_000;

interface Scene {
  readonly path: string;
  readonly server: DaemonServer;
  readonly lines: readonly LoggedLine[];
}

async function createScene(t: Test, answer: RequestHandler['answer'] = () => Promise.resolve({ status: 0, body: 'done' })): Promise<Scene> {
  const { log, lines } = recordingLog();
  const server = new DaemonServer({ refuse: () => undefined, hasten: () => undefined, answer }, log);
  const path = join(temporaryDirectory(t), 'weft.sock');
  await server.listen(path);
  t.teardown(() => Promise.all([server.stop({ deadlineMs: 0 }), stayAlive(10)]).then(() => undefined));
  return { path, server, lines };
}

t.test('it serves callers beside each other, and stops when none is left', async (t) => {
  const held = Promise.withResolvers<Answer>();
  const { path, server } = await createScene(t, (request) => (request.stdin === 'slow' ? held.promise : Promise.resolve({ status: 0, body: 'quick' })));
  const slow = await TestCaller.request(path, { stdin: 'slow' });
  t.match(await (await TestCaller.request(path)).all(), [{ kind: 'accepted' }, { kind: 'answered', body: 'quick' }]);
  const stopped = server.stop({ deadlineMs: longMs });
  t.notOk(existsSync(path), 'nobody comes any more');
  held.resolve({ status: 0, body: 'slow' });
  t.match(await slow.all(), [{ kind: 'accepted' }, { kind: 'answered', body: 'slow' }]);
  t.equal(await stopped, 0);
});

t.test('what does not end in time is cut off, and counted', async (t) => {
  const { path, server } = await createScene(t, () => new Promise(() => undefined));
  const callers = await Promise.all([1, 2].map(() => TestCaller.request(path)));
  await eventually('both are accepted', () => callers.every(({ frames }) => frames.length === 1));
  const [left] = await Promise.all([server.stop({ deadlineMs: 20 }), stayAlive(20)]);
  t.equal(left, 2);
  for (const caller of callers) t.match(await caller.all(), [{ kind: 'accepted' }]);
});

t.test('a handler that breaks its promise costs its caller the answer, and nobody else', async (t) => {
  const { path, lines } = await createScene(t, (request) => (request.stdin === 'bad' ? Promise.reject(new Error('broken')) : Promise.resolve({ status: 0, body: 'done' })));
  const frames = await (await TestCaller.request(path, { stdin: 'bad' })).all();
  t.notOk(frames.some(({ kind }) => kind !== 'accepted'), 'that it was accepted may have been on its way');
  t.match(lines, [{ level: 'error', message: 'serving a connection failed', error: 'broken' }]);
  t.match(await (await TestCaller.request(path)).all(), [{ kind: 'accepted' }, { kind: 'answered' }]);
});

t.test('a replaced one leaves the name to its successor, and serves who had connected before', async (t) => {
  const old = await createScene(t, () => Promise.resolve({ status: 0, body: 'old' }));
  const waiting = await TestCaller.connect(old.path);
  const { log } = recordingLog();
  const next = new DaemonServer({ refuse: () => undefined, hasten: () => undefined, answer: () => Promise.resolve({ status: 0, body: 'new' }) }, log);
  await next.listen(old.path);
  t.teardown(() => Promise.all([next.stop({ deadlineMs: 0 }), stayAlive(10)]).then(() => undefined));
  const stopped = old.server.stop({ deadlineMs: longMs, isReplaced: true });
  waiting.socket.write(encodeRequest({ kind: 'question', env: {}, stdin: 'status' }));
  t.match(await waiting.all(), [{ kind: 'accepted' }, { kind: 'answered', body: 'old' }]);
  t.equal(await stopped, 0);
  t.match(await (await TestCaller.request(old.path)).all(), [{ kind: 'accepted' }, { kind: 'answered', body: 'new' }]);
});

t.test('told to stop before it listens, it does not begin', async (t) => {
  const { log } = recordingLog();
  const server = new DaemonServer({ refuse: () => undefined, hasten: () => undefined, answer: () => Promise.resolve({ status: 0, body: '' }) }, log);
  const path = join(temporaryDirectory(t), 'weft.sock');
  t.equal(await server.stop({ deadlineMs: 0 }), 0);
  await server.listen(path);
  t.notOk(existsSync(path));
  await t.rejects(TestCaller.connect(path), { code: 'ENOENT' });
});

t.test('more connections than it keeps are closed, and served later', async (t) => {
  const { path, lines } = await createScene(t);
  const callers = await Promise.all(Array.from({ length: 1030 }, () => TestCaller.connect(path)));
  await eventually('it is said', () => lines.length > 0);
  t.match(lines, [{ level: 'warn', message: /too many connections/, callers: 6, connections: 1024 }], 'once for all of them');
  for (const { socket } of callers) socket.destroy();
  const frames = await retry(() => TestCaller.request(path).then((caller) => caller.all()));
  t.match(frames, [{ kind: 'accepted' }, { kind: 'answered' }]);
});

/** Until the closed connections are noticed. */
async function retry(attempt: () => Promise<readonly unknown[]>): Promise<readonly unknown[]> {
  for (let attempts = 0; attempts < 200; attempts += 1) {
    const result = await attempt();
    if (result.length > 0) return result;
    await stayAlive(5);
  }
  return [];
}

/** Deadlines under test keep no process alive. */
function stayAlive(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
