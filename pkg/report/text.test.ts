import t from 'tap';
import { compareTexts, countOf, formatAge, formatTime, printable, renderTable, shortContainerId, shorten, wrapList } from './text.ts';

t.test('renderTable()', async (t) => {
  t.equal(renderTable([['NAME', 'B'], ['a', '1'], ['longer', '']]), 'NAME    B\na       1\nlonger  -\n');
  t.equal(renderTable([['A', 'LIST', 'C'], ['x', ['1', '22222'], 'z'], ['y', [], 'w']]), [
    'A  LIST   C', 'x  1      z', '   22222', 'y  -      w', '',
  ].join('\n'), 'a cell of several lines, and one of none');
  t.equal(renderTable([['a', 'é🧶'], ['b', 'xyz'], ['c', 'x']]).split('\n')[0], 'a  é🧶', 'characters are counted, not code units');
  t.equal(renderTable([]), '');
  t.notMatch(renderTable([['\u001b[31mred\u0007', 'a\nb'], ['x', 'y']]), /[\u001b\u0007]|\nb/, 'nothing writes on the terminal');
});

t.test('printable()', async (t) => {
  t.equal(printable('grün 🧶 ok'), 'grün 🧶 ok');
  for (const evil of ['\u001b', '\r', '\n', '\t', '\0', '\u007f', '\u009b', '\u202e', '\u2066', '\u2028']) t.equal(printable(`a${evil}b`), 'a?b');
});

t.test('shorten()', async (t) => {
  t.equal(shorten('12345', 5), '12345');
  t.equal(shorten('123456', 5), '12…56');
  t.equal(shorten('1234567', 6), '123…67');
  t.equal(shorten('🧶'.repeat(7), 5), '🧶🧶…🧶🧶', 'characters stay whole');
  t.equal(shortContainerId('0123456789abcdef'.repeat(4)), '0123456789ab');
  t.equal(shortContainerId('my-container'), 'my-container');
  t.equal(shortContainerId('db'.repeat(16)), 'dbdbdbdbdbdb');
  t.equal(shortContainerId('x'.repeat(300)).length, 30);
});

t.test('wrapList()', async (t) => {
  t.same(wrapList([], 10), []);
  t.same(wrapList(['aaa'], 2), ['aaa'], 'an item is never broken');
  t.same(wrapList(['1.1.1.1', '2.2.2.2', '3.3.3.3'], 17), ['1.1.1.1, 2.2.2.2,', '3.3.3.3']);
  t.same(wrapList(['1.1.1.1', '2.2.2.2', '3.3.3.3'], 16), ['1.1.1.1,', '2.2.2.2, 3.3.3.3']);
});

t.test('times', async (t) => {
  const rows: readonly (readonly [ms: number, text: string])[] = [
    [-5, '0s'], [0, '0s'], [999, '0s'], [119_999, '119s'], [120_000, '2m'], [7_199_999, '119m'], [7_200_000, '2h'], [172_799_999, '47h'], [172_800_000, '2d'], [1e12, '11574d'],
  ];
  for (const [ms, text] of rows) t.equal(formatAge(ms), text, `${ms} ms`);
  t.equal(formatTime(1_767_225_600_123), '2026-01-01T00:00:00Z');
  t.equal(formatTime(Number.NaN), 'unknown');
  t.equal(formatTime(1e300), 'unknown');
});

t.equal(countOf(1, 'tenant'), '1 tenant');
t.equal(countOf(0, 'tenant'), '0 tenants');
t.same(['b', 'B', 'a', 'ä'].sort(compareTexts), ['B', 'a', 'b', 'ä']);
