import t from 'tap';
import { decodeMessage, encodeMessage } from './protobuf.ts';

t.test('encodeMessage writes the examples of the specification', async (t) => {
  t.equal(encodeMessage([[1, 150]]).toString('hex'), '089601');
  t.equal(encodeMessage([[2, 'testing']]).toString('hex'), '120774657374696e67');
  t.equal(encodeMessage([[3, [[1, 150]]]]).toString('hex'), '1a03089601');
  t.equal(encodeMessage([]).length, 0);
});

t.test('decodeMessage reads back strings and messages, and steps over numbers', async (t) => {
  const long = 'x'.repeat(300);
  const decoded = decodeMessage(encodeMessage([[1, 2 ** 31 - 1], [16, long], [2, 'a'], [2, 'b'], [4, [[1, 'inner']]]]));
  t.same([...decoded.keys()].sort((a, b) => a - b), [2, 4, 16]);
  t.same(decoded.get(2)?.map(String), ['a', 'b']);
  t.equal(String(decoded.get(16)?.[0]), long);
  t.equal(String(decodeMessage(decoded.get(4)?.[0] ?? Buffer.alloc(0)).get(1)?.[0]), 'inner');
  t.same([...decodeMessage(Buffer.from('0901020304050607080d01020304120161', 'hex')).keys()], [2], 'after fixed64 and fixed32');
});

t.test('decodeMessage refuses what is cut short or of no known wire type', async (t) => {
  for (const hex of ['08', '12', '1205aa', '0896', '0b', '0f']) t.throws(() => decodeMessage(Buffer.from(hex, 'hex')), RangeError, hex);
});
