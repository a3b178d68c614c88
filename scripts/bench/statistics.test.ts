import t from 'tap';
import { median, percentile, ratio, summarise } from './statistics.ts';

t.test('percentile() takes the nearest rank', (t) => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  t.equal(percentile(hundred, 0.5), 50);
  t.equal(percentile(hundred, 0.95), 95);
  t.equal(percentile(hundred, 1), 100);
  t.equal(percentile([7], 0.95), 7);
  t.equal(median([9, 1, 5]), 5);
  t.throws(() => percentile([], 0.5), RangeError);
  t.end();
});

t.test('summarise() leaves its samples as they were', (t) => {
  const samples = [3, 1, 2];
  t.same(summarise(samples), { p50: 2, p95: 3 });
  t.same(samples, [3, 1, 2]);
  t.end();
});

t.test('ratio() divides figure by figure', (t) => {
  t.same(ratio({ p50: 1, p95: 6 }, { p50: 4, p95: 12 }), { p50: 0.25, p95: 0.5 });
  t.end();
});
