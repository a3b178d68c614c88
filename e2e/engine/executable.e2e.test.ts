/** The one file that is weft, as a program: on a machine without Node, with its addon spoiled, and badly called. */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { run, runIn } from '../../pkg/testing/command.ts';
import { describeOutcome, type CniOutcome, type Verb } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { attachEnv, type LabNode } from '../harness/lab-node.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';
import { mountingExecutable } from './mount-namespace.ts';
import { done, refused, refusedWithRemedy, succeeded } from './outcomes.ts';
import { createSite, hasHostIf, newcomer, type Site, type SiteOptions } from './site.ts';

const skip = skipWithoutLab();
const root = process.getuid?.() ?? 0;

/** A root directory with nothing in it but weft, the shared libraries it names, /proc, and the files of this node and of its switch: none of Open vSwitch's tools. */
const emptyRoot = `
root="$WEFT_RUN_DIR/root"
mkdir -p "$root"
mount -t tmpfs none "$root"
for library in $(ldd ${weftExecutable} | grep -o '/[^ ]*'); do cp --parents "$library" "$root"; done
touch "$root/weft"
mount --bind ${weftExecutable} "$root/weft"
for directory in /proc /run/netns "$WEFT_RUN_DIR/.." $SWITCH_DIR; do mkdir -p "$root$directory"; mount --rbind "$directory" "$root$directory"; done
chroot=$(command -v chroot)
unset PATH PWD BEFORE_WEFT SWITCH_DIR
exec "$chroot" "$root" /weft`;

testEachDatapath('a machine without Node, and without anything else', async (t, datapath) => {
  const { site, call } = await createShellSite(t, { datapath });
  const before = site.node.snapshot();
  const attach = newcomer(site, 'alone');
  const inEmptyRoot = (verb: Verb, stdin: object = site.conf): Promise<CniOutcome> => call({ before: `SWITCH_DIR=${datapath === 'ovs' ? site.node.openVSwitch.directory : ''}\n${emptyRoot}`, env: attachEnv(verb, attach), stdin: JSON.stringify(stdin) });
  const added = await inEmptyRoot('ADD');
  t.match(added, succeeded, describeOutcome(added));
  t.ok(hasHostIf(site.node, added));
  t.match(await inEmptyRoot('CHECK', { ...site.conf, prevResult: added.result }), done);
  t.match(await inEmptyRoot('DEL'), done);
  t.same(site.node.snapshot(), before);
});

t.test("the caller's environment", { skip }, async (t) => {
  const { call } = await createShellSite(t);
  const environments: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['an empty PATH', { PATH: '' }],
    ['options for Node', { NODE_OPTIONS: '--require=/nowhere.js --max-old-space-size=1', NODE_EXTRA_CA_CERTS: '/nowhere', NODE_V8_COVERAGE: '' }],
    ['a locale and a home that are not there', { LC_ALL: 'xx_XX', HOME: '/nowhere', TMPDIR: '/nowhere' }],
  ];
  for (const [name, variables] of environments) {
    const exports = Object.entries(variables).map(([key, value]) => `export ${key}='${value}'`).join('; ');
    const outcome = await call({ before: exports, env: { CNI_COMMAND: 'VERSION' }, stdin: '{"cniVersion":"1.0.0"}' });
    t.match(outcome, { ...succeeded, stderr: '' }, `${name}: ${describeOutcome(outcome)}`);
  }
});

t.test('the native addon', { skip, timeout: 60_000 }, async (t) => {
  const site = await createSite(t);
  const directory = nativeDirectory(site.node);
  const attach = newcomer(site, 'one');
  const works = async (what: string): Promise<void> => {
    const added = await site.node.add(attach);
    t.match(added, succeeded, `${what}: ${describeOutcome(added)}`);
    t.match(await site.node.del(attach), done);
  };
  await works('the first start unpacks it');
  const [name = '', ...others] = readdirSync(directory);
  const path = join(directory, name);
  const digest = (): string => `${createHash('sha256').update(readFileSync(path)).digest('hex')}.node`;
  const { size, ino, mtimeMs } = statSync(path);
  t.same(others, [], 'one file');
  t.equal(name, digest(), 'named by its digest');
  t.match(statSync(path), { mode: 0o100500, uid: root }, 'nobody else may write it');
  t.match(statSync(directory), { mode: 0o40700, uid: root });
  await works('the second start');
  t.match(statSync(path), { ino, mtimeMs }, 'does not write it again');

  truncateSync(path, size / 2);
  await works('a file that was cut off');
  t.equal(digest(), name, 'is replaced');
  chmodSync(path, 0o600);
  writeFileSync(path, Buffer.alloc(size + 1));
  await works('a file that is too long');
  t.equal(digest(), name, 'is replaced as well');
  t.same(readdirSync(directory), [name], 'and nothing half-made is left');
});

t.test('a directory for the addon that somebody else could write to', { skip, timeout: 60_000 }, async (t) => {
  const spoilers: readonly (readonly [string, (directory: string) => void])[] = [
    ['writable by all', (directory) => chmodSync(directory, 0o777)],
    ['writable by its group', (directory) => chmodSync(directory, 0o770)],
    ["somebody else's", (directory) => chownSync(directory, 65534, 65534)],
    ['a link to elsewhere', (directory) => {
      renameSync(directory, `${directory}.real`);
      symlinkSync(`${directory}.real`, directory);
    }],
  ];
  for (const [name, spoil] of spoilers) {
    const site = await createSite(t);
    const [state, fallback] = [nativeDirectory(site.node), nativeDirectory(site.node, 'run')];
    for (const directory of [state, fallback]) mkdirSync(directory, { mode: 0o700 });
    spoil(state);
    const version = await site.node.version();
    t.match(version, succeeded, `${name}: ${describeOutcome(version)}`);
    t.same([readdirSync(state).length, readdirSync(fallback).length], [0, 1], 'the run directory is used in its place');
    spoil(fallback);
    const remedy = new RegExp(`${state}: ${state} must be a plain entry owned by user 0 that nobody else can write; ${fallback}: ${fallback} must be`);
    const refusal = await site.node.add(newcomer(site, 'refused'));
    t.match(refusal, refusedWithRemedy(5, /Cannot unpack the native addon: make one of the directories writable and executable/, remedy), describeOutcome(refusal));
  }
});

t.test('standard input', { skip, timeout: 60_000 }, async (t) => {
  const { site, call } = await createShellSite(t);
  const env = attachEnv('ADD', newcomer(site, 'one'));
  const before = site.node.snapshot();
  const endless = await call({ before: 'mkfifo "$WEFT_RUN_DIR/fifo"; exec 0<>"$WEFT_RUN_DIR/fifo"', env, stdin: '' });
  t.match(endless, refused(5, /The network configuration must come on stdin and end: it did not within 10000 ms/), `without an end: ${describeOutcome(endless)}`);
  const rows: readonly (readonly [string, string, string, number, RegExp])[] = [
    ['closed', 'exec 0<&-', '', 6, /must be a JSON object: stdin is empty/],
    ['a directory', 'exec 0</', '', 5, /on stdin cannot be read: EISDIR/],
    ['two mebibytes', '', `{"padding":"${'x'.repeat(2 * 1024 * 1024)}"}`, 6, /must have at most 1048576 bytes/],
    ['no end of it', 'exec 0</dev/zero', '', 6, /must have at most 1048576 bytes/],
    ['not text', '', '{\u0000\uffff}', 6, /must be JSON/],
    ['deeply nested', '', `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 6, /must be nested at most 64 deep/],
  ];
  for (const [name, commands, stdin, code, words] of rows) {
    const outcome = await call({ before: commands, env, stdin });
    t.match(outcome, refused(code, words), `${name}: ${describeOutcome(outcome)}`);
  }
  t.same(site.node.snapshot(), before);
});

t.test('an answer that cannot be delivered', { skip }, async (t) => {
  const { site, call } = await createShellSite(t);
  const attach = newcomer(site, 'unheard');
  const outcome = await call({ before: 'exec 1>/dev/full', env: attachEnv('ADD', attach), stdin: JSON.stringify(site.conf) });
  t.match(outcome, { exitCode: 1, stderr: /the answer could not be written: ENOSPC/ }, `is no success: ${describeOutcome(outcome)}`);
  t.match(await site.node.del(attach), done, 'the runtime gives up with a DEL');
  const silent = await call({ before: 'exec 1>/dev/full 2>/dev/full', env: attachEnv('ADD', attach), stdin: JSON.stringify(site.conf) });
  t.match(silent, { exitCode: 1, stderr: '' }, 'with stderr broken too it ends all the same');
  const closed = await call({ before: 'exec 1>&- 2>&-', env: attachEnv('DEL', attach), stdin: JSON.stringify(site.conf) });
  t.match(closed, { exitCode: 0 }, 'a DEL has nothing to say');
  t.same(site.node.snapshot().links.filter((link) => link.includes('weft')), []);
});

t.test('the command line', { skip }, async (t) => {
  const weft = (...args: readonly string[]): string => run(weftExecutable, args);
  const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string };
  t.equal(weft('--version'), `${version}\n`);
  t.match(weft('--help'), /One overlay network for each tenant.*CNI_COMMAND=ADD\s+weft\s+<\s+net\.conf.*forget <tenant> <endpoint>/s);
  t.match(weft('forget', '--help'), /give up the address and MAC kept for an endpoint/);
  t.throws(() => weft('forgte'), /unknown command 'forgte'.*forget/s);
  t.throws(() => weft('forget', 'blue'), /missing required argument 'endpoint'/);
  t.throws(() => weft('--no-such-option'), /unknown option/);
  t.throws(() => weft(), /Usage: weft/, 'without a command it says how it is used, and fails');
});

t.test('weft as an argument of the plugin', { skip }, async (t) => {
  const { node: labNode } = await createSite(t);
  const output = runIn(labNode.netns, 'env', 'CNI_COMMAND=VERSION', weftExecutable, '--help', 'ADD');
  t.match(JSON.parse(output), { supportedVersions: ['0.4.0', '1.0.0', '1.1.0'] }, 'CNI_COMMAND decides, whatever stands behind');
});

interface ShellCall {
  /** Shell commands before weft takes the shell's place. */
  readonly before: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

async function createShellSite(t: Parameters<typeof createSite>[0], options: SiteOptions = {}): Promise<{ readonly site: Site; readonly call: (call: ShellCall) => Promise<CniOutcome> }> {
  const site = await createSite(t, { ...options, executable: mountingExecutable(t) });
  return { site, call: ({ before, env, stdin }) => site.node.call({ env: { ...env, BEFORE_WEFT: before }, stdin }) };
}

function nativeDirectory({ stateDirectory }: LabNode, directory: 'state' | 'run' = 'state'): string {
  return join(stateDirectory, '..', directory, 'native');
}
