import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../testing/directory.ts';
import { listPendingDels, removePendingDel, writePendingDel, type PendingDel } from './pending.ts';

const del: PendingDel = { network: 'blue', containerId: 'c1', ifName: 'eth0', conf: '{"name":"blue"}', requestedAt: 1 };

t.test('a DEL is written down, listed, and removed', async (t) => {
  const directory = temporaryDirectory(t);
  const bare: PendingDel = { containerId: 'ü"\\', ifName: 'eth1', requestedAt: 2 };
  const written = [del, bare].map((one) => ({ path: writePendingDel([directory], one), del: one }));
  const { entries, unreadable } = listPendingDels([directory]);
  t.strictSame(entries, written.sort((a, b) => (a.path < b.path ? -1 : 1)));
  t.strictSame(unreadable, []);
  for (const { path } of written) t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(statSync(join(directory, 'pending-dels')).mode & 0o777, 0o700);
  for (const entry of [...entries, ...entries]) removePendingDel(entry);
  t.strictSame(readdirSync(join(directory, 'pending-dels')), [], 'a second removal does nothing');
});

t.test('the same DEL is one file, another one another', async (t) => {
  const directory = temporaryDirectory(t);
  const first = writePendingDel([directory], del);
  t.equal(basename(first), '5b71638c5beead7e.json', 'the name that the head of pending.ts describes');
  t.equal(writePendingDel([directory], { ...del, requestedAt: 5 }), first);
  t.strictSame(listPendingDels([directory]).entries.map((entry) => entry.del.requestedAt), [5], 'the later one holds');
  const { network: _, ...nameless } = del;
  const others: readonly PendingDel[] = [{ ...del, network: 'red' }, { ...del, containerId: 'c2' }, { ...del, ifName: 'eth1' }, nameless];
  t.equal(new Set([first, ...others.map((one) => writePendingDel([directory], one))]).size, 5);
});

t.test('the first directory that takes it has it; none is an error with all reasons', async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  t.match(writePendingDel([join(file, 'a'), join(directory, 'b'), join(directory, 'c')], del), join(directory, 'b'));
  t.throws(() => readdirSync(join(directory, 'c')), { code: 'ENOENT' });
  t.throws(() => writePendingDel([join(file, 'a'), join(file, 'b')], del), { code: 'ioFailure', message: /container c1 eth0.*make one of .*file\/a, .*file\/b writable/ });
  t.throws(() => writePendingDel([], del), { code: 'ioFailure' });
  const { entries, unreadable } = listPendingDels([join(file, 'a'), join(directory, 'none'), join(directory, 'b')]);
  t.equal(entries.length, 1);
  t.strictSame(unreadable, []);
});

t.test('a folder takes at most 1024 files, and a known DEL still', async (t) => {
  const [directory, spare] = [temporaryDirectory(t), temporaryDirectory(t)];
  const path = writePendingDel([directory], del);
  for (let n = 1; n < 1024; n += 1) writeFileSync(join(directory, 'pending-dels', `${n}.json`), '');
  const late = { ...del, containerId: 'late' };
  t.throws(() => writePendingDel([directory], late), { code: 'ioFailure' });
  t.equal(writePendingDel([directory], del), path);
  t.match(writePendingDel([directory, spare], late), spare);
});

t.test('what is not a pending DEL is skipped, and told', async (t) => {
  const directory = temporaryDirectory(t);
  const folder = join(directory, 'pending-dels');
  const path = writePendingDel([directory], del);
  const rows: readonly [string, string, RegExp][] = [
    ['0empty', '', /JSON/], ['1cut', '{"version": 1, "contain', /JSON/], ['2array', '[]', /version must be 1/], ['3null', 'null', /JSON object/],
    ['4newer', '{"version":2,"containerId":"a","ifName":"b","requestedAt":1}', /version must be 1: current value is 2/],
    ['5nameless', '{"version":1,"ifName":"b","requestedAt":1}', /containerId must be text/],
    ['6number', '{"version":1,"containerId":7,"ifName":"b","requestedAt":1}', /containerId must be text: current value is 7/],
    ['7timeless', '{"version":1,"containerId":"a","ifName":"b"}', /requestedAt must be a whole number/],
  ];
  for (const [name, text] of rows) writeFileSync(join(folder, `${name}.json`), text);
  writeFileSync(join(folder, '8large.json'), '');
  truncateSync(join(folder, '8large.json'), 5 * 1024 * 1024);
  writeFileSync(join(folder, '.0123.77.tmp'), '{');
  mkdirSync(join(folder, '9folder.json'));
  symlinkSync('/dev/zero', join(folder, '9link.json'));
  spawnSync('mkfifo', [join(folder, '9fifo.json')]);
  const { entries, unreadable } = listPendingDels([directory]);
  t.strictSame(entries, [{ path, del }]);
  t.strictSame(unreadable.map((one) => basename(one.path)), [...rows.map(([name]) => `${name}.json`), '8large.json']);
  for (const [index, [name, , reason]] of rows.entries()) t.match(unreadable[index]?.reason, reason, name);
  t.match(unreadable.at(-1)?.reason, /at most 4194304 bytes/);
});

t.test('a folder that cannot be read is told', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'pending-dels'), '');
  t.match(listPendingDels([directory]), { entries: [], unreadable: [{ path: join(directory, 'pending-dels'), reason: /ENOTDIR/ }] });
});
