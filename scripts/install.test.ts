import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { skipUnless } from '../pkg/testing/requirements.ts';

const root = resolve(import.meta.dirname, '..');
const executable = join(root, 'dist/weft');
const launcher = join(root, 'dist/cni/weft');
const skip = skipUnless({ tools: ['install', 'mv'], executables: [executable, launcher] });

function install(destdir: string): string {
  return execFileSync(join(root, 'scripts/install.sh'), [destdir], { encoding: 'utf8' });
}

t.test('install.sh puts everything where it belongs', { skip }, async (t) => {
  const destdir = t.testdir();
  install(destdir);
  const weft = join(destdir, 'usr/local/bin/weft');
  t.equal(lstatSync(weft).mode & 0o7777, 0o755);
  t.equal(lstatSync(weft).size, lstatSync(executable).size);
  const plugin = join(destdir, 'opt/cni/bin/weft');
  t.equal(lstatSync(plugin).mode, 0o100755, 'a file');
  t.ok(readFileSync(plugin).equals(readFileSync(launcher)), 'the launcher');
  t.same(readdirSync(join(destdir, 'usr/share/doc/weft')).sort(), ['LICENSE', 'README.md', 'daemon.md', 'errors.md', 'examples', 'metrics.md', 'ovs.md']);
  t.same(readdirSync(join(destdir, 'usr/share/doc/weft/examples')).sort(), readdirSync(join(root, 'conf')).filter((name) => !name.endsWith('.service')).sort());
  t.ok(existsSync(join(destdir, 'usr/local/lib/systemd/system/weft.service')), 'the unit');
  t.notOk(existsSync(join(destdir, 'etc')), 'nothing is written to /etc');
});

t.test('install.sh replaces what is there, and leaves nothing else', { skip }, async (t) => {
  const destdir = t.testdir();
  for (const [folder, text] of [['usr/local/bin', 'old'], ['opt/cni/bin', 'old']] as const) {
    mkdirSync(join(destdir, folder), { recursive: true });
    writeFileSync(join(destdir, folder, 'weft'), text);
  }
  install(destdir);
  install(destdir);
  t.equal(lstatSync(join(destdir, 'usr/local/bin/weft')).size, lstatSync(executable).size);
  t.equal(lstatSync(join(destdir, 'opt/cni/bin/weft')).size, lstatSync(launcher).size);
  for (const folder of ['usr/local/bin', 'opt/cni/bin']) t.same(readdirSync(join(destdir, folder)), ['weft']);
});

t.test('install.sh replaces the link to weft that older versions made, and not what it points to', { skip }, async (t) => {
  const destdir = t.testdir({ opt: { cni: { bin: {} } }, elsewhere: 'untouched' });
  symlinkSync(join(destdir, 'elsewhere'), join(destdir, 'opt/cni/bin/weft'));
  install(destdir);
  t.ok(lstatSync(join(destdir, 'opt/cni/bin/weft')).isFile());
  t.equal(readFileSync(join(destdir, 'elsewhere'), 'utf8'), 'untouched');
});
