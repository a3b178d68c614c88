import t from 'tap';
import { checkImports } from './check-imports.ts';
import { importRules } from './import-rules.ts';
import { parseSources } from './source.ts';

const rows = [
  { path: 'pkg/netaddr/a.ts', text: "import { x } from '../errors/weft-error.ts';", faults: [] },
  { path: 'pkg/errors/a.ts', text: "import type { x } from '../netaddr/mac.ts';", faults: ['pkg/errors may not import pkg/netaddr, because everybody'] },
  { path: 'pkg/netaddr/a.ts', text: "import { isIP } from 'node:net';", faults: ['pkg/netaddr may not import node:net'] },
  { path: 'pkg/netaddr/a.ts', text: "export { x } from 'node:net';", faults: ['may not import node:net'] },
  { path: 'pkg/netaddr/a.ts', text: "export const x = (): unknown => import('node:net');", faults: ['may not import node:net'] },
  { path: 'pkg/netaddr/a.ts', text: "export type X = typeof import('node:net');", faults: ['may not import node:net'] },
  { path: 'pkg/ledger/a.ts', text: "import { createHash } from 'node:crypto';", faults: [] },
  { path: 'pkg/overlay/a.ts', text: "import { x } from '../sys/netns.ts';", faults: ['pkg/overlay may not import pkg/sys'] },
  { path: 'pkg/cni/delegate.ts', text: "import { spawn } from 'node:child_process';", faults: ['pkg/cni may not import node:child_process'] },
  { path: 'pkg/cni/delegate-executor.ts', text: "import { spawn } from 'node:child_process';", faults: [] },
  { path: 'pkg/cni/delegate.ts', text: "import { x } from './delegate-executor.ts';", faults: [] },
  { path: 'pkg/attachment/add.ts', text: "import { x } from '../cni/delegate-executor.ts';", faults: [] },
  { path: 'pkg/attachment/add.ts', text: "import { x } from '../datapath/datapath.ts';", faults: [] },
  { path: 'pkg/attachment/add.ts', text: "import { x } from '../datapath/linuxbridge/port.ts';", faults: ['pkg/attachment may not import pkg/datapath/linuxbridge'] },
  { path: 'pkg/attachment/add.test.ts', text: "import { x } from '../datapath/linuxbridge/port.ts'; import t from 'tap';", faults: [] },
  { path: 'pkg/attachment/add.ts', text: "import { x } from '../testing/netns.ts';", faults: ['only tests may import pkg/testing/netns.ts'] },
  { path: 'pkg/ledger/ledger.ts', text: "import { x } from './test-records.ts';", faults: ['only tests may import pkg/ledger/test-records.ts'] },
  { path: 'pkg/attachment/add.ts', text: "import t from 'tap';", faults: ['may not import the package tap'] },
  { path: 'pkg/config/a.ts', text: "import { parse } from 'yaml';", faults: [] },
  { path: 'pkg/config/a.ts', text: "import { x } from '@scope/name/deep';", faults: ['may not import the package @scope/name,'] },
  { path: 'pkg/attachment/add.ts', text: "import { x } from '../../cmd/weft/places.ts';", faults: ['pkg/attachment may not import cmd'] },
  { path: 'e2e/two/a.e2e.test.ts', text: "import { x } from '../../pkg/overlay/names.ts';", faults: ['e2e may not import pkg/overlay'] },
  { path: 'pkg/nowhere/a.ts', text: '', faults: ['pkg/nowhere must have a line in scripts/check/import-rules.ts'] },
  { path: 'pkg/sys/a.ts', text: 'export const x = process.env;', faults: ['process.env is for cmd/ only'] },
  { path: 'pkg/sys/a.ts', text: "import { argv as a, pid } from 'node:process';", faults: ['process.argv is for cmd/ only'] },
  { path: 'pkg/sys/a.ts', text: "console.log('x');", faults: ['console.log is for cmd/ only'] },
  { path: 'pkg/sys/a.ts', text: 'export const x = process.pid;', faults: [] },
  { path: 'cmd/weft/a.ts', text: 'process.exit(1);', faults: [] },
  { path: 'pkg/sys/a.test.ts', text: 'export const x = process.env;', faults: [] },
];

for (const { path, text, faults } of rows) {
  const found = parseSources({ [path]: text }).flatMap(checkImports).map(({ message }) => message);
  t.equal(found.length, faults.length, `${path}: ${text}: ${found.join('; ') || 'no fault'}`);
  for (const [index, fault] of faults.entries()) t.match(found[index], fault);
}

t.test('the table names only folders that stand before', async (t) => {
  for (const [index, { path, mayImport }] of importRules.entries()) {
    const before = importRules.slice(0, index).map((rule) => rule.path);
    t.same(mayImport.filter((folder) => !before.includes(folder)), [], path);
  }
});
