import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../testing/command.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { undoAtExit } from '../testing/exit-cleanup.ts';
import type { TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { NodeFilesystem } from './files.ts';
import { install, lookAndPlan } from './install.ts';
import { exclusively } from './lock.ts';
import { pathsForTest, wantedForTest } from './test-files.ts';

const child = join(import.meta.dirname, 'test-child.ts');
const no = { overwrite: false, besideOthers: false } as const;
/** Four files written, the record, four files replaced, the record. */
const stepsOfAll = 10;
// Twenty processes are started one after the other.
t.setTimeout(120_000);

function put(root: string, text: string): readonly string[] {
  const steps: string[] = [];
  install({ files: new NodeFilesystem(root), wanted: wantedForTest(text), choices: no, onStep: (done) => steps.push(done) });
  return steps;
}

/** The texts of the four files, in the order in which they are replaced. */
function texts(root: string): readonly (string | undefined)[] {
  return pathsForTest.map((path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined));
}

function allFiles(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory()).map((entry) => `${entry.parentPath}/${entry.name}`.slice(root.length)).sort();
}

const complete = [...pathsForTest, '/var/lib/weft/installed.json'].sort();

t.test('a new node, the same again, and an upgrade', async (t) => {
  const root = t.testdir();
  const steps = put(root, 'old');
  t.equal(steps.length, stepsOfAll);
  t.match(steps.slice(-2), [/^replaced \/etc\/cni\/net\.d\/10-weft\.conflist$/, /installed\.json/], 'the conflist is the last');
  t.same(texts(root), ['old', 'old', 'old', 'old']);
  t.same(pathsForTest.map((path) => statSync(join(root, path)).mode & 0o7777), [0o755, 0o755, 0o600, 0o600]);
  t.same(put(root, 'old'), [], 'nothing is done twice');
  put(root, 'new');
  t.same(texts(root), ['new', 'new', 'new', 'new']);
  t.same(allFiles(root), complete, 'and nothing else is left');
});

t.test('killed after any step: old or new, the conflist never before the rest, and the next one finishes', async (t) => {
  for (const before of [undefined, 'old']) {
    for (let step = 1; step <= stepsOfAll; step += 1) {
      const root = t.testdir();
      if (before !== undefined) put(root, before);
      t.equal(spawnSync(process.execPath, [child, root, 'new', `${step}`]).signal, 'SIGKILL', `killed after step ${step}`);
      const found = texts(root);
      const firstOld = found.findIndex((text) => text !== 'new');
      t.ok(firstOld === -1 || found.slice(firstOld).every((text) => text === before), `after step ${step}: ${found.join(' ')}`);
      put(root, 'new');
      t.same(texts(root), ['new', 'new', 'new', 'new']);
      t.same(allFiles(root), complete, 'what the killed one had written is swept up');
    }
  }
});

t.test("what somebody has changed is refused before anything is done", async (t) => {
  const root = t.testdir();
  put(root, 'old');
  writeFileSync(join(root, pathsForTest[2]), 'by hand');
  t.throws(() => put(root, 'new'), { code: 'invalidConfiguration', message: /weft\.yaml is not what weft has put there/ });
  t.same(texts(root), ['old', 'old', 'by hand', 'old']);
  t.match(lookAndPlan({ files: new NodeFilesystem(root), wanted: wantedForTest('new'), choices: no }).problems, [/weft\.yaml/]);
  t.same(allFiles(root), complete);
});

t.test('a program that runs is not disturbed, and a link is replaced and not what it leads to', { skip: skipUnless({ tools: ['cat'] }) }, async (t) => {
  const root = t.testdir({ usr: { local: { bin: {} } }, elsewhere: 'untouched' });
  const program = join(root, pathsForTest[0]);
  writeFileSync(program, '#!/bin/sh\nread -r word\necho "old $word"\n');
  chmodSync(program, 0o755);
  const running = spawnSync('sh', ['-c', '(sleep 0.3; echo word) | "$1" & sleep 0.1; exec "$2" "$3" "$4" new 99 2>/dev/null; wait', 'sh', program, process.execPath, child, root], { encoding: 'utf8' });
  t.match(running.stdout, /^old word$/m, 'the old one goes on');
  t.equal(readFileSync(program, 'utf8'), 'new');
  const other = t.testdir({ opt: { cni: { bin: {} } }, elsewhere: 'untouched' });
  symlinkSync(join(other, 'elsewhere'), join(other, pathsForTest[1]));
  put(other, 'new');
  t.same(texts(other), ['new', 'new', 'new', 'new']);
  t.equal(readFileSync(join(other, 'elsewhere'), 'utf8'), 'untouched');
});

t.test('a directory that a link leads out of the root is refused in words', async (t) => {
  const base = t.testdir({ root: { opt: {} }, outside: {} });
  symlinkSync(join(base, 'outside'), join(base, 'root/opt/cni'));
  t.throws(() => put(join(base, 'root'), 'new'), { code: 'ioFailure', cause: { message: /leads out of .*outside/ } });
  t.same(allFiles(join(base, 'root')).filter((path) => !path.startsWith('/opt')), [], 'and nothing is left');
  t.throws(() => new NodeFilesystem(join(base, 'no')), { code: 'ioFailure' });
});

t.test('a full disk and a read-only one: nothing is replaced, nothing is left', { skip: skipUnless({ root: true, tools: ['mount', 'umount'] }) }, async (t) => {
  const root = temporaryDirectory(t);
  put(root, 'old');
  const directory = join(root, 'etc/weft');
  mountOver(t, directory, 'size=64k');
  writeFileSync(join(directory, 'weft.yaml'), 'old');
  const large = 'x'.repeat(100_000);
  t.throws(() => put(root, large), { code: 'ioFailure', message: /weft\.yaml/, details: /disk is full/ });
  t.same(texts(root), ['old', 'old', 'old', 'old']);
  t.same(allFiles(root), complete);
  run('mount', ['-o', 'remount,ro', directory]);
  t.throws(() => put(root, 'new'), { code: 'ioFailure', details: /read-only/ });
  t.same(texts(root), ['old', 'old', 'old', 'old']);
  t.same(allFiles(root), complete);
  run('mount', ['-o', 'remount,rw', directory]);
  put(root, 'new');
  t.same(texts(root), ['new', 'new', 'new', 'new']);
});

t.test('one at a time', async (t) => {
  await exclusively('/a root of this test', async () => {
    await t.rejects(exclusively('/a root of this test', async () => t.fail('both')), { code: 'tryAgainLater' });
    await exclusively('/another root', async () => t.pass('another node'));
  });
  await exclusively('/a root of this test', async () => t.pass('afterwards'));
});

function mountOver(scope: TeardownScope, directory: string, options: string): void {
  mkdirSync(directory, { recursive: true });
  run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  const unmount = (): void => void run('umount', [directory]);
  const forget = undoAtExit(unmount);
  scope.teardown(() => {
    forget();
    unmount();
  });
}
