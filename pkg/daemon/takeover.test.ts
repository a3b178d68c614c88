import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { encodeFrame, RequestDecoder, type Request } from '../protocol/protocol.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { listenOn } from './socket-file.ts';
import { recordingLog } from './test-daemon.ts';
import { retirePredecessor } from './takeover.ts';

interface Predecessor {
  readonly path: string;
  readonly requests: readonly Request[];
}

/** What had the name before; it answers each request in some way. */
async function createPredecessor(t: Test, answer: (socket: Socket) => void): Promise<Predecessor> {
  const requests: Request[] = [];
  const server = createServer((socket) => {
    const decoder = new RequestDecoder();
    t.teardown(() => void socket.destroy());
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => {
      const request = decoder.push(chunk);
      if (request !== undefined) requests.push(request);
      if (request !== undefined) answer(socket);
    });
  });
  const path = join(temporaryDirectory(t), 'weft.sock');
  await listenOn(server, path);
  t.teardown(() => void server.close());
  return { path, requests };
}

/** Takes over; returns what was logged, and what had been asked of the predecessor when the name was taken. */
async function takeOver(path: string, requests: readonly Request[] = []): Promise<{ readonly lines: readonly string[]; readonly askedBefore: readonly number[] }> {
  const { log, lines } = recordingLog();
  const askedBefore: number[] = [];
  await retirePredecessor(path, log, async () => void askedBefore.push(requests.length));
  return { lines: lines.map(({ level, message }) => `${level}: ${message}`), askedBefore };
}

t.test('nobody was there', async (t) => {
  t.same(await takeOver(join(temporaryDirectory(t), 'weft.sock')), { lines: [], askedBefore: [0] });
});

t.test('a daemon that makes way is asked when its name is taken, and not before', async (t) => {
  const { path, requests } = await createPredecessor(t, (socket) => {
    socket.write(encodeFrame({ kind: 'accepted' }));
    socket.end(encodeFrame({ kind: 'answered' }));
  });
  t.same(await takeOver(path, requests), { lines: ['info: the daemon that was running before makes way'], askedBefore: [0] });
  t.same(requests, [{ kind: 'retire', env: {}, stdin: '' }]);
});

const stubborn: readonly (readonly [string, (socket: Socket) => void, RegExp])[] = [
  ['refuses', (socket) => void socket.end(encodeFrame({ kind: 'elsewhere', status: 2, body: 'I stay' })), /^warn: .*does not make way: it gets no more calls, and should be ended/],
  ['ends the connection', (socket) => void socket.end(), /^warn: .*does not make way: it gets no more calls/],
  ['answers in another language', (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /^warn: .*does not make way/],
];

for (const [what, answer, words] of stubborn) {
  t.test(`a predecessor that ${what} loses its name all the same`, async (t) => {
    const { path, requests } = await createPredecessor(t, answer);
    const { lines, askedBefore } = await takeOver(path, requests);
    t.match(lines, [words]);
    t.same(askedBefore, [0], 'once');
  });
}

t.test('one that never answers costs the deadline', { timeout: 20_000 }, async (t) => {
  const { path } = await createPredecessor(t, () => undefined);
  t.match(await takeOver(path), { lines: [/^warn: .*does not make way/], askedBefore: [0] });
});

t.test('a new one that cannot listen fails, and the old one stays', async (t) => {
  const { path, requests } = await createPredecessor(t, (socket) => void socket.end(encodeFrame({ kind: 'answered' })));
  const { log } = recordingLog();
  await t.rejects(retirePredecessor(path, log, () => Promise.reject(new Error('no room'))), { message: 'no room' });
  t.same(requests, [], 'it was not asked to go');
});
