/** weft executed in the launcher's place: when, with what, and never in a circle. */
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { conf, createPlace, describe, doneByWeft, environmentOf, errorOf, launch, launcherExecutable, skipLauncher as skip, skipLauncherUnlessRoot, type Place } from './launch.ts';

const mib = 1024 * 1024;
const installCat = 'ln -s /bin/cat /usr/local/bin/weft';
t.setTimeout(60_000);

t.test('where no daemon listens', { skip }, async (t) => {
  const quiet: readonly (readonly [string, (place: Place) => void])[] = [
    ['no socket', () => undefined],
    ['no directory', ({ runDirectory }) => rmSync(runDirectory, { recursive: true })],
    ['a regular file', ({ runDirectory }) => writeFileSync(join(runDirectory, 'weft.sock'), '')],
    ['a directory', ({ runDirectory }) => mkdirSync(join(runDirectory, 'weft.sock'))],
  ];
  for (const [name, prepare] of quiet) {
    const place = createPlace(t);
    prepare(place);
    const outcome = await launch(place);
    t.match(outcome, { ...doneByWeft, stderr: '' }, `${name}: ${describe(outcome)}`);
  }
  const place = createPlace(t);
  await leaveSocketBehind(place);
  t.match(await launch(place), { ...doneByWeft, stderr: '' }, 'a socket whose daemon is gone');
  const long = await launch(place, { env: { WEFT_RUN_DIR: `/${'x'.repeat(100)}` } });
  t.match(long, { ...doneByWeft, stderr: /WEFT_RUN_DIR is too long for the address of a socket/ });
  const throughFile = await launch(place, { env: { WEFT_RUN_DIR: '/dev/null' } });
  t.match(throughFile, { ...doneByWeft, stderr: /it cannot be connected to: ENOTDIR/ }, 'what is no directory is worth a word');
});

t.test('weft is given the same call', { skip }, async (t) => {
  const place = createPlace(t);
  for (const size of [0, 1, mib, mib + 1]) {
    const stdin = Buffer.alloc(size, 'configuration ');
    t.ok((await launch(place, { stdin })).stdout.equals(stdin), `${size} bytes of stdin`);
  }
  const args = await launch(place, { args: ['/proc/self/cmdline', '-'] });
  t.equal(args.stdout.toString(), `weft\0/proc/self/cmdline\0-\0${conf}`, 'its own name, the arguments, stdin');
  const env = { WEFT_EXE: '/usr/bin/env', HOME: '/root', CNI_ARGS: 'A=größe\nB' };
  const variables = (await launch(place, { env, args: ['-0'] })).stdout.toString().split('\0').filter((entry) => entry !== '').sort();
  t.same(variables, [...Object.entries(environmentOf(place, env)).map(([key, value]) => `${key}=${value}`), 'WEFT_LAUNCHED=1'].sort(), 'the whole environment');
  const { stdout } = await launch(place, { args: ['/proc/self/status'] });
  const [, blocked, ignored] = /SigBlk:\t([0-9a-f]+)\nSigIgn:\t([0-9a-f]+)\n/.exec(stdout.toString()) ?? [];
  // Signals above 31 are the C library's own, and what whoever started the tests has made of them is inherited.
  const usual = 0x7fff_ffffn;
  t.same([blocked, ignored].map((mask) => BigInt(`0x${mask}`) & usual), [0n, 0n], 'with the usual dispositions of signals');
  t.match(await launch(place, { env: { WEFT_EXE: '/bin/sh' }, args: ['-c', 'exit 42'] }), { exitCode: 42 }, "and its exit status is the call's");
});

t.test('weft is given the three descriptors, and no other', { skip }, async (t) => {
  const place = createPlace(t);
  const extra = openSync(place.directory, 'r');
  t.teardown(() => closeSync(extra));
  const stdio = ['pipe', 'pipe', 'pipe', extra, extra, 'ignore', extra] as ('pipe' | 'ignore' | number)[];
  const { stdout } = spawnSync(launcherExecutable, ['/proc/self/fd'], { env: environmentOf(place, { WEFT_EXE: '/bin/ls' }), stdio, input: conf });
  t.same(String(stdout).trim().split('\n'), ['0', '1', '2', '3'], '3 is what ls lists');
});

t.test('where there can be no file in memory, a pipe takes its place', { skip: skipLauncherUnlessRoot }, async (t) => {
  const place = createPlace(t);
  // A file may have no byte: write(2) fails with EFBIG. A pipe is no file.
  const before = 'trap "" XFSZ; ulimit -f 0';
  for (const size of [1, 65537, mib + 1]) {
    const stdin = Buffer.alloc(size, 'configuration ');
    const outcome = await launch(place, { before, stdin });
    t.ok(outcome.stdout.equals(stdin), `${size} bytes: ${outcome.stdout.length} ${outcome.stderr}`);
  }
  const children = await launch(place, { before, stdin: Buffer.alloc(mib, 'x'), env: { WEFT_EXE: '/bin/sh' }, args: ['-c', 'cat /proc/$$/task/$$/children'] });
  t.equal(children.stdout.toString().trim().split(/\s+/).length, 1, "the writer is no child of weft: cat is the shell's only one");
});

t.test('the second place to look for weft', { skip: skipLauncherUnlessRoot }, async (t) => {
  const place = createPlace(t);
  const [script, plain] = [join(place.directory, 'no-format'), join(place.directory, 'plain')];
  writeFileSync(script, 'neither a program nor a script\n', { mode: 0o755 });
  writeFileSync(plain, '', { mode: 0o644 });
  const rows: readonly (readonly [string, string])[] = [['/nowhere/weft', 'ENOENT'], [script, 'ENOEXEC'], [plain, 'EACCES'], [place.directory, 'EACCES'], [launcherExecutable, 'it is the launcher and not weft']];
  for (const [path, reason] of rows) {
    const outcome = await launch(place, { before: installCat, env: { WEFT_EXE: path } });
    t.match(outcome, { ...doneByWeft, stderr: `weft: WEFT_EXE names ${path}, which cannot be executed: ${reason}\n` }, describe(outcome));
  }
  for (const value of ['', undefined]) t.match(await launch(place, { before: installCat, env: { WEFT_EXE: value } }), { ...doneByWeft, stderr: '' });
});

t.test('a launcher in the place of weft', { skip: skipLauncherUnlessRoot, timeout: 30_000 }, async (t) => {
  const place = createPlace(t);
  const [copy, script] = [join(place.directory, 'copy'), join(place.directory, 'script')];
  copyFileSync(launcherExecutable, copy);
  chmodSync(copy, 0o755);
  writeFileSync(script, `#!/bin/sh\n${launcherExecutable} || exit $?\n`, { mode: 0o755 });
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ['itself', launcherExecutable, /it is the launcher and not weft; \/usr\/local\/bin\/weft: ENOENT/],
    ['a copy', copy, /it leads back to the launcher and not to weft/],
    ['a script that executes it', script, /it leads back to the launcher and not to weft/],
  ];
  for (const [name, path, details] of rows) {
    const outcome = await launch(place, { before: ':', env: { WEFT_EXE: path } });
    t.equal(outcome.exitCode, 1);
    t.match(errorOf(outcome), { code: 11, details }, `${name}: ${describe(outcome)}`);
  }
  const installed = await launch(place, { before: `cp ${launcherExecutable} /usr/local/bin/weft`, env: { WEFT_EXE: undefined } });
  t.match(errorOf(installed), { code: 11, details: /weft.sock: nobody listens: ENOENT; \/usr\/local\/bin\/weft: it leads back/ }, 'installed in the wrong place');
});

t.test('without CNI_COMMAND it is weft\'s command line', { skip: skipLauncherUnlessRoot }, async (t) => {
  const place = createPlace(t);
  const passed = await launch(place, { env: { CNI_COMMAND: undefined, WEFT_EXE: '/bin/sh' }, args: ['-c', 'cat; echo "$0 $@"; exit 3', 'status', '-o', 'json'], stdin: 'typed' });
  t.match(passed, { exitCode: 3, stdout: Buffer.from('typedstatus -o json\n'), stderr: '' }, describe(passed));
  const { exitCode, stdout, stderr } = await launch(place, { before: ':', env: { CNI_COMMAND: undefined, WEFT_EXE: undefined } });
  t.match({ exitCode, length: stdout.length }, { exitCode: 2, length: 0 });
  t.match(stderr, /this is the launcher.*CNI_COMMAND.*\/usr\/local\/bin\/weft: ENOENT/);
});

/** libuv removes the socket of a server that it closes; one whose daemon was killed stays. */
async function leaveSocketBehind({ runDirectory }: Place): Promise<void> {
  const [own, left] = [join(runDirectory, 'own.sock'), join(runDirectory, 'weft.sock')];
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(own, resolve));
  const { status, stderr } = spawnSync('mv', [own, left], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
