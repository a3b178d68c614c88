import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ask, exchange } from './client.ts';
import { encodeFrame, RequestDecoder, type Request } from './protocol.ts';

const longMs = 20_000;

/** A daemon for a test: what it does with a connection once the request is there. @returns its socket's path */
async function listen(test: Tap, answer: (socket: Socket, request: Request) => void): Promise<string> {
  // A short path: a socket's has at most 107 bytes (unix(7)).
  const directory = mkdtempSync(join(tmpdir(), 'weft-'));
  const path = join(directory, 'weft.sock');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const decoder = new RequestDecoder();
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const request = decoder.push(chunk);
      if (request !== undefined) answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  test.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return path;
}

interface Tap {
  teardown(undo: () => void): void;
}

t.test('a question and its answer', async (t) => {
  const asked: Request[] = [];
  const path = await listen(t, (socket, request) => {
    asked.push(request);
    socket.write(encodeFrame({ kind: 'accepted' }));
    socket.end(encodeFrame({ kind: 'answered', body: '{"ok":"ä"}' }));
  });
  t.same(await ask(path, 'status', { deadlineMs: longMs }), { kind: 'answered', status: 0, body: '{"ok":"ä"}' });
  t.same(await exchange(path, { kind: 'retire', env: {}, stdin: '' }, { deadlineMs: longMs }), { kind: 'answered', status: 0, body: '{"ok":"ä"}' });
  t.same(asked, [{ kind: 'question', env: {}, stdin: 'status' }, { kind: 'retire', env: {}, stdin: '' }]);
});

t.test('a large answer that comes in pieces', async (t) => {
  const body = 'x'.repeat(5_000_000);
  const path = await listen(t, (socket) => void socket.end(encodeFrame({ kind: 'answered', status: 3, body })));
  t.same(await ask(path, 'status', { deadlineMs: longMs }), { kind: 'answered', status: 3, body });
});

t.test('a daemon that sends its caller elsewhere', async (t) => {
  const path = await listen(t, (socket) => void socket.end(encodeFrame({ kind: 'elsewhere', status: 5, body: 'shutting down' })));
  t.same(await ask(path, 'status', { deadlineMs: longMs }), { kind: 'elsewhere', reason: 5, words: 'shutting down' });
});

t.test('nobody there', async (t) => {
  const directory = t.testdir({ file: '' });
  for (const path of ['weft.sock', 'no/weft.sock', 'file/weft.sock']) {
    t.same(await ask(join(directory, path), 'status', { deadlineMs: longMs }), { kind: 'absent' }, path);
  }
  t.notOk(existsSync(join(directory, 'weft.sock')), 'asking makes nothing');
  t.same(await ask(join(directory, 'file'), 'status', { deadlineMs: longMs }), { kind: 'absent' }, 'something else of that name');
});

t.test('a daemon that accepts and never answers costs the deadline', async (t) => {
  const path = await listen(t, (socket) => void socket.write(encodeFrame({ kind: 'accepted' })));
  await t.rejects(ask(path, 'status', { deadlineMs: 50 }), { name: 'WeftError', code: 'tryAgainLater', message: /weft\.sock did not answer within 50 ms/ });
});

t.test('a daemon that is no good', async (t) => {
  const rows: readonly (readonly [name: string, answer: (socket: Socket) => void, cause: RegExp])[] = [
    ['closes at once', (socket) => void socket.end(), /closed the connection before it had begun/],
    ['dies in the middle', (socket) => void socket.end(encodeFrame({ kind: 'accepted' })), /closed the connection after it had begun/],
    ['stops inside a frame', (socket) => void socket.end(encodeFrame({ kind: 'answered', body: 'abc' }).subarray(0, 18)), /closed the connection/],
    ['is something else', (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n'), /must begin with "WEFT"/],
  ];
  for (const [name, answer, words] of rows) {
    await t.test(name, async (t) => {
      const path = await listen(t, answer);
      const error = await ask(path, 'status', { deadlineMs: longMs }).catch((caught: unknown) => caught);
      t.match(error, { code: 'ioFailure', message: /did not answer as a daemon of this weft/, cause: { message: words } });
    });
  }
});

t.test('a path that no socket can have', async (t) => {
  await t.rejects(ask(`/tmp/${'x'.repeat(200)}`, 'status', { deadlineMs: longMs }), { code: 'ioFailure', message: /cannot use the daemon's socket/ });
});
