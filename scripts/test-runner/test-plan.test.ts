import t from 'tap';
import { planTests } from './test-plan.ts';

const root = t.testdir({
  pkg: { 'a.ts': '', 'a.test.ts': '', cni: { 'b.test.ts': '', 'c.serial.test.ts': '' }, 'cni-extra': { 'x.test.ts': '' } },
  e2e: { two: { 'd.e2e.test.ts': '' } },
  node_modules: { pkg: { 'e.test.ts': '' } },
  dist: { 'f.test.ts': '' },
});

const rows = [
  { selections: [], parallel: ['pkg/a.test.ts', 'pkg/cni-extra/x.test.ts', 'pkg/cni/b.test.ts'], serial: ['e2e/two/d.e2e.test.ts', 'pkg/cni/c.serial.test.ts'] },
  { selections: ['pkg/cni'], parallel: ['pkg/cni/b.test.ts'], serial: ['pkg/cni/c.serial.test.ts'] },
  { selections: ['./pkg/a.test.ts', 'e2e/'], parallel: ['pkg/a.test.ts'], serial: ['e2e/two/d.e2e.test.ts'] },
  { selections: ['pkg/a.ts'], parallel: [], serial: [] },
];

for (const { selections, ...wanted } of rows) t.same(planTests(root, selections), wanted, `selected: ${selections.join(' ') || 'nothing'}`);
