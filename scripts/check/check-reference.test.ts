import t from 'tap';
import { checkReference } from './check-reference.ts';

const files = new Map([['docs/a.md', 'one\ntwo\n'], ['docs/b.md', 'b\n']]);

const rows = [
  { name: 'as they must be', actual: { 'docs/a.md': 'one\ntwo\n', 'docs/b.md': 'b\n' }, faults: [] },
  { name: 'another line', actual: { 'docs/a.md': 'one\nTWO\n', 'docs/b.md': 'b\n' }, faults: [{ path: 'docs/a.md', line: 2, severity: 'error', message: /run `make docs`/ }] },
  { name: 'cut short', actual: { 'docs/a.md': 'one\n', 'docs/b.md': 'b\n' }, faults: [{ path: 'docs/a.md', line: 2 }] },
  { name: 'missing', actual: { 'docs/a.md': 'one\ntwo\n' }, faults: [{ path: 'docs/b.md', message: /must be there/ }] },
] as const;

for (const { name, actual, faults } of rows) {
  const found = checkReference(files, (path) => new Map(Object.entries(actual)).get(path));
  t.equal(found.length, faults.length, name);
  t.match(found, faults, name);
}
