import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import t from 'tap';
import { nextTurn } from '../sys/timer.ts';
import type { TeardownScope } from '../testing/netns.ts';
import { OvsdbConnection, startConnection } from './connection.ts';
import { comment } from './operations.ts';
import type { OvsdbError } from './ovsdb-error.ts';
import { answer, startTestServer, type Script } from './test-server.ts';

/** Only what hangs takes as long. */
const deadlineMs = 10_000;

t.test('a request has its answer, in whatever order they come', async (t) => {
  const held: (() => void)[] = [];
  const { connection } = await open(t, (request, socket) => {
    if (request.method === 'set_db_change_aware') return answer(request, socket);
    held.push(() => answer(request, socket, { result: request.params }));
    if (held.length === 3) for (const reply of held.reverse()) reply();
  });
  const answers = await Promise.all([1, 2, 3].map((number) => connection.request('echo', [number], { deadlineMs })));
  t.strictSame(answers, [[1], [2], [3]]);
});

t.test('requests of one turn of the event loop leave together', async (t) => {
  const writes: string[][] = [];
  const socket = new Duplex({
    decodeStrings: false,
    read: () => undefined,
    write: (chunk: string, _encoding, done) => (writes.push([chunk]), done()),
    writev: (chunks, done) => (writes.push(chunks.map(({ chunk }) => String(chunk))), done()),
  });
  const connection = new OvsdbConnection(Object.assign(socket, { ref: () => undefined, unref: () => undefined }) as unknown as Socket, { onNotification: () => undefined, onClose: () => undefined });
  const asked = Promise.allSettled([1, 2, 3].map((number) => connection.request('echo', [number], { deadlineMs })));
  t.same(writes, []);
  await nextTurn();
  t.same(writes, [[1, 2, 3].map((number) => `{"id":${number},"method":"echo","params":[${number}]}`)]);
  connection.close();
  await asked;
});

t.test('a greeting is an answer, be it that the server does not know the method', async (t) => {
  const { connection } = await open(t, (request, socket) => answer(request, socket, { result: null, error: { error: 'unknown method' } }));
  t.ok(connection.isOpen);
  await t.rejects(connection.request('nonsense', [], { deadlineMs }), { name: 'WeftError', kind: 'refused', refusal: 'unknown method' });
});

t.test('the echo of the server is answered, and what else it asks is refused', async (t) => {
  const { sockets } = await open(t, answer);
  const [socket] = sockets;
  socket?.write('{"id":"echo","method":"echo","params":["ż"]}{"id":5,"method":"dance","params":[]}');
  const [chunk] = (await once(socket as Socket, 'data')) as [Buffer];
  t.equal(chunk.toString(), '{"id":"echo","result":["ż"],"error":null}{"id":5,"result":null,"error":"unknown method"}');
});

t.test('a request that is late has an unknown outcome; its late answer is dropped', async (t) => {
  let reply: () => void = () => undefined;
  const { connection } = await open(t, (request, socket) => {
    if (request.method === 'slow') reply = () => answer(request, socket);
    else answer(request, socket, { result: request.params });
  });
  await t.rejects(connection.request('slow', [], { deadlineMs: 30 }), { name: 'WeftError', kind: 'outcomeUnknown', message: /did not answer "slow" within 30 ms/ });
  reply();
  t.strictSame(await connection.request('quick', [1], { deadlineMs }), [1]);
  t.ok(connection.isOpen);
});

t.test('what is open when the connection is lost has an unknown outcome, and what comes later was never sent', async (t) => {
  const { connection, sockets, closed } = await open(t, (request, socket) => {
    if (request.method === 'set_db_change_aware') answer(request, socket);
  });
  const asked = [connection.transact('db', [comment('x')], { deadlineMs }), connection.request('echo', [], { deadlineMs })];
  const outcomes = Promise.allSettled(asked);
  await nextTurn();
  sockets[0]?.destroy();
  t.match(await outcomes, [{ status: 'rejected', reason: { kind: 'outcomeUnknown', message: /"transact"/ } }, { status: 'rejected', reason: { kind: 'outcomeUnknown', message: /"echo"/ } }]);
  t.match(await closed, { kind: 'unavailable' });
  t.notOk(connection.isOpen);
  await t.rejects(connection.request('echo', [], { deadlineMs }), { name: 'WeftError', kind: 'unavailable', message: /the connection has ended/ });
});

t.test('garbage ends the connection', async (t) => {
  const rows = ['HTTP/1.1 400', '{"id":1', '{]}', '{}', '{"id":99,"result":{},"error":null}', '{"id":"1","result":{},"error":null}', '{"id":null,"result":1}', '{"method":7,"params":[]}', '[]'];
  for (const garbage of rows) {
    const { connection, sockets, closed } = await open(t, (request, socket) => {
      if (request.method === 'set_db_change_aware') answer(request, socket);
    });
    const asked = t.rejects(connection.request('echo', [], { deadlineMs }), { name: 'WeftError', kind: 'outcomeUnknown' }, garbage);
    sockets[0]?.end(garbage);
    await asked;
    t.match(await closed, { kind: garbage === '{"id":1' ? 'unavailable' : 'garbled' }, garbage);
  }
});

t.test('what stands behind garbage, or behind the end, is not looked at', async (t) => {
  const notified: string[] = [];
  const { sockets, closed } = await open(t, answer, { onNotification: (method) => notified.push(method) });
  sockets[0]?.write('{"method":"one","params":[]}{"id":99,"result":1}{"method":"two","params":[]}');
  await closed;
  t.strictSame(notified, ['one']);

  const closing = await open(t, answer, { onNotification: (method) => (notified.push(method), closing.connection.close()) });
  closing.sockets[0]?.write('{"method":"three","params":[]}{"method":"four","params":[]}');
  t.match(await closing.closed, { message: /was closed/ });
  t.strictSame(notified, ['one', 'three'], 'nor when it was closed in between');
});

t.test('a server that falls silent is noticed, one that is only idle is not', async (t) => {
  let isSilent = false;
  let echoes = 0;
  const { promise: isProbed, resolve } = Promise.withResolvers<void>();
  const { connection, closed } = await open(t, (request, socket) => {
    if (request.method === 'echo' && (echoes += 1) === 3) resolve();
    if (!isSilent) answer(request, socket);
  }, { probeMs: 100 });
  await isProbed;
  t.ok(connection.isOpen);
  isSilent = true;
  const asked = t.rejects(connection.request('list_dbs', [], { deadlineMs }), { name: 'WeftError', kind: 'outcomeUnknown' });
  t.match(await closed, { kind: 'unavailable', message: /fallen silent/ });
  await asked;
});

t.test('a client that was held up itself does not take the server for silent', async (t) => {
  const { connection, sockets } = await open(t, answer, { probeMs: 100 });
  await once(sockets[0] as Socket, 'data');
  const { promise: isAnswered, resolve } = Promise.withResolvers<void>();
  // The server's answer is on its way when nothing moves here for longer than the server has.
  setImmediate(() => {
    const end = performance.now() + 250;
    while (performance.now() < end);
    resolve();
  });
  await isAnswered;
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.ok(connection.isOpen);
});

t.test('where nobody listens the greeting fails, with the reason', async (t) => {
  const connection = startConnection('/nonexistent/db.sock', { onNotification: () => undefined, onClose: () => undefined });
  await t.rejects(connection.greet({ deadlineMs }), { name: 'WeftError', cause: { cause: { code: 'ENOENT' } } });
});

t.test('requests that wait have a limit', async (t) => {
  const { connection } = await open(t, (request, socket) => {
    if (request.method === 'set_db_change_aware') answer(request, socket);
  });
  // Node warns of a socket that gathers listeners.
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const asked = Array.from({ length: 4097 }, () => connection.request('echo', [], { deadlineMs }));
  const outcomes = Promise.allSettled(asked);
  await t.rejects(asked.at(-1) as Promise<unknown>, { name: 'WeftError', kind: 'unavailable', message: /4096 requests wait/ });
  connection.close();
  const kinds = (await outcomes).map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as OvsdbError).kind : 'none'));
  t.equal(kinds.filter((kind) => kind === 'outcomeUnknown').length, 4096);
  await nextTurn();
  t.same(warnings, []);
});

t.test('a process ends while a connection is idle, and not before its request is answered', async (t) => {
  const { path } = await startTestServer(t, answer);
  const source = `
    import { startConnection } from ${JSON.stringify(new URL('connection.ts', import.meta.url).href)};
    const connection = startConnection(${JSON.stringify(path)}, { onNotification() {}, onClose() {} });
    await connection.greet({ deadlineMs: 10000 });
    console.log('greeted');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  t.equal(code, 0, 'a promise that is never settled would make it 13');
  t.equal(output, 'greeted\n');
});

/** A connection that stands, to a server of this script. */
async function open(scope: TeardownScope, script: Script, options: { readonly probeMs?: number; readonly onNotification?: (method: string) => void } = {}): Promise<Opened> {
  const { path, sockets } = await startTestServer(scope, script);
  const { promise: closed, resolve } = Promise.withResolvers<OvsdbError>();
  const connection = startConnection(path, { onNotification: () => undefined, ...options, onClose: resolve });
  scope.teardown(() => connection.close());
  await connection.greet({ deadlineMs });
  return { connection, sockets, closed };
}

interface Opened {
  readonly connection: OvsdbConnection;
  readonly sockets: readonly Socket[];
  readonly closed: Promise<OvsdbError>;
}
