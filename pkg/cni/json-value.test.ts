import t from 'tap';
import { isAbsent, isJsonObject, showValue } from './json-value.ts';

const rows: readonly (readonly [unknown, string])[] = [
  [undefined, 'missing'],
  [null, 'null'],
  ['', '""'],
  ['a"\n\0', '"a\\"\\n\\u0000"'],
  [0, '0'],
  [false, 'false'],
  [[], 'an array'],
  [{}, 'an object'],
  ['x'.repeat(78), `"${'x'.repeat(78)}"`],
  ['x'.repeat(79), `"${'x'.repeat(79)}…`],
];
for (const [value, shown] of rows) t.equal(showValue(value), shown);

t.ok(isJsonObject({}));
for (const value of [null, undefined, [], '', 1]) t.notOk(isJsonObject(value), `${showValue(value)} is no object`);
for (const value of [null, undefined]) t.ok(isAbsent(value), `${showValue(value)} is absent`);
for (const value of ['', 0, false, [], {}]) t.notOk(isAbsent(value), `${showValue(value)} is not absent`);
