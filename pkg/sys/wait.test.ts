import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { run } from '../testing/command.ts';
import { watchReadable } from './wait.ts';

/** A pipe that is open at both ends with one descriptor. */
function openPipe(t: Test): number {
  const directory = mkdtempSync(join(tmpdir(), 'weft-wait-'));
  const path = join(directory, 'pipe');
  run('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  t.teardown(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  return fd;
}

t.test('it calls until all has been read, and again when more comes', async (t) => {
  const fd = openPipe(t);
  const byte = Buffer.alloc(1);
  let text = '';
  let onByte: () => void = () => undefined;
  const watch = watchReadable(fd, () => {
    readSync(fd, byte);
    text += byte.toString();
    onByte();
  });
  t.teardown(() => watch.close());
  const reach = (wanted: string): Promise<void> => new Promise((resolve) => {
    onByte = () => {
      if (text === wanted) resolve();
    };
    onByte();
  });
  writeSync(fd, 'abc');
  await reach('abc');
  t.equal(text, 'abc', 'one byte for each call');
  writeSync(fd, 'd');
  await reach('abcd');
});

t.test('others have their turn while there is always something to read', async (t) => {
  const fd = openPipe(t);
  let calls = 0;
  const watch = watchReadable(fd, () => (calls += 1));
  writeSync(fd, 'never read');
  await new Promise((resolve) => setTimeout(resolve, 0));
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  t.ok(calls > 0);
  watch.close();
  const closedAt = calls;
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  t.equal(calls, closedAt, 'a closed one calls no more');
  watch.close();
});

/** A process that watches a pipe with something in it. */
function runChild(t: Test, body: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const fd = openPipe(t);
  writeSync(fd, 'x');
  const script = `import { watchReadable } from ${JSON.stringify(new URL('./wait.ts', import.meta.url).href)}; const fd = 3; ${body}`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'pipe', fd], encoding: 'utf8', timeout: 10_000 });
}

t.test('what it calls runs as everything in Node does', async (t) => {
  t.match(
    runChild(t, "const watch = watchReadable(fd, async () => { watch.close(); await null; await null; process.stdout.write('went on'); });"),
    { status: 0, stdout: 'went on', stderr: '' },
    'promises go on, and the process ends when it is closed',
  );
  t.match(
    runChild(t, "process.on('uncaughtException', (error) => { process.stdout.write(error.message); process.exit(3); }); watchReadable(fd, () => { throw new Error('mine'); });"),
    { status: 3, stdout: 'mine', stderr: '' },
    'an exception is not lost',
  );
  t.match(runChild(t, 'watchReadable(fd, () => process.exit(4));'), { status: 4, stdout: '', stderr: '' });
});
