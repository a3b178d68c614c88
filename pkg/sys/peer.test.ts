import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { skipUnless } from '../testing/requirements.ts';
import { hasHungUp, readPeerCredentials } from './peer.ts';

interface Listener {
  readonly path: string;
  /** The server's end of the next connection. */
  readonly accepted: () => Promise<Socket>;
}

async function listen(t: Test): Promise<Listener> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-peer-'));
  const path = join(directory, 's');
  // Nothing is read, so that what was sent stays unread.
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });
  return { path, accepted: async () => (await once(server, 'connection'))[0] as Socket };
}

/** Node's own way to it is private. */
function fdOf(socket: Socket): number {
  return (Reflect.get(socket, '_handle') as { readonly fd: number }).fd;
}

t.test('who connected', async (t) => {
  const { path, accepted } = await listen(t);
  const [socket, client] = [accepted(), connect(path)];
  t.same(readPeerCredentials(fdOf(await socket)), { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  client.destroy();
});

t.test('another process, of another user', { skip: skipUnless({ root: true, tools: ['python3'] }) }, async (t) => {
  const { path, accepted } = await listen(t);
  const script = 'import os,socket,sys; s=socket.socket(socket.AF_UNIX); os.setgid(65533); os.setuid(65534); os.chdir("/"); s.connect(sys.argv[1]); sys.stdin.read()';
  chmodSync(join(path, '..'), 0o755);
  chmodSync(path, 0o666);
  const waiting = accepted();
  const child = spawn('python3', ['-c', script, path], { stdio: ['pipe', 'inherit', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  const socket = await waiting;
  const seen = readPeerCredentials(fdOf(socket));
  t.same(seen, { pid: child.pid, uid: 65_534, gid: 65_533 });
  child.stdin.end();
  await once(child, 'exit');
  t.same(readPeerCredentials(fdOf(socket)), seen, 'as it was when it connected, also when it has ended');
  t.equal(hasHungUp(fdOf(socket)), true);
});

const endings: readonly (readonly [string, (client: Socket) => void])[] = [
  ['closes', (client) => void client.destroy()],
  ['stops sending', (client) => void client.end()],
  ['sends something and closes, and nothing of it is read', (client) => void client.end('unread')],
];

for (const [what, leave] of endings) {
  t.test(`the other end ${what}`, async (t) => {
    const { path, accepted } = await listen(t);
    const [waiting, client] = [accepted(), connect({ path, allowHalfOpen: true })];
    client.on('error', () => undefined);
    const fd = fdOf(await waiting);
    t.equal(hasHungUp(fd), false, 'before');
    await new Promise<void>((resolve) => client.write('a request', () => resolve()));
    t.equal(hasHungUp(fd), false, 'something to read is no reason');
    leave(client);
    const deadline = performance.now() + 10_000;
    while (!hasHungUp(fd) && performance.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
    t.equal(hasHungUp(fd), true, 'after');
    client.destroy();
  });
}

t.test('what is no socket', async (t) => {
  t.throws(() => readPeerCredentials(2 ** 20), { name: 'SystemCallError', code: 'EBADF' });
});
