import t from 'tap';
import { Replica } from './replica.ts';
import { parseUuid } from './values.ts';

const garbled = { name: 'WeftError', kind: 'garbled' } as const;

const port = parseUuid('3f2504e0-4f89-41d3-9a0c-0305e82c3301');
const other = parseUuid('3f2504e0-4f89-41d3-9a0c-0305e82c3302');
const tables = { Port: { columns: { name: 'string', tag: 'integer?', trunks: 'integer[]', external_ids: 'string=>string' } }, Bridge: { columns: { name: 'string' } } } as const;
const empty = { name: '', tag: undefined, trunks: new Set(), external_ids: new Map() };

t.test('update2 has differences', async (t) => {
  const replica = new Replica(tables);
  const steps: readonly (readonly [object, object | undefined])[] = [
    [{ initial: { name: 'p0' } }, { ...empty, name: 'p0' }],
    [{ modify: { tag: 5 } }, { ...empty, name: 'p0', tag: 5 }],
    [{ modify: { tag: 6 } }, { ...empty, name: 'p0', tag: 6 }],
    [{ modify: { tag: ['set', []] } }, { ...empty, name: 'p0' }],
    [{ modify: { trunks: 1 } }, { ...empty, name: 'p0', trunks: new Set([1]) }],
    [{ modify: { trunks: ['set', [1, 2, 3]] } }, { ...empty, name: 'p0', trunks: new Set([2, 3]) }],
    [{ modify: { trunks: 2, external_ids: ['map', [['a', '1'], ['b', '2']]] } }, { ...empty, name: 'p0', trunks: new Set([3]), external_ids: new Map([['a', '1'], ['b', '2']]) }],
    [{ modify: { external_ids: ['map', [['a', '1'], ['b', '3'], ['c', '4']]] } }, { ...empty, name: 'p0', trunks: new Set([3]), external_ids: new Map([['b', '3'], ['c', '4']]) }],
    [{ modify: { unasked: 1 } }, { ...empty, name: 'p0', trunks: new Set([3]), external_ids: new Map([['b', '3'], ['c', '4']]) }],
    [{ delete: null }, undefined],
    [{ insert: { name: 'p1' } }, { ...empty, name: 'p1' }],
  ];
  let before: unknown;
  for (const [update, after] of steps) {
    const changes = replica.apply({ Port: { [port]: update } }, 'update2');
    t.strictSame(replica.table('Port').get(port), after, JSON.stringify(update));
    const change = { table: 'Port', uuid: port, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
    t.strictSame(changes, [change]);
    before = after;
  }
});

t.test('update has whole rows', async (t) => {
  const replica = new Replica(tables);
  t.strictSame(replica.apply({ Port: { [port]: { new: { name: 'p0', tag: ['set', []] } } }, Bridge: { [other]: { new: { name: 'br0' } } } }, 'update'), [
    { table: 'Port', uuid: port, after: { ...empty, name: 'p0' } },
    { table: 'Bridge', uuid: other, after: { name: 'br0' } },
  ]);
  replica.apply({ Port: { [port]: { old: { tag: ['set', []] }, new: { name: 'p0', tag: 3 } } } }, 'update');
  t.strictSame(replica.table('Port').get(port), { ...empty, name: 'p0', tag: 3 });
  replica.apply({ Port: { [port]: { old: { name: 'p0' } } } }, 'update');
  t.equal(replica.table('Port').size, 0);
  t.equal(replica.table('Bridge').size, 1);
});

t.test('a row that was read stays as it was, and the table is always the same', async (t) => {
  const replica = new Replica(tables);
  const rows = replica.table('Port');
  replica.apply({ Port: { [port]: { initial: { trunks: 1 } } } }, 'update2');
  const read = rows.get(port);
  replica.apply({ Port: { [port]: { modify: { trunks: 2 } } } }, 'update2');
  t.strictSame(read?.trunks, new Set([1]));
  t.strictSame(rows.get(port)?.trunks, new Set([1, 2]));
  replica.clear();
  t.equal(rows.size, 0);
  t.equal(replica.table('Port'), rows);
});

t.test('to delete what is not there is no change', async (t) => {
  t.strictSame(new Replica(tables).apply({ Port: { [port]: { delete: null } } }, 'update2'), []);
});

t.test('what is no update is refused', async (t) => {
  const wrong = [null, [], 'x', { Mirror: {} }, { Port: null }, { Port: { x: { initial: {} } } }, { Port: { [port]: null } }, { Port: { [port]: {} } }, { Port: { [port]: { modify: {} } } }, { Port: { [port]: { insert: { name: 7 } } } }];
  for (const updates of wrong) t.throws(() => new Replica(tables).apply(updates, 'update2'), garbled, JSON.stringify(updates));
});
