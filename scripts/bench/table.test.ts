import t from 'tap';
import { formatMiB, formatMs, formatRatio, renderTable } from './table.ts';

t.test('renderTable()', async (t) => {
  t.equal(renderTable([['', 'p50'], ['weft', '1.00'], ['a', '10.00']]), '           p50\n  weft    1.00\n  a      10.00');
  t.equal(renderTable([['a', 'b', 'c'], ['d']]), '  a   b   c\n  d');
  t.equal(renderTable([]), '');
});

t.test('figures', async (t) => {
  t.same([formatMs(1.234), formatMs(99.9), formatMs(1234.5)], ['1.23', '99.90', '1235']);
  t.equal(formatRatio(0.349), '0.35 ×');
  t.equal(formatMiB(3 * 2 ** 20), '3.0');
});
