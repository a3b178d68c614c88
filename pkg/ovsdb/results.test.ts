import t from 'tap';
import { abort, commitDurably, deleteRows, insertRow, mutateRows, requireRows, selectRows, updateRows, type Operation } from './operations.ts';
import { isOutcomeUnknown, isOvsdbError, OvsdbError } from './ovsdb-error.ts';
import { checkResults, countOf, insertedUuid, refusalOf, rowsOf } from './results.ts';

const garbled = { name: 'WeftError', kind: 'garbled' } as const;

const uuid = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const operations: readonly Operation[] = [
  requireRows('Bridge', { where: [['name', '==', 'br0']], columns: ['name'], rows: [{ name: 'br0' }] }),
  insertRow('Port', { name: 'p0' }, 'port'),
  mutateRows('Bridge', [], [['ports', 'insert', ['named-uuid', 'port']]]),
  commitDurably(),
];

t.test('operations are written as RFC 7047 §5.2 has them', async (t) => {
  t.strictSame(operations, [
    { op: 'wait', table: 'Bridge', until: '==', where: [['name', '==', 'br0']], columns: ['name'], rows: [{ name: 'br0' }], timeout: 0 },
    { op: 'insert', table: 'Port', row: { name: 'p0' }, 'uuid-name': 'port' },
    { op: 'mutate', table: 'Bridge', where: [], mutations: [['ports', 'insert', ['named-uuid', 'port']]] },
    { op: 'commit', durable: true },
  ]);
  t.strictSame(insertRow('Port', {}), { op: 'insert', table: 'Port', row: {} });
  t.strictSame(requireRows('Port', { where: [], columns: [], until: '!=', rows: [] }), { op: 'wait', table: 'Port', until: '!=', where: [], columns: [], rows: [], timeout: 0 });
  t.strictSame([selectRows('T', [], ['a']), updateRows('T', [], {}), deleteRows('T', []), abort()], [
    { op: 'select', table: 'T', where: [], columns: ['a'] }, { op: 'update', table: 'T', where: [], row: {} }, { op: 'delete', table: 'T', where: [] }, { op: 'abort' },
  ]);
});

t.test('the results of what was applied', async (t) => {
  const results = checkResults(operations, [{}, { uuid: ['uuid', uuid] }, { count: 1 }, {}]);
  t.equal(insertedUuid(results[1]), uuid);
  t.equal(countOf(results[2]), 1);
  t.strictSame(rowsOf({ rows: [{ name: 'a' }, {}] }, { name: 'string' }), [{ name: 'a' }, { name: '' }]);
});

t.test('a refusal names the operation, wherever it stands', async (t) => {
  t.throws(() => checkResults(operations, [{}, { error: 'constraint violation', details: 'why' }, null, null]), {
    kind: 'refused', refusal: 'constraint violation', operation: { index: 1, op: 'insert', table: 'Port' }, message: 'The OVSDB server refused to insert in the table Port: constraint violation: why',
  });
  t.throws(() => checkResults(operations, [{ error: 'timed out', details: 'test failed' }, null, null, null]), { kind: 'waitFailed', operation: { index: 0, op: 'wait', table: 'Bridge' }, message: /Bridge is not as expected/ });
  t.throws(() => checkResults(operations, [{ error: 'unknown table' }, null, null, null]), { name: 'WeftError', kind: 'refused' }, 'a wait that is wrong has not waited in vain');
  t.throws(() => checkResults(operations, [{}, { error: 'timed out' }, null, null]), { name: 'WeftError', kind: 'refused' }, 'and what is no wait neither');
  t.throws(() => checkResults(operations, [{}, {}, {}, { error: 'not supported' }]), { kind: 'refused', operation: { index: 3, op: 'commit' }, message: 'The OVSDB server refused to commit: not supported' });
});

t.test('constraints are refused in an element of their own', async (t) => {
  const results = [{}, {}, {}, {}, { error: 'referential integrity violation', details: 'why' }];
  t.throws(() => checkResults(operations, results), { kind: 'refused', operation: undefined, refusal: 'referential integrity violation', message: 'The OVSDB server refused: referential integrity violation: why' });
});

t.test('what is no result is refused', async (t) => {
  for (const results of [undefined, null, {}, 'x', [], [{}, {}, {}], [{}, {}, {}, null], [{}, {}, {}, {}, {}], [{}, 1, {}, {}]]) t.throws(() => checkResults(operations, results), garbled);
  for (const result of [undefined, {}, { uuid }, { uuid: ['uuid', 'x'] }]) t.throws(() => insertedUuid(result), garbled);
  for (const result of [undefined, {}, { count: '1' }]) t.throws(() => countOf(result), garbled);
  for (const result of [undefined, {}, { rows: {} }, { rows: [1] }, { rows: [{ name: 1 }] }]) t.throws(() => rowsOf(result, { name: 'string' }), garbled);
});

t.test('errors are told apart', async (t) => {
  const lost = new OvsdbError('outcomeUnknown', 'x');
  t.ok(isOutcomeUnknown(lost));
  t.notOk(isOutcomeUnknown(refusalOf('unknown database')));
  t.notOk(isOutcomeUnknown(new Error('outcomeUnknown')));
  t.ok(isOvsdbError(lost));
  t.ok(isOvsdbError(lost, 'refused', 'outcomeUnknown'));
  t.notOk(isOvsdbError(lost, 'refused'));
  t.match(refusalOf('unknown method'), { kind: 'refused', refusal: 'unknown method', message: 'The OVSDB server refused: unknown method' });
  t.match(refusalOf({ error: 'unknown database', syntax: '"x"' }), { refusal: 'unknown database', message: 'The OVSDB server refused: unknown database: "x"' });
});
