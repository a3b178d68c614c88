import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { encodeRequest, requestDeadlineMs, type Request } from '../protocol/protocol.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { serveConnection, type Answer, type RequestHandler } from './connection.ts';
import { eventually } from './test-daemon.ts';
import { TestCaller } from './test-socket.ts';

const question: Request = { kind: 'question', env: {}, stdin: 'status' };

interface Scene {
  readonly path: string;
  readonly requests: Request[];
  /** What was hastened, and how many requests had been answered by then. */
  readonly hastened: (readonly [stdin: string, answered: number])[];
  /** How many connections are over, and how many there have been. */
  readonly over: () => number;
  readonly isWanted: () => boolean;
}

/** A server whose connections are served by the handler; it answers with `done` where it is not told otherwise. */
async function createScene(t: Test, { refuse = () => undefined, answer = () => Promise.resolve({ status: 0, body: 'done' }) }: Partial<RequestHandler> = {}): Promise<Scene> {
  const [requests, hastened]: [Request[], [string, number][]] = [[], []];
  let [over, isWanted] = [0, (): boolean => false];
  const handler: RequestHandler = {
    refuse: (request) => refuse(request),
    hasten: ({ stdin }) => void hastened.push([stdin, requests.length]),
    answer: (request, wanted) => {
      requests.push(request);
      isWanted = wanted;
      return answer(request, wanted);
    },
  };
  const server = createServer((socket) => {
    t.teardown(() => void socket.destroy());
    void serveConnection(socket, handler).then(() => (over += 1));
  });
  const path = join(temporaryDirectory(t), 's');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => void server.close());
  return { path, requests, hastened, over: () => over, isWanted: () => isWanted() };
}

t.test('a request and its answer', async (t) => {
  const { path, requests, hastened, over } = await createScene(t, { answer: () => Promise.resolve({ status: 7, body: 'ä'.repeat(300_000) }) });
  const request: Request = { kind: 'call', env: { CNI_COMMAND: 'ADD' }, stdin: '{"ö":1}' };
  const frames = await (await TestCaller.request(path, request)).all();
  t.match(frames, [{ kind: 'accepted', status: 0, body: '' }, { kind: 'answered', status: 7 }]);
  t.equal(frames[1]?.body, 'ä'.repeat(300_000), 'larger than a socket holds');
  t.same([requests, hastened], [[request], [[request.stdin, 0]]], 'what cannot wait comes first');
  t.equal(over(), 1);
});

t.test('a request that is refused has not begun', async (t) => {
  const { path, requests } = await createScene(t, { refuse: () => ({ reason: 'tooBusy', words: 'not now' }) });
  t.same(await (await TestCaller.request(path)).all(), [{ kind: 'elsewhere', status: 4, body: 'not now' }]);
  t.same(requests, []);
});

t.test('what is no request', async (t) => {
  const { path, requests } = await createScene(t);
  const rows: readonly (readonly [string, Buffer, readonly unknown[]])[] = [
    ['nothing', Buffer.alloc(0), []],
    ['half of one', encodeRequest(question).subarray(0, 18), []],
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), [{ kind: 'elsewhere', status: 2, body: /another protocol/ }]],
    ['another version', Buffer.from(encodeRequest(question)).fill(9, 4, 5), [{ kind: 'elsewhere', status: 1, body: /version/ }]],
    ['two at once', Buffer.concat([encodeRequest(question), encodeRequest(question)]), [{ kind: 'elsewhere', status: 2, body: /one request/ }]],
  ];
  for (const [what, bytes, expected] of rows) {
    const caller = await TestCaller.connect(path);
    caller.socket.end(bytes);
    t.match(await caller.all(), expected, what);
    t.equal(caller.frames.length, expected.length, what);
  }
  t.same(requests, []);
});

t.test('a request in pieces, and one that takes too long', async (t) => {
  const { path } = await createScene(t);
  const [whole, late] = [await TestCaller.connect(path), await TestCaller.connect(path)];
  late.socket.write(encodeRequest(question).subarray(0, 20));
  for (const byte of encodeRequest(question)) whole.socket.write(Buffer.of(byte));
  t.match(await whole.all(), [{ kind: 'accepted' }, { kind: 'answered', body: 'done' }]);
  t.same(late.frames, []);
  t.match(await late.all(), [{ kind: 'elsewhere', status: 2, body: new RegExp(`complete within ${requestDeadlineMs} ms`) }]);
});

t.test('isWanted follows the caller, whether or not it has read what came', async (t) => {
  for (const leave of [(caller: TestCaller): unknown => caller.socket.destroy(), (caller: TestCaller): unknown => caller.socket.end()]) {
    const held = Promise.withResolvers<Answer>();
    const scene = await createScene(t, { answer: () => held.promise });
    const caller = await TestCaller.request(scene.path);
    await eventually('the request is there', () => scene.requests.length === 1);
    t.equal(scene.isWanted(), true);
    leave(caller);
    await eventually('it is seen that the caller has gone', () => !scene.isWanted());
    held.resolve({ status: 0, body: 'for nobody' });
    await eventually('the connection is over', () => scene.over() === 1);
    await caller.ended;
    t.notOk(caller.frames.some(({ kind }) => kind === 'answered'));
    caller.socket.destroy();
  }
});

t.test('a caller that has gone before its request was looked at: nothing begins', async (t) => {
  const scene = await createScene(t);
  const callers = await Promise.all(Array.from({ length: 20 }, () => TestCaller.connect(scene.path)));
  // Both are there when the event loop of this process comes to it: a daemon that was stopped for a while sees the same.
  for (const { socket } of callers) socket.end(encodeRequest(question));
  await eventually('all connections are over', () => scene.over() === callers.length);
  await Promise.all(callers.map(({ ended }) => ended));
  t.equal(scene.requests.length + callers.filter(({ frames }) => frames.length === 0).length, callers.length, 'each has either begun, or got nothing');
  for (const { socket } of callers) socket.destroy();
});

t.test('who does not fetch the end is not waited for', async (t) => {
  const { path } = await createScene(t);
  const caller = await TestCaller.request(path);
  caller.socket.pause();
  const closed = new Promise<string>((resolve) => caller.socket.once('close', () => resolve('closed')));
  caller.socket.resume();
  await caller.ended;
  // Half-open: this end has not been closed. After the deadline, writing is an error.
  caller.socket.on('error', () => undefined);
  const timer = setInterval(() => caller.socket.write('x'), 100);
  t.teardown(() => clearInterval(timer));
  t.equal(await closed, 'closed');
});
