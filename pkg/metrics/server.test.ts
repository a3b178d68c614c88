import { connect, type Socket } from 'node:net';
import t from 'tap';
import type { Log } from '../log/log.ts';
import { parseAddress } from '../netaddr/netaddr.ts';
import { pause, withDeadline } from '../sys/timer.ts';
import { MetricsServer, serverLimits, type MetricsServerLimits } from './server.ts';

const quiet: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const address = parseAddress('127.0.0.1');
const deadlineMs = 20_000;

interface Scope {
  teardown(undo: () => void | Promise<void>): void;
}

/** A server at a free port; two tests may look for one at once. */
async function open(t: Scope, body: () => Promise<string>, limits: MetricsServerLimits = serverLimits): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    try {
      const server = await MetricsServer.open({ address, port }, { body, log: quiet }, limits);
      t.teardown(() => server.close());
      return port;
    } catch (error) {
      if (attempt > 20) throw error;
    }
  }
}

/** What comes until the other side closes. */
async function talk(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let got = '';
  socket.on('data', (bytes: Buffer) => (got += bytes.toString()));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(text);
  await withDeadline(closed, { ms: deadlineMs, late: () => {
    throw new Error(`the connection stays open: ${got}`);
  } });
  return got;
}

const get = (path: string, method = 'GET', more = ''): string => `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${more}\r\n`;

t.test('what is asked for, and what is not', async (t) => {
  const port = await open(t, () => Promise.resolve('weft_x 1\n'));
  const answer = await talk(port, get('/metrics'));
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  t.match(answer, /\r\nContent-Type: text\/plain; version=0\.0\.4; charset=utf-8\r\n/);
  t.match(answer, /\r\n\r\nweft_x 1\n$/);
  const rows: readonly (readonly [string, RegExp])[] = [
    [get('/metrics?debug=1'), /^HTTP\/1\.1 200 .*weft_x/s], [get('/healthz'), /^HTTP\/1\.1 200 .*\r\n\r\nok\n$/s], [get('/metrics', 'HEAD'), /^HTTP\/1\.1 200 .*Content-Length: 9\r\n.*\r\n\r\n$/s],
    [get('/'), /^HTTP\/1\.1 404 /], [get('/metrics/../metrics'), /^HTTP\/1\.1 404 /], [get('//metrics'), /^HTTP\/1\.1 404 /], [get('*', 'OPTIONS'), /^HTTP\/1\.1 404 /],
    [get('/metrics', 'POST'), /^HTTP\/1\.1 405 .*\r\nAllow: GET, HEAD\r\n/s], [get('/metrics', 'DELETE'), /^HTTP\/1\.1 405 /],
    [get('/metrics', 'GET', 'Content-Length: 1000000\r\n'), /^HTTP\/1\.1 400 /], [get('/metrics', 'GET', 'Transfer-Encoding: chunked\r\n'), /^HTTP\/1\.1 400 /],
    ['\u0000\u0001nonsense\r\n\r\n', /^HTTP\/1\.1 400 /], [get('/metrics', 'GET', `X: ${'x'.repeat(10_000)}\r\n`), /^HTTP\/1\.1 431 /],
  ];
  for (const [request, expected] of rows) t.match(await talk(port, request), expected, JSON.stringify(request.slice(0, 50)));
});

t.test('who asks while another is answered gets the same', async (t) => {
  let looks = 0;
  const port = await open(t, async () => {
    looks += 1;
    await pause(300);
    return `look ${looks}\n`;
  });
  const answers = await Promise.all(Array.from({ length: 5 }, () => talk(port, get('/metrics'))));
  t.ok(looks < 5, `${looks} looks`);
  for (const answer of answers) t.match(answer, /look \d\n$/);
});

t.test('what cannot be told is said, and the next one is asked again', async (t) => {
  let isBroken = true;
  const port = await open(t, () => (isBroken ? Promise.reject(new Error('no ledger')) : Promise.resolve('fine\n')));
  t.match(await talk(port, get('/metrics')), /^HTTP\/1\.1 500 .*\r\n\r\nthe metrics cannot be told: the log of the daemon says why\n$/s);
  isBroken = false;
  t.match(await talk(port, get('/metrics')), /fine\n$/);
});

t.test('whoever says nothing, or half of it, is cut off', async (t) => {
  const port = await open(t, () => Promise.resolve('x\n'), { ...serverLimits, requestMs: 300 });
  for (const text of ['', 'GET /metrics HTTP/1.1\r\nHost:']) t.match(await talk(port, text), /^(HTTP\/1\.1 408 .*)?$/s, JSON.stringify(text));
});

t.test('whoever does not take his answer is cut off', async (t) => {
  const port = await open(t, () => Promise.resolve('x'.repeat(50_000_000)), { ...serverLimits, answerMs: 500 });
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => void socket.destroy());
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(get('/metrics'));
  await pause(1500);
  // Reading finds what was on its way, and the end.
  let bytes = 0;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (part: Buffer) => (bytes += part.length));
  socket.resume();
  await withDeadline(closed, { ms: deadlineMs, late: () => undefined });
  t.ok(socket.destroyed && bytes < 50_000_000, `${bytes} bytes`);
});

t.test('so many connections and no more', async (t) => {
  const port = await open(t, () => Promise.resolve('x\n'), { ...serverLimits, connectionsMax: 3, requestMs: 60_000 });
  const held = await Promise.all(Array.from({ length: 3 }, () => new Promise<Socket>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', () => undefined);
  })));
  t.teardown(() => held.forEach((socket) => void socket.destroy()));
  t.equal(await talk(port, get('/metrics')), '', 'closed at once');
  held[0]?.destroy();
  let answer = '';
  for (let attempt = 0; attempt < 100 && answer === ''; attempt += 1) {
    await pause(50);
    answer = await talk(port, get('/metrics'));
  }
  t.match(answer, /x\n$/);
});

t.test('a port that somebody has', async (t) => {
  const port = await open(t, () => Promise.resolve('x\n'));
  await t.rejects(MetricsServer.open({ address, port }, { body: () => Promise.resolve(''), log: quiet }), { code: 'EADDRINUSE' });
});
