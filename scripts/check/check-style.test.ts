import t from 'tap';
import { checkStyle } from './check-style.ts';
import { parseSources } from './source.ts';

const lines = (count: number): string => '  x();\n'.repeat(count);
const path = 'pkg/sys/a.ts';

const rows = [
  { path, text: 'export function f(a: string, b: string): void {}', faults: [] },
  { path, text: 'export function f(a: 1, b: 2, c: 3, d: 4, e: 5): void {}', faults: ['error: a function has at most 4 parameters: f() has 5'] },
  { path, text: `function f() {\n${lines(38)}}`, faults: [] },
  { path, text: `function f() {\n${lines(39)}}`, faults: ['warning: f() has 41 lines'] },
  { path, text: `function f() {\n${lines(59)}}`, faults: ['error: a function has at most 60 lines: f() has 61'] },
  { path, text: `class C { m() {\n${lines(59)}} }`, faults: ['error: a function has at most 60 lines: m() has 61'] },
  { path, text: `const f = () => {\n${lines(59)}};`, faults: ['error: a function has at most 60 lines: f has 61'] },
  { path, text: '// x\n'.repeat(350), faults: [] },
  { path, text: '// x\n'.repeat(351), faults: ['warning: 351 lines'] },
  { path, text: '// x\n'.repeat(501), faults: ['error: a file has at most 500 lines: this has 501'] },
  { path, text: 'function f() { if (a) { for (;;) { while (b) { c(); } } } }', faults: [] },
  { path, text: 'function f() { if (a) { for (;;) { while (b) { try { c(); } finally {} } } } }', faults: ['in f() they nest 4'] },
  { path, text: 'function f() { if (a) {} else if (b) {} else if (c) {} else if (d) {} else if (e) {} }', faults: [] },
  { path, text: 'function f() { if (a) { for (;;) { g(() => { if (b) { while (c) {} } }); } } }', faults: [] },
  { path, text: 'export const x: any = 1;', faults: ['error: no `any`'] },
  { path, text: "export const any = 'any'; // any", faults: [] },
  { path, text: 'export default function f() {}', faults: ['error: no default export'] },
  { path, text: 'const x = 1;\nexport default x;', faults: ['error: no default export'] },
  { path, text: 'switch (x) { default: y(); }', faults: [] },
  { path: 'pkg/util/a.ts', text: '', faults: ['error: a folder is named after its idea: "util"'] },
  { path: 'pkg/sys/camelCase.ts', text: '', faults: ['error: a file name is in kebab-case'] },
  { path: 'pkg/sys/a-b.netns.test.ts', text: '', faults: [] },
  { path: 'pkg/ledger/a.ts', text: 'setTimeout(f, 1);', faults: ['error: no timers outside pkg/sys'] },
  { path: 'pkg/ledger/a.ts', text: "import { setTimeout as wait } from 'node:timers/promises';", faults: ['error: no timers outside pkg/sys'] },
  { path: 'pkg/ledger/a.test.ts', text: 'setTimeout(f, 1);', faults: [] },
  { path, text: 'setTimeout(f, 1);', faults: [] },
];

for (const row of rows) {
  const found = parseSources({ [row.path]: row.text }).flatMap(checkStyle).map(({ severity, message }) => `${severity}: ${message}`);
  t.equal(found.length, row.faults.length, `${row.path}: ${row.text.slice(0, 60)}: ${found.join('; ') || 'no fault'}`);
  for (const [index, fault] of row.faults.entries()) t.match(found[index], fault);
}
