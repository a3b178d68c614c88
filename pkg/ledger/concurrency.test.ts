/** Many processes on one ledger, and processes killed at any instant. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import type { Ledger } from './ledger.ts';
import { blueVni, bootTwo, openTestLedger, testAttachment } from './test-records.ts';

const child = fileURLToPath(new URL('test-child.ts', import.meta.url));
const processes = 32;
const attachmentsEach = 8;
const kills = 40;
const churning = 4;
/** Longest life of a process once it runs, in milliseconds: longer than it takes to make the ledger. */
const lifeMsMax = 150;
/** On a busy machine the killed may have done little: then there are more of them, up to so many rounds. */
const roundsMax = 100;

t.test(`${processes} processes on a new ledger give no address twice`, async (t) => {
  const directory = temporaryDirectory(t);
  await attachTogether(t, directory);
  t.strictSame(readdirSync(directory), ['ledger.db'], 'no draft is left, and the last to close removes the -wal');
  checkAllAttached(t, openTestLedger(t, directory));
});

t.test(`${processes} processes on the last boot's ledger drop that boot once, and nothing of their own`, async (t) => {
  const directory = temporaryDirectory(t);
  openTestLedger(t, directory, bootTwo).write((tx) => {
    const { seq } = tx.insertAttachment(testAttachment(0));
    tx.insertAllocation({ vni: blueVni, address: parseAddress('10.1.255.255'), seq, rangeSet: 0 });
  });
  await attachTogether(t, directory);
  checkAllAttached(t, openTestLedger(t, directory));
});

t.test(`${kills} processes killed at random instants leave a ledger that is whole`, async (t) => {
  const seed = Number(env['WEFT_TEST_SEED'] ?? Date.now() % 1_000_000);
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomNumbers(seed);
  const directory = temporaryDirectory(t);
  let commits = 0;
  for (let round = 0; round < kills / churning || (commits <= kills && round < roundsMax); round += 1) {
    const children = Array.from({ length: churning }, (_, n) => start('churn', directory, String(round * churning + n)));
    await Promise.all(children.map((process) => killAfter(process, Math.floor(random() * lifeMsMax))));
    const ledger = openTestLedger(t, directory);
    t.strictSame(faults(directory), [], `round ${round}: consistent`);
    commits = ledger.write((tx) => {
      const { seq } = tx.insertAttachment(testAttachment(60_000 + round));
      tx.deleteAttachment(seq);
      return seq;
    });
    ledger.close();
  }
  t.ok(commits > kills, `${commits} attachments were made and partly removed meanwhile`);
});

async function attachTogether(t: Test, directory: string): Promise<void> {
  const children = Array.from({ length: processes }, (_, n) => start('attach', directory, String(n), String(attachmentsEach)));
  const exits = Promise.all(children.map(exitOf));
  await Promise.all(children.map((process) => once(process.stdout, 'data')));
  for (const process of children) process.stdin.end();
  t.strictSame(await exits, children.map(() => ({ code: 0, errors: '' })), 'every process succeeds');
}

function checkAllAttached(t: Test, ledger: Ledger): void {
  const addresses = takenAddresses(ledger);
  t.equal(addresses.length, processes * attachmentsEach, 'as many addresses as were given');
  t.equal(new Set(addresses).size, addresses.length, 'all different');
  t.equal(ledger.read((reader) => reader.countAttachments()), addresses.length, 'as many attachments');
}

function start(...args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(execPath, [child, ...args]);
}

async function exitOf(process: ChildProcessWithoutNullStreams): Promise<{ readonly code: unknown; readonly errors: string }> {
  let errors = '';
  process.stderr.on('data', (chunk) => { errors += String(chunk); });
  const [code] = await once(process, 'close');
  return { code, errors };
}

/** Counted from when the process says that it runs: starting takes as long as the machine is busy. */
async function killAfter(process: ChildProcessWithoutNullStreams, ms: number): Promise<void> {
  const closed = once(process, 'close');
  await once(process.stdout, 'data');
  const timer = setTimeout(() => process.kill('SIGKILL'), ms);
  await closed;
  clearTimeout(timer);
}

function takenAddresses(ledger: Ledger): readonly string[] {
  return ledger.read((reader) => reader.listAllocations({ vni: blueVni }).map(({ address }) => formatAddress(address)));
}

/** What SQLite itself finds wrong in the file, and allocations that are not one to an attachment. */
function faults(directory: string): readonly unknown[] {
  const db = new DatabaseSync(join(directory, 'ledger.db'));
  try {
    return [
      ...db.prepare('PRAGMA integrity_check').all().filter((row) => row['integrity_check'] !== 'ok'),
      ...db.prepare('PRAGMA foreign_key_check').all(),
      ...db.prepare('SELECT seq FROM attachment WHERE (SELECT count(*) FROM allocation WHERE allocation.seq = attachment.seq) <> 1').all(),
    ];
  } finally {
    db.close();
  }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
