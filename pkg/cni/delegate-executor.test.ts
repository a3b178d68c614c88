import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { outputBytesMax, processExecutor, type DelegateProcess } from './delegate-executor.ts';

const directory = mkdtempSync(`${tmpdir()}/weft-cni-executor-`);
t.teardown(() => rmSync(directory, { recursive: true }));

/** Writes an executable shell script and returns its path. */
function script(name: string, body: string): string {
  const file = `${directory}/${name}`;
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

function processOf(file: string, more: Partial<DelegateProcess> = {}): DelegateProcess {
  return { file, env: { PATH: '/usr/bin:/bin' }, stdin: '', signal: new AbortController().signal, ...more };
}

/** Waits for a script to have written a number. The test's own timeout is the limit. */
async function readNumber(file: string): Promise<number> {
  for (;;) {
    const text = readIfThere(file);
    if (text.endsWith('\n')) return Number(text);
    await setImmediate();
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await setImmediate();
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

void t.test('isExecutable()', async (t) => {
  writeFileSync(`${directory}/data`, 'no program', { mode: 0o644 });
  t.equal(processExecutor.isExecutable(script('plugin', 'exit 0')), true);
  t.equal(processExecutor.isExecutable(`${directory}/data`), false, 'not a file without the permission');
  t.equal(processExecutor.isExecutable(directory), false, 'not a directory');
  t.equal(processExecutor.isExecutable(`${directory}/none`), false, 'not what is not there');
});

void t.test('run() returns how the process ended', async (t) => {
  const file = script('echo', 'cat; echo "$GREETING" >&2; exit 3');
  const exit = await processExecutor.run(processOf(file, { stdin: 'grüezi', env: { PATH: '/usr/bin:/bin', GREETING: 'hello', NOTHING: undefined } }));
  t.strictSame(exit, { exitCode: 3, killedBy: null, stdout: 'grüezi', stderr: 'hello\n' }, 'stdin, environment, both outputs and the status');
  t.match(await processExecutor.run(processOf(script('dies', 'kill -9 $$'))), { exitCode: null, killedBy: 'SIGKILL' }, 'the signal that ended it');
  t.match(await processExecutor.run(processOf(script('deaf', 'exec 0<&-; echo done'), { stdin: 'x'.repeat(1 << 20) })), { exitCode: 0, stdout: 'done\n' }, 'stdin that is not read');
  t.equal((await processExecutor.run(processOf(script('loud', 'head -c 1000000 /dev/zero >&2')))).stderr.length, 4096, 'of stderr the beginning');
  t.equal((await processExecutor.run(processOf(script('full', `head -c ${outputBytesMax} /dev/zero`)))).stdout.length, outputBytesMax, 'as much output as allowed');
});

void t.test('run() rejects when the process cannot be started or finished', async (t) => {
  writeFileSync(`${directory}/text`, 'no program', { mode: 0o644 });
  await t.rejects(processExecutor.run(processOf(`${directory}/none`)), { code: 'ENOENT' });
  await t.rejects(processExecutor.run(processOf(`${directory}/text`)), { code: 'EACCES' });
  await t.rejects(processExecutor.run(processOf(script('flood', 'exec cat /dev/zero'))), { message: 'it printed more than 1048576 bytes' });
  await t.rejects(processExecutor.run(processOf(script('unused', 'exit 0'), { signal: AbortSignal.abort() })), { name: 'AbortError' });
});

void t.test('run() kills the process when it is aborted', async (t) => {
  const file = script('hangs', `trap '' TERM; echo $$ > ${directory}/hangs.pid; exec sleep 600`);
  const controller = new AbortController();
  const rejected = t.rejects(processExecutor.run(processOf(file, { signal: controller.signal })), { name: 'AbortError' }, 'the wait ends');
  const pid = await readNumber(`${directory}/hangs.pid`);
  controller.abort();
  await rejected;
  await untilGone(pid);
  t.pass('and so does the process');
});

void t.test('run() does not wait for a child that holds the pipes of an aborted process', async (t) => {
  const child = `trap '' PIPE; echo $$ > ${directory}/ready; while sleep 0.02 && echo; do :; done; echo 0 > ${directory}/closed`;
  const file = script('leaves-child', `(${child}) & wait`);
  const controller = new AbortController();
  const rejected = t.rejects(processExecutor.run(processOf(file, { signal: controller.signal })), { name: 'AbortError' });
  await readNumber(`${directory}/ready`);
  controller.abort();
  await rejected;
  t.equal(await readNumber(`${directory}/closed`), 0, 'the child finds the pipe closed');
});
