import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { codesOf, entriesOf, findEntries, type Pages } from './entries.ts';
import { renderEntries } from './render.ts';

const read = (name: string): string => readFileSync(resolve(import.meta.dirname, '../../docs', `${name}.md`), 'utf8');
const pages: Pages = { errors: read('errors'), doctor: read('doctor'), logs: read('logs') };
const entries = entriesOf(pages);

t.test('the real pages', (t) => {
  t.equal(entries.filter(({ page }) => page === 'errors').length, pages.errors.match(/^## \d+ /gm)?.length);
  t.equal(entries.filter(({ page }) => page === 'doctor').length, pages.doctor.match(/^\| `[a-z0-9-]+` \| (note|warning|error)/gm)?.length);
  t.equal(entries.filter(({ page }) => page === 'logs').length, pages.logs.match(/^\| `/gm)?.length);
  t.same(entries.filter(({ parts }) => parts.length < 3 || parts.some(([, text]) => text === '')).map(({ code }) => code), [], 'each says what is so and what to do');
  for (const entry of entries) t.notMatch(renderEntries([entry]), /\]\(|\*\*|\|/, `${entry.code} is without Markdown`);
  t.same(renderEntries(entries).split('\n').filter((line) => line.length > 130), [], 'lines are for a terminal');
  t.end();
});

t.test('a code', (t) => {
  t.match(findEntries(entries, '102'), [{ code: '102 rangeExhausted', page: 'errors' }]);
  t.same(findEntries(entries, 'RANGEEXHAUSTED'), findEntries(entries, '102'), 'by its name, in any case');
  t.same(findEntries(entries, '10'), [], 'no beginning of a number');
  t.same(findEntries(entries, 'path-narrow').map(({ page }) => page), ['doctor', 'logs']);
  t.same(findEntries(entries, ''), []);
  t.ok(codesOf(entries).includes('102') && codesOf(entries).includes('rangeExhausted') && codesOf(entries).includes('repaired'));
  t.equal(new Set(codesOf(entries)).size, codesOf(entries).length);
  t.end();
});

t.test('pages of all kinds', (t) => {
  const made = entriesOf({
    errors: '# Errors\n\n## Not an error\n\n## 7 broken\n\nIt is. Worth repeating: no.\n\n**When:** It\nbreaks, see [mtu.md](mtu.md) and the [spec][spec].\n\n**What to do:** Mend **it**.\n\n[spec]: https://example.org\n',
    doctor: '| id | severity |\n|---|---|\n| `a-b` | warning | one \\| two | three | four |\n| `c` | fatal | x | y | z |\n',
    logs: '| `a-b` | warn | 1 | 2 | 3 |\n',
  });
  t.same(made.map(({ code, kind }) => [code, kind]), [['7 broken', 'error'], ['a-b', 'warning'], ['a-b', 'warn']]);
  t.equal(renderEntries(made), [
    '7 broken (error of a call)', '              It is. Worth repeating: no.', '  when:       It breaks, see mtu.md and the spec.', '  what to do: Mend it.', '',
    'a-b (finding of weft doctor, warning)', '  what is so:       one | two', '  what comes of it: three', '  what to do:       four', '',
    'a-b (line of the log, warn)', '  what is so:      1', '  what to look at: 2', '  what to do:      3', '',
  ].join('\n'));
  t.same(entriesOf({ errors: '', doctor: '', logs: '' }), []);
  t.end();
});
