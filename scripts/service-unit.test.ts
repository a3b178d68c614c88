/** conf/weft.service: what systemd is told must fit what is installed, and what the daemon does. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { skipUnless } from '../pkg/testing/requirements.ts';

const root = resolve(import.meta.dirname, '..');
const text = readFileSync(join(root, 'conf/weft.service'), 'utf8');
const unit = parseUnit(text);

/** Sections of keys; a key that stands there twice has several values (systemd.syntax(7)). */
type Unit = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

function parseUnit(source: string): Unit {
  const sections: Record<string, Record<string, string[]>> = {};
  let section: Record<string, string[]> = {};
  for (const [index, line] of source.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(\w+)\]$/.exec(line)?.[1];
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (header !== undefined) section = sections[header] ??= {};
    else if (key !== undefined && value !== undefined) (section[key] ??= []).push(value);
    else throw new SyntaxError(`line ${index + 1} is neither a section nor a setting: ${line}`);
  }
  return sections;
}

t.test('it starts what is installed', async (t) => {
  const [program, ...args] = unit['Service']?.['ExecStart']?.[0]?.split(' ') ?? [];
  t.equal(program, '/usr/local/bin/weft');
  t.match(readFileSync(join(root, 'scripts/install.sh'), 'utf8'), `"$destdir${program}"`, 'install.sh puts it there');
  t.same(args, ['daemon']);
  t.same(unit['Service']?.['ExecReload'], ['/bin/kill -HUP $MAINPID']);
});

t.test('its directories are where weft looks for them', async (t) => {
  const places = readFileSync(join(root, 'cmd/weft/places.ts'), 'utf8');
  for (const [key, parent] of [['StateDirectory', '/var/lib'], ['RuntimeDirectory', '/run']] as const) {
    t.match(places, `'${parent}/${unit['Service']?.[key]?.[0]}'`, key);
    t.same(unit['Service']?.[`${key}Mode`], ['0700']);
  }
  t.same(unit['Service']?.['RuntimeDirectoryPreserve'], ['yes'], 'DELs that were written down outlive a restart');
});

t.test("nothing gives it a mount namespace, in which containers' namespaces would be missing", async (t) => {
  const mounting = /^(Private(?!Network)|Protect(?!Clock|Hostname|KernelLogs$)|ReadOnly|ReadWrite|Inaccessible|Bind|Temporary|Root|Mount|ProcSubset|DynamicUser|Exec(Search)?Paths)/;
  t.same(Object.keys(unit['Service'] ?? {}).filter((key) => mounting.test(key)), []);
  t.notOk('MemoryDenyWriteExecute' in (unit['Service'] ?? {}), "Node's compiler writes code");
});

t.test('systemd understands it', { skip: skipUnless({ tools: ['systemd-analyze'] }) }, async (t) => {
  const path = join(t.testdir(), 'weft.service');
  // The programs it names need not be installed here.
  writeFileSync(path, text.replace('/usr/local/bin/weft', '/bin/true').replace(/^Documentation=.*\n/m, ''));
  t.equal(verifyComplaints(path), '');
  writeFileSync(path, text.replace('Type=notify', 'Type=notifi').replace('[Install]', 'NoSuchKey=1\n[Install]'));
  t.match(verifyComplaints(path), /NoSuchKey/, 'and would say so if it did not');
});

/** systemd-analyze writes what it finds to stderr, and may succeed all the same. */
function verifyComplaints(path: string): string {
  try {
    return execFileSync('sh', ['-c', 'systemd-analyze verify --man=no --recursive-errors=no "$1" 2>&1', 'sh', path], { encoding: 'utf8', timeout: 20_000 });
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
  }
}
