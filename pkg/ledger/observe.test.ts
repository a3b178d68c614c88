/** observeLedger(): whoever only looks changes nothing. */
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../testing/directory.ts';
import { observeLedger, type LedgerView } from './ledger.ts';
import { bootOne, bootTwo, openTestLedger, testAttachment } from './test-records.ts';

function observe(test: { teardown(undo: () => void): void }, directory: string): LedgerView {
  const view = observeLedger({ directory });
  if (view === undefined) throw new Error('there is no ledger');
  test.teardown(() => view.close());
  return view;
}

t.test('where there is no ledger, none is made', async (t) => {
  const directory = temporaryDirectory(t);
  t.equal(observeLedger({ directory }), undefined);
  t.same(readdirSync(directory), []);
  t.equal(observeLedger({ directory: join(directory, 'missing') }), undefined);
  t.notOk(existsSync(join(directory, 'missing')));
});

t.test('it sees what another has committed, meanwhile too', async (t) => {
  const directory = temporaryDirectory(t);
  const ledger = openTestLedger(t, directory);
  const view = observe(t, directory);
  t.equal(view.read((reader) => reader.countAttachments()), 0);
  ledger.write((tx) => tx.insertAttachment(testAttachment(1)));
  t.equal(view.read((reader) => reader.countAttachments()), 1);
  t.equal(view.readBootId(), bootOne);
});

t.test('after a reboot it leaves what the last boot left', async (t) => {
  const directory = temporaryDirectory(t);
  const before = openTestLedger(t, directory, bootOne);
  before.write((tx) => tx.insertAttachment(testAttachment(1)));
  before.close();
  const view = observe(t, directory);
  t.equal(view.readBootId(), bootOne);
  t.equal(view.read((reader) => reader.countAttachments()), 1);
  view.close();
  const first = openTestLedger(t, directory, bootTwo);
  t.same(first.takeDroppedFromLastBoot().map(({ key }) => key.containerId), ['container-1'], 'the first call after it still finds them');
  t.equal(observe(t, directory).readBootId(), bootTwo);
});

t.test('a ledger that cannot be read is no missing one', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'ledger.db'), 'noise');
  t.throws(() => observeLedger({ directory }), { name: 'WeftError', code: 'ledgerDamaged' });
  t.throws(() => observeLedger({ directory: join(directory, 'ledger.db') }), { name: 'WeftError', code: 'ioFailure' }, 'a file in the place of the directory');
});

t.test('a -wal without its ledger is said', async (t) => {
  const directory = temporaryDirectory(t);
  const ledger = openTestLedger(t, directory);
  ledger.write((tx) => tx.insertAttachment(testAttachment(1)));
  t.ok(existsSync(join(directory, 'ledger.db-wal')));
  renameSync(join(directory, 'ledger.db'), join(directory, 'aside'));
  t.throws(() => observeLedger({ directory }), { name: 'WeftError', code: 'ledgerDamaged', message: /its \S+-wal is there/ });
});
