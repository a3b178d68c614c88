import t from 'tap';
import { checkDocs } from './check-docs.ts';
import { parseSources } from './source.ts';

const rows = [
  { text: '/** Does. */\nexport function f() {}', faults: [] },
  { text: '// Does.\nexport function f() {}', faults: ['f() is exported and has no doc comment'] },
  { text: '/* Does. */\nexport function f() {}', faults: ['f() is exported and has no doc comment'] },
  { text: 'function f() {}', faults: [] },
  { text: 'export class C {}', faults: ['C is exported and has no doc comment'] },
  { text: 'export interface I { a: 1 }', faults: ['I is exported and has no doc comment'] },
  { text: 'export interface I {\n  /** One. */\n  a: 1 }', faults: [] },
  { text: 'export const x = 1;', faults: [] },
  { path: 'cmd/weft/a.ts', text: 'export function f() {}', faults: [] },
  { path: 'pkg/sys/a.test.ts', text: 'export function f() {}', faults: [] },
  { path: 'pkg/testing/a.ts', text: 'export function f() {}', faults: ['f() is exported and has no doc comment'] },
];

for (const { path = 'pkg/sys/a.ts', text, faults } of rows) {
  t.same(parseSources({ [path]: text }).flatMap(checkDocs).map(({ message }) => message), faults, `${path}: ${text}`);
}

t.same(parseSources({ 'pkg/sys/a.ts': '\n\nexport class C {}' }).flatMap(checkDocs), [
  { path: 'pkg/sys/a.ts', line: 3, severity: 'error', message: 'C is exported and has no doc comment' },
], 'a finding has its place');
