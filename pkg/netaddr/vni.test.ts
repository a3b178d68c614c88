import t from 'tap';
import { parseVni } from './netaddr.ts';

for (const value of [1, 1001, 16777215]) t.equal(parseVni(value), value, `${value} is a VNI`);

const refused: readonly (readonly [unknown, string])[] = [
  [0, '0'],
  [-1, '-1'],
  [16777216, '16777216'],
  [1.5, '1.5'],
  [NaN, 'NaN'],
  [Infinity, 'Infinity'],
  ['1001', '"1001"'],
  ['', '""'],
  [true, 'true'],
  [null, 'null'],
  [undefined, 'missing'],
  [1001n, '1001'],
];
for (const [value, shown] of refused) {
  t.throws(() => parseVni(value), { name: 'RangeError', message: `vni must be a whole number from 1 to 16777215: current value is ${shown}` });
}
t.throws(() => parseVni([1001]), RangeError);
t.throws(() => parseVni({}, 'tenants[0].vni'), { message: /^tenants\[0\]\.vni must be a whole number/ });
