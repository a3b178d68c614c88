import { spawnSync } from 'node:child_process';
import {
  chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync,
  writeFileSync, writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { getuid, pid } from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { temporaryDirectory } from '../testing/directory.ts';
import { errnoOf } from './failure.ts';
import { openLedger } from './ledger.ts';
import { applicationId, schemaVersion } from './schema.ts';
import { blueVni, bootOne, bootTwo, openTestLedger, testAttachment, testIdentity } from './test-records.ts';

const pageBytes = 4096;

t.test('a ledger is made where there is none, for its owner only, and nothing is left beside it', async (t) => {
  const directory = join(temporaryDirectory(t), 'a b%3f?#', 'state');
  openLedger({ directory, bootId: bootOne }).close();
  t.strictSame(readdirSync(directory), ['ledger.db']);
  t.equal(statSync(directory).mode & 0o777, 0o700);
  t.equal(statSync(join(directory, 'ledger.db')).mode & 0o777, 0o600);
  const again = openTestLedger(t, directory);
  again.write((tx) => tx.insertAttachment(testAttachment(1)));
  t.equal(statSync(join(directory, 'ledger.db-wal')).mode & 0o777, 0o600);
});

t.test('a directory that is there keeps its mode', async (t) => {
  const directory = temporaryDirectory(t);
  chmodSync(directory, 0o750);
  openTestLedger(t, directory);
  t.equal(statSync(directory).mode & 0o777, 0o750);
});

const refused: readonly { name: string; code: string; message: RegExp; spoil: (path: string) => void }[] = [
  { name: 'a text file', code: 'ledgerDamaged', message: /does not begin as an SQLite database/, spoil: (path) => writeFileSync(path, 'hello\n'.repeat(100)) },
  { name: 'an empty file', code: 'ledgerDamaged', message: /does not begin/, spoil: (path) => truncateSync(path, 0) },
  { name: 'a truncated header', code: 'ledgerDamaged', message: /does not begin/, spoil: (path) => truncateSync(path, 60) },
  { name: 'only the header', code: 'ledgerDamaged', message: /damaged/, spoil: (path) => truncateSync(path, 100) },
  { name: 'only the first page', code: 'ledgerDamaged', message: /damaged/, spoil: (path) => truncateSync(path, pageBytes) },
  { name: 'a zeroed first page', code: 'ledgerDamaged', message: /does not begin/, spoil: (path) => zeroPage(path, 0) },
  { name: "somebody else's database", code: 'ledgerDamaged', message: /not weft's ledger/, spoil: (path) => foreignDatabase(path, '') },
  { name: "somebody else's in WAL mode", code: 'ledgerDamaged', message: /not weft's ledger/, spoil: (path) => foreignDatabase(path, 'PRAGMA journal_mode = WAL') },
  { name: 'ours without the tables', code: 'ledgerDamaged', message: /no such table/, spoil: (path) => foreignDatabase(path, `PRAGMA application_id = ${applicationId}`) },
  { name: 'a newer version', code: 'ledgerNewer', message: new RegExp(`has version ${schemaVersion + 1}`), spoil: (path) => inDatabase(path, `PRAGMA user_version = ${schemaVersion + 1}`) },
  { name: 'an empty table boot', code: 'ledgerDamaged', message: /table boot is empty/, spoil: (path) => inDatabase(path, 'DELETE FROM boot') },
];

for (const { name, code, message, spoil } of refused) {
  t.test(`openLedger() refuses ${name} and leaves it as it is`, async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'ledger.db');
    openLedger({ directory, bootId: bootOne }).close();
    spoil(path);
    const before = readFileSync(path);
    t.throws(() => openLedger({ directory, bootId: bootTwo }), { code, message });
    t.ok(readFileSync(path).equals(before), 'byte for byte');
    t.strictSame(readdirSync(directory), ['ledger.db'], 'and nothing beside it');
  });
}

t.test('damage is told with what to do about it', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'ledger.db'), 'x');
  t.match(thrownBy(() => openLedger({ directory, bootId: bootOne })), { details: /move ledger\.db, ledger\.db-wal and ledger\.db-shm aside.*What is lost/ });
});

t.test('a zeroed page is found when it is read, whichever it is', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'ledger.db');
  const filled = openLedger({ directory, bootId: bootOne });
  filled.write((tx) => {
    for (let n = 0; n < 40; n += 1) {
      tx.insertAttachment(testAttachment(n, { conf: JSON.stringify({ padding: 'x'.repeat(400) }) }));
      tx.putIdentity(testIdentity(`e${n}`, { mac: testAttachment(1000 + n).mac, addresses: [] }));
    }
  });
  filled.close();
  const whole = readFileSync(path);
  const pages = whole.length / pageBytes;
  t.ok(pages > 20, `${pages} pages`);
  let found = 0;
  for (let page = 1; page < pages; page += 1) {
    writeFileSync(path, whole);
    zeroPage(path, page);
    const code = codeOf(() => {
      const ledger = openLedger({ directory, bootId: bootOne });
      try {
        readAll(ledger);
      } finally {
        ledger.close();
      }
    });
    t.ok(code === undefined || code === 'ledgerDamaged', `page ${page}: ${code ?? 'not needed'}`);
    if (code !== undefined) found += 1;
  }
  t.ok(found > pages / 2, `${found} of ${pages} pages are needed for reading all`);
});

t.test('a row that weft did not write is damage, not a crash', async (t) => {
  const statements = [
    "UPDATE attachment SET mac = 'nonsense'", "UPDATE attachment SET port = '{'", "UPDATE attachment SET port = '[]'",
    "UPDATE attachment SET port = '{}'", 'UPDATE attachment SET vni = 0', 'UPDATE attachment SET created_at = 9007199254740993',
    "UPDATE attachment SET port = json_set(port, '$.addresses[0]', 5)", "UPDATE attachment SET port = json_set(port, '$.routes[0]', 5)",
    "UPDATE attachment SET port = json_set(port, '$.mtu', 1.5)", "UPDATE attachment SET port = json_set(port, '$.routes[0].dst', '10.0.0.1/8')",
    "UPDATE allocation SET address = x'04'", "UPDATE allocation SET address = x'0601020304'", "UPDATE identity SET mac = ''",
    "UPDATE identity_address SET address = x''",
  ];
  for (const sql of statements) {
    const directory = temporaryDirectory(t);
    const ledger = openTestLedger(t, directory);
    ledger.write((tx) => {
      const { seq } = tx.insertAttachment(testAttachment(1));
      tx.insertAllocation({ vni: blueVni, address: { family: 4, value: 5n }, seq, rangeSet: 0 });
      tx.putIdentity(testIdentity('a'));
    });
    readAll(ledger);
    ledger.close();
    inDatabase(join(directory, 'ledger.db'), sql);
    t.equal(codeOf(() => readAll(openTestLedger(t, directory))), 'ledgerDamaged', sql);
  }
});

t.test('a ledger that was moved aside without its -wal is not begun anew over it', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'ledger.db');
  const ledger = openTestLedger(t, directory);
  ledger.write((tx) => tx.insertAttachment(testAttachment(1)));
  renameSync(path, `${path}.bad`);
  t.throws(() => openLedger({ directory, bootId: bootOne }), { code: 'ledgerDamaged', message: /ledger\.db-wal is there/ });
  rmSync(`${path}-wal`);
  rmSync(`${path}-shm`);
  t.equal(openTestLedger(t, directory).read((reader) => reader.countAttachments()), 0);
});

t.test('a ledger restored in rollback mode is used in WAL mode again', async (t) => {
  const directory = temporaryDirectory(t);
  openLedger({ directory, bootId: bootOne }).close();
  inDatabase(join(directory, 'ledger.db'), 'PRAGMA journal_mode = DELETE');
  const ledger = openTestLedger(t, directory);
  ledger.write((tx) => tx.insertAttachment(testAttachment(1)));
  t.ok(existsSync(join(directory, 'ledger.db-wal')));
});

t.test('a ledger that a newer weft takes over while it is open is let alone from then on', async (t) => {
  const directory = temporaryDirectory(t);
  const ledger = openTestLedger(t, directory);
  inDatabase(join(directory, 'ledger.db'), `PRAGMA user_version = ${schemaVersion + 1}`);
  t.throws(() => ledger.write(() => t.fail('entered')), { code: 'ledgerNewer' });
  t.throws(() => ledger.read(() => t.fail('entered')), { code: 'ledgerNewer' });
});

t.test('a second ledger in the process leaves the first one its locks', async (t) => {
  const directory = temporaryDirectory(t);
  openTestLedger(t, directory);
  const { ino } = statSync(join(directory, 'ledger.db'));
  const ourLock = new RegExp(`POSIX .* ${pid} [0-9a-f]+:[0-9a-f]+:${ino} `);
  t.match(readFileSync('/proc/locks', 'latin1'), ourLock, 'the first');
  openTestLedger(t, directory).close();
  t.match(readFileSync('/proc/locks', 'latin1'), ourLock, 'after the second');
});

t.test('a directory that cannot be used is an ioFailure that names it', async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  t.throws(() => openLedger({ directory: join(file, 'state'), bootId: bootOne }), { code: 'ioFailure', message: /file\/state/ });
  mkdirSync(join(directory, 'd', 'ledger.db'), { recursive: true });
  t.throws(() => openLedger({ directory: join(directory, 'd'), bootId: bootOne }), { code: 'ioFailure', message: /d\/ledger\.db/ });
});

const cannotMount = getuid?.() === 0 ? false : 'mounting a tmpfs needs root';

t.test('a full disk is an ioFailure that says so, and what was there stays', { skip: cannotMount }, async (t) => {
  const directory = mountTmpfs(t, 'size=1m');
  const filler = join(directory, 'filler');
  writeUntilFull(filler);
  t.throws(() => openLedger({ directory, bootId: bootOne }), { code: 'ioFailure', message: /disk is full/ }, 'at the first opening');
  t.strictSame(readdirSync(directory), ['filler'], 'no half-made ledger');
  rmSync(filler);
  const ledger = openTestLedger(t, directory);
  ledger.write((tx) => tx.insertAttachment(testAttachment(1)));
  writeUntilFull(filler);
  const large = testAttachment(2, { conf: 'x'.repeat(20_000) });
  t.throws(() => ledger.write((tx) => tx.insertAttachment(large)), { code: 'ioFailure', message: /disk is full/ }, 'at a write');
  t.equal(ledger.read((reader) => reader.countAttachments()), 1);
  ledger.close();
  writeUntilFull(`${filler}2`); // What the -wal and -shm have left.
  t.throws(() => openLedger({ directory, bootId: bootOne }), { code: 'ioFailure', message: /disk is full/ }, 'at a later opening');
  rmSync(filler);
  openTestLedger(t, directory).write((tx) => t.equal(tx.insertAttachment(large).seq, 2, 'and once there is space again it goes on'));
});

t.test('a read-only file system is an ioFailure', { skip: cannotMount }, async (t) => {
  const directory = mountTmpfs(t, 'size=1m');
  remount(directory, 'ro');
  t.throws(() => openLedger({ directory, bootId: bootOne }), { code: 'ioFailure', message: /ledger\.db/ }, 'without a ledger');
  remount(directory, 'rw');
  openLedger({ directory, bootId: bootOne }).close();
  remount(directory, 'ro');
  const code = codeOf(() => openTestLedger(t, directory).write((tx) => tx.insertAttachment(testAttachment(1))));
  t.equal(code, 'ioFailure', 'with one');
});

function readAll(ledger: ReturnType<typeof openLedger>): void {
  ledger.read((reader) => {
    for (const { key } of reader.listAttachments()) reader.findAttachment(key);
    for (const { mac } of reader.listIdentities()) reader.findIdentityByMac(blueVni, mac);
    reader.listAllocations({ vni: blueVni });
    reader.listSegments();
  });
}

function codeOf(act: () => void): unknown {
  const error = thrownBy(act);
  return error instanceof Error && 'code' in error ? error.code : error;
}

function thrownBy(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}

function inDatabase(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

function foreignDatabase(path: string, sql: string): void {
  rmSync(path);
  inDatabase(path, `${sql}; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)`);
}

function zeroPage(path: string, page: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(pageBytes), 0, pageBytes, page * pageBytes);
  closeSync(fd);
}

function mountTmpfs(test: { teardown(undo: () => void): void }, options: string): string {
  const directory = temporaryDirectory(test);
  mount(['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  test.teardown(() => spawnSync('umount', ['--lazy', directory]));
  return directory;
}

function remount(directory: string, mode: 'ro' | 'rw'): void {
  mount(['-o', `remount,${mode}`, directory]);
}

function mount(args: readonly string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`);
}

function writeUntilFull(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (;;) writeSync(fd, Buffer.alloc(pageBytes));
  } catch (error) {
    if (errnoOf(error) !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
}
