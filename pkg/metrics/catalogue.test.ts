import { readFileSync } from 'node:fs';
import t from 'tap';
import { definitionOf, metricNames } from './catalogue.ts';

const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');

t.test('docs/metrics.md has each of them with all that is said here, in this order, and no other', async (t) => {
  const rows = page.split('\n').filter((line) => /^\| `(weft|process)_/.test(line));
  t.same(rows, metricNames.map((name) => {
    const { type, labels, unit, help } = definitionOf(name);
    return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${unit} | ${help} |`;
  }));
});

t.test("names keep Prometheus' rules", async (t) => {
  for (const name of metricNames) {
    const { type, labels, unit, help, buckets } = definitionOf(name);
    t.match(name, /^(weft|process)_[a-z_]+$/);
    t.equal(name.endsWith('_total'), type === 'counter', `${name}: a counter ends in _total, and nothing else does`);
    const inName = ['seconds', 'bytes'].find((word) => name.replace(/_total$/, '').endsWith(`_${word}`));
    t.equal(['seconds', 'bytes'].includes(unit) ? unit : undefined, inName, `${name}: its unit is in its name`);
    t.equal(buckets !== undefined, type === 'histogram', name);
    t.same(buckets === undefined ? [] : [...buckets], [...(buckets ?? [])].sort((a, b) => a - b), `${name}: buckets grow`);
    t.notMatch(labels, ['le', 'quantile', 'instance', 'job']);
    t.match(help, /^[A-Z].*\.$/);
  }
});
