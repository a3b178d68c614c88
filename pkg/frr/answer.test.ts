import t from 'tap';
import { AnswerReader, type Answer } from './answer.ts';

function read(pieces: readonly string[], bytesMax?: number): readonly (Answer | undefined)[] {
  const reader = new AnswerReader(bytesMax);
  return pieces.map((piece) => reader.push(Buffer.from(piece, 'latin1')));
}

const garbled = { name: 'WeftError', kind: 'garbled' } as const;

t.test('an answer may arrive in any pieces', (t) => {
  const whole = 'one\ntwo\n\0\0\0\x02';
  const answer = { text: 'one\ntwo\n', status: 2 };
  t.same(read([whole]), [answer]);
  for (let at = 1; at < whole.length; at += 1) t.same(read([whole.slice(0, at), whole.slice(at)]), [undefined, answer], `cut at ${at}`);
  t.same(read([...whole]).at(-1), answer, 'byte by byte');
  t.same(read(['\0\0\0\0']), [{ text: '', status: 0 }], 'one without text');
  t.same(read([whole, '\0\0\0\0', 'x\0\0', '\0', '\0']), [answer, { text: '', status: 0 }, undefined, undefined, { text: 'x', status: 0 }], 'one after the other');
  t.same(read(['\xc3', '\xbc\0\0\0\0']), [undefined, { text: 'ü', status: 0 }]);
  t.end();
});

t.test('what is none is refused', (t) => {
  for (const pieces of [['a\0b\0\0'], ['a\0\0b\0'], ['a\0', '\0x\0'], ['a\0\0\0\0b'], ['\0\0\0\0\0\0\0\0']]) t.throws(() => read(pieces), garbled, JSON.stringify(pieces));
  t.same(read(['abcdef\0\0\0\0'], 10), [{ text: 'abcdef', status: 0 }]);
  t.throws(() => read(['abcd', 'efg\0\0\0\0'], 10), { ...garbled, message: 'An answer of FRR must have at most 10 bytes: this has at least 11' });
  t.throws(() => read(['abcdef', 'ghijk'], 10), garbled, 'before its end is seen');
  t.end();
});
