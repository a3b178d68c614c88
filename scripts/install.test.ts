import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { skipUnless } from '../pkg/testing/requirements.ts';

const root = resolve(import.meta.dirname, '..');
const executable = join(root, 'dist/weft');
const skip = skipUnless({ tools: ['install', 'mv', 'ln'], executables: [executable] });

function install(destdir: string): string {
  return execFileSync(join(root, 'scripts/install.sh'), [destdir], { encoding: 'utf8' });
}

t.test('install.sh puts everything where it belongs', { skip }, async (t) => {
  const destdir = t.testdir();
  install(destdir);
  const weft = join(destdir, 'usr/local/bin/weft');
  t.equal(lstatSync(weft).mode & 0o7777, 0o755);
  t.equal(lstatSync(weft).size, lstatSync(executable).size);
  t.equal(readlinkSync(join(destdir, 'opt/cni/bin/weft')), '/usr/local/bin/weft');
  t.same(readdirSync(join(destdir, 'usr/share/doc/weft')).sort(), ['LICENSE', 'README.md', 'errors.md', 'examples']);
  t.same(readdirSync(join(destdir, 'usr/share/doc/weft/examples')).sort(), readdirSync(join(root, 'conf')).sort());
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
  t.ok(lstatSync(join(destdir, 'opt/cni/bin/weft')).isSymbolicLink());
  for (const folder of ['usr/local/bin', 'opt/cni/bin']) t.same(readdirSync(join(destdir, folder)), ['weft']);
});
