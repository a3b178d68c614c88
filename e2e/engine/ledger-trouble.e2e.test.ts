/** A ledger that cannot be used: it is never overwritten, every verb says so, and DEL is done all the same, in the end. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readLinks } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { mounting, mountingExecutable, runDirectoryReadOnly, stateDirectoryFull, stateDirectoryNoExec, stateDirectoryReadOnly } from './mount-namespace.ts';
import { done, refused, succeeded } from './outcomes.ts';
import { addressesOf, createSite, hasHostIf, newcomer, rangeOf } from './site.ts';

const skip = skipWithoutLab();

interface Trouble {
  readonly name: string;
  /** The file's content, made of the good one's. */
  readonly spoil: (good: Buffer) => Buffer;
  readonly code: number;
  readonly words: RegExp;
}

/** Where SQLite keeps user_version, which holds the ledger's version (https://sqlite.org/fileformat2.html, 1.3). */
const userVersionOffset = 60;
const applicationIdOffset = 68;

const troubles: readonly Trouble[] = [
  { name: 'is empty', spoil: () => Buffer.alloc(0), code: 105, words: /the ledger \S+ledger\.db is damaged: it does not begin as an SQLite database does/ },
  { name: 'is something else', spoil: () => Buffer.from('not a ledger\n'.repeat(1000)), code: 105, words: /ledger\.db is damaged/ },
  { name: 'has a damaged header', spoil: (good) => Buffer.concat([Buffer.alloc(16), good.subarray(16)]), code: 105, words: /ledger\.db is damaged/ },
  { name: 'was cut off', spoil: (good) => good.subarray(0, 4096), code: 105, words: /ledger\.db is damaged/ },
  { name: 'has noise in its pages', spoil: (good) => Buffer.concat([good.subarray(0, 100), Buffer.alloc(good.length - 100, 0xa5)]), code: 105, words: /ledger\.db is damaged/ },
  { name: "is somebody else's database", spoil: (good) => patched(good, applicationIdOffset, 7), code: 105, words: /ledger\.db is an SQLite database, but not weft's ledger/ },
  { name: 'is of a newer weft', spoil: (good) => patched(good, userVersionOffset, 99), code: 106, words: /ledger\.db has version 99, and this weft knows versions up to 1: install/ },
];

testEachDatapath('a ledger that', async (t, datapath) => {
  for (const trouble of troubles) {
    await t.test(trouble.name, async (t) => {
      const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10') });
      const { node, conf } = site;
      const empty = node.snapshot();
      const attached = await site.lab.attach(node, { label: 'attached', conf });
      const putBack = spoilLedger(node, trouble.spoil);
      const spoiled = digestLedger(node);
      const next = newcomer(site, 'next');

      const before = node.snapshot();
      const added = await node.add(next);
      t.match(added, refused(trouble.code, trouble.words), `ADD: ${describeOutcome(added)}`);
      t.match(await node.check(attached.attach, attached.result), refused(trouble.code, trouble.words), 'CHECK');
      t.match(await node.status(conf), refused(50, trouble.words), 'STATUS');
      t.match(await node.gc(conf, []), refused(trouble.code, trouble.words), 'GC');
      t.same(node.snapshot(), before, 'nothing was done');

      const deleted = await node.del(attached.attach);
      t.match(deleted, done, 'DEL succeeds');
      t.match(deleted.stderr, /DEL of container attached-\S+ is written down for later: /);
      t.notOk(hasHostIf(node, attached), 'the container has no network any more');
      t.match(await node.del(attached.attach), done, 'a second DEL');
      t.same(pendingDels(node), [attached.attach.containerId], 'it is written down, once');
      t.equal(digestLedger(node), spoiled, 'the file is as it was');

      putBack();
      const after = await node.add(next);
      t.same(addressesOf(after), addressesOf(attached), `when the ledger is back the DEL is done first, and its address is free: ${describeOutcome(after)}`);
      t.same(pendingDels(node), []);
      t.match(await node.del(next), done);
      t.same(node.snapshot(), empty);
    });
  }
}, { timeout: 90_000 });

testEachDatapath('a disk that takes nothing', async (t, datapath) => {
  for (const [name, commands] of [['full', stateDirectoryFull], ['read-only', stateDirectoryReadOnly]] as const) {
    await t.test(name, async (t) => {
      const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10'), executable: mountingExecutable(t) });
      const { node, conf } = site;
      const empty = node.snapshot();
      const attached = await site.lab.attach(node, { label: 'attached', conf });
      const deleted = await node.call({ env: mounting(commands, 'DEL', attached.attach), stdin: JSON.stringify(conf) });
      t.match(deleted, done, describeOutcome(deleted));
      t.notOk(hasHostIf(node, attached), 'the container has no network any more');
      t.same(pendingDels(node, 'run'), [attached.attach.containerId], 'the DEL is written down in the run directory');
      const next = newcomer(site, 'next');
      t.match(await node.add(next), succeeded, 'and done when there is room again');
      t.same(pendingDels(node, 'run'), []);
      t.match(await node.del(next), done);
      t.same(node.snapshot(), empty);
    });
  }
});

testEachDatapath('no ledger yet, and a disk that takes nothing', async (t, datapath) => {
  const site = await createSite(t, { datapath, executable: mountingExecutable(t) });
  const { node, conf } = site;
  const empty = node.snapshot();
  for (const [commands, words] of [[stateDirectoryFull, /disk is full/], [stateDirectoryReadOnly, /read-only file system/]] as const) {
    const attach = newcomer(site, 'first');
    const added = await node.call({ env: mounting(commands, 'ADD', attach), stdin: JSON.stringify(conf) });
    t.match(added, refused(5, words), `ADD: ${describeOutcome(added)}`);
    t.equal(readLinks(attach.netns).length, 1);
    t.match(await node.call({ env: mounting(commands, 'DEL', attach), stdin: JSON.stringify(conf) }), done, 'DEL');
    t.same(node.snapshot(), empty, 'nothing is left');
  }
});

testEachDatapath('a DEL that nobody can write down', async (t, datapath) => {
  const site = await createSite(t, { datapath, executable: mountingExecutable(t) });
  const { node, conf } = site;
  const attached = await site.lab.attach(node, { label: 'attached', conf });
  const commands = `${stateDirectoryReadOnly}\n${runDirectoryReadOnly}`;
  const deleted = await node.call({ env: mounting(commands, 'DEL', attached.attach), stdin: JSON.stringify(conf) });
  t.match(deleted, refused(5, /the DEL of container attached-\S+ eth0 cannot be written down for later: make one of \S+state, \S+run writable/), describeOutcome(deleted));
  t.notOk(hasHostIf(node, attached), 'the container has no network all the same');
  t.match(await node.del(attached.attach), done, 'the runtime tries again');
});

t.test('a state directory on a file system without execution', { skip }, async (t) => {
  const site = await createSite(t, { executable: mountingExecutable(t) });
  const attach = newcomer(site, 'one');
  const added = await site.node.call({ env: mounting(stateDirectoryNoExec, 'ADD', attach), stdin: JSON.stringify(site.conf) });
  t.match(added, succeeded, `the run directory serves for what must be executed: ${describeOutcome(added)}`);
  t.match(await site.node.check(attach, added.result), done);
});

function patched(good: Buffer, offset: number, value: number): Buffer {
  const copy = Buffer.from(good);
  copy.writeUInt32BE(value, offset);
  return copy;
}

/** Puts a spoiled ledger into the good one's place. @returns what puts the good one back */
function spoilLedger({ stateDirectory }: LabNode, spoil: (good: Buffer) => Buffer): () => void {
  const aside = join(stateDirectory, 'aside');
  const ledger = join(stateDirectory, 'ledger.db');
  mkdirSync(aside);
  const names = readdirSync(stateDirectory).filter((name) => name.startsWith('ledger.db'));
  for (const name of names) renameSync(join(stateDirectory, name), join(aside, name));
  writeFileSync(ledger, spoil(readFileSync(join(aside, 'ledger.db'))));
  return () => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${ledger}${suffix}`, { force: true });
    for (const name of names) renameSync(join(aside, name), join(stateDirectory, name));
  };
}

function digestLedger({ stateDirectory }: LabNode): string {
  return createHash('sha256').update(readFileSync(join(stateDirectory, 'ledger.db'))).digest('hex');
}

/** Container IDs of the DELs that are written down. */
function pendingDels({ stateDirectory }: LabNode, directory: 'state' | 'run' = 'state'): readonly string[] {
  const folder = join(stateDirectory, '..', directory, 'pending-dels');
  try {
    return readdirSync(folder).map((name) => (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { containerId: string }).containerId);
  } catch {
    return [];
  }
}
