import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { describeError, isWeftError } from '../errors/weft-error.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { listenOn } from './socket-file.ts';

/** A server that greets with its name. */
function greeter(t: Test, name: string): Server {
  const server = createServer((socket) => socket.end(name));
  t.teardown(() => void server.close());
  return server;
}

/** Who listens on the path; the code of the error where nobody does. */
function whoListens(path: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    connect(path).on('data', (chunk) => (text += chunk.toString())).on('end', () => resolve(text)).on('error', (error) => resolve('code' in error ? `${error.code}` : error.message));
  });
}

t.test('modes, in a directory that is made', async (t) => {
  const run = join(temporaryDirectory(t), 'a', 'run');
  const path = join(run, 'weft.sock');
  const file = await listenOn(greeter(t, 'one'), path);
  t.equal(statSync(run).mode & 0o7777, 0o700);
  t.equal(statSync(path).mode & 0o7777, 0o600);
  t.ok(statSync(path).isSocket());
  t.same(readdirSync(run), ['weft.sock'], 'the name it was bound under is gone');
  t.equal(await whoListens(path), 'one');
  file.remove();
  file.remove();
  t.notOk(existsSync(path));
});

t.test('what has the name by then is replaced', async (t) => {
  const directory = temporaryDirectory(t);
  for (const [what, prepare] of [['a file', (path: string) => writeFileSync(path, '')], ['a socket of a dead daemon', deadSocket]] as const) {
    const path = join(directory, `${what.length}.sock`);
    await prepare(path);
    const file = await listenOn(greeter(t, what), path);
    t.equal(await whoListens(path), what);
    file.remove();
  }
});

t.test('the newer one has the name, and the older one does not take it away', async (t) => {
  const path = join(temporaryDirectory(t), 'weft.sock');
  const older = await listenOn(greeter(t, 'older'), path);
  const newer = await listenOn(greeter(t, 'newer'), path);
  t.equal(await whoListens(path), 'newer');
  older.remove();
  t.equal(await whoListens(path), 'newer');
  newer.remove();
  t.equal(await whoListens(path), 'ENOENT');
});

t.test('where it cannot listen it says why', async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  const taken = join(directory, 'taken');
  mkdirSync(join(taken, 'weft.sock', 'full'), { recursive: true });
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ['too long', join(directory, 'x'.repeat(100), 'weft.sock'), /the name of a socket may have 107 bytes/],
    ['below a file', join(file, 'weft.sock'), /Cannot listen on .*(ENOTDIR|EEXIST)/],
    ['a directory has the name', join(taken, 'weft.sock'), /Cannot listen on .*(EISDIR|ENOTEMPTY|EEXIST)/],
  ];
  for (const [what, path, words] of rows) {
    const error: unknown = await listenOn(greeter(t, what), path).then(() => undefined, (reason: unknown) => reason);
    t.ok(isWeftError(error, 'ioFailure'), what);
    t.match(describeError(error), words, what);
  }
  t.same(readdirSync(taken), ['weft.sock'], 'nothing is left beside it');
});

async function deadSocket(path: string): Promise<void> {
  const server = createServer();
  await listenOn(server, path);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
