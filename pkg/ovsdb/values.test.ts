import t from 'tap';
import { decodeRow, decodeValue, mapOf, namedUuid, parseUuid, setOf, shapeOf, uuidAtom, type ColumnType } from './values.ts';

const garbled = { name: 'WeftError', kind: 'garbled' } as const;

const one = parseUuid('3f2504e0-4f89-41d3-9a0c-0305e82c3301');
const two = parseUuid('3f2504e0-4f89-41d3-9a0c-0305e82c3302');

t.test('values are written as RFC 7047 §5.1 has them', async (t) => {
  t.strictSame(setOf([]), ['set', []]);
  t.strictSame(setOf(['a']), 'a', 'exactly one element stands for itself');
  t.strictSame(setOf([uuidAtom(one)]), ['uuid', one]);
  t.strictSame(setOf([false]), false);
  t.strictSame(setOf(new Set([1, 2])), ['set', [1, 2]]);
  t.strictSame(mapOf({ a: 'b', c: 1 }), ['map', [['a', 'b'], ['c', 1]]]);
  t.strictSame(mapOf({}), ['map', []]);
  t.strictSame(mapOf(new Map([[1, uuidAtom(two)]])), ['map', [[1, ['uuid', two]]]]);
  t.strictSame(namedUuid('row'), ['named-uuid', 'row']);
});

t.test('values are read as the type has them', async (t) => {
  const rows: readonly (readonly [ColumnType, unknown, unknown])[] = [
    ['integer', -1, -1],
    ['real', 1.5, 1.5],
    ['boolean', false, false],
    ['string', 'set', 'set'],
    ['uuid', ['uuid', one], one],
    ['integer?', ['set', []], undefined],
    ['integer?', 7, 7],
    ['integer?', ['set', [7]], 7],
    ['uuid?', ['uuid', one], one],
    ['string[]', ['set', []], new Set()],
    ['string[]', 'a', new Set(['a'])],
    ['string[]', ['set', ['a', 'b']], new Set(['a', 'b'])],
    ['uuid[]', ['uuid', one], new Set([one])],
    ['uuid[]', ['set', [['uuid', one], ['uuid', two]]], new Set([one, two])],
    ['string=>string', ['map', []], new Map()],
    ['string=>string', ['map', [['a', 'b']]], new Map([['a', 'b']])],
    ['integer=>uuid', ['map', [[0, ['uuid', one]]]], new Map([[0, one]])],
  ];
  for (const [type, value, decoded] of rows) t.strictSame(decodeValue(type, value), decoded, `${type} ${JSON.stringify(value)}`);
});

t.test('a column that is left out has its default', async (t) => {
  const rows: readonly (readonly [ColumnType, unknown])[] = [
    ['integer', 0], ['real', 0], ['boolean', false], ['string', ''], ['uuid', '00000000-0000-0000-0000-000000000000'],
    ['string?', undefined], ['string[]', new Set()], ['string=>string', new Map()],
  ];
  for (const [type, value] of rows) t.strictSame(decodeValue(type, undefined), value, type);
});

t.test('a value of another type is refused', async (t) => {
  const rows: readonly (readonly [ColumnType, unknown])[] = [
    ['integer', '1'], ['integer', 1.5], ['integer', ['set', [1]]], ['string', 1], ['boolean', 0], ['real', null], ['uuid', one], ['uuid', ['uuid', 'x']],
    ['uuid', ['named-uuid', 'x']], ['integer?', ['set', [1, 2]]], ['string[]', ['set']], ['string[]', ['set', 'a']], ['string[]', ['map', []]],
    ['string[]', ['set', ['a', 1]]], ['string=>string', ['set', []]], ['string=>string', ['map', [['a']]]], ['string=>string', ['map', [['a', 1]]]], ['string=>string', 'a'],
    ['string=>string', ['map', [], []]], ['string', null],
  ];
  for (const [type, value] of rows) t.throws(() => decodeValue(type, value), garbled, `${type} ${JSON.stringify(value)}`);
});

t.test('a row has the columns that were asked for', async (t) => {
  const row = decodeRow({ name: 'string', ofport: 'integer?', external_ids: 'string=>string' }, { name: 'v0', other: 'x' });
  t.strictSame(row, { name: 'v0', ofport: undefined, external_ids: new Map() });
  t.throws(() => decodeRow({ ofport: 'integer?' }, { ofport: 'x' }), { kind: 'garbled', message: /"ofport"/ });
});

t.test('a UUID is one', async (t) => {
  for (const text of ['', 'x', one.toUpperCase(), `${one} `, `x${one}`, undefined, 7]) t.throws(() => parseUuid(text), garbled, String(text));
});

t.test('a type has its parts', async (t) => {
  t.strictSame(shapeOf('integer=>uuid'), { kind: 'map', key: 'integer', value: 'uuid' });
  t.strictSame(shapeOf('string?'), { kind: 'optional', key: 'string', value: 'string' });
});
