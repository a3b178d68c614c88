import t from 'tap';
import { TapReader } from './tap-report.ts';

const version = 'TAP version 14\n';
const failing = `${version}not ok 1 - adds up\n  ---\n  found: 3\n  wanted: 4\n  source: >\n    here\n  ...\n1..1\n`;
const nested = `${version}# Subtest: outer\n    # counted 7\n    ok 1 - one\n    ok 2 - two\n    1..2\nok 1 - outer # time=3ms\n\n1..1\n# { total: 2, pass: 2 }\n# time=4ms\n`;

const rows = [
  { name: 'a subtest counts by its assertions', tap: nested, passed: 2, failures: [], skips: [], remarks: ['counted 7'] },
  { name: 'a failure has its diagnosis', tap: failing, ending: 'exit status 1', passed: 0, failures: ['adds up\n  found: 3\n  wanted: 4'] },
  { name: 'a skip keeps its reason', tap: `${version}ok 1 - x # SKIP needs root\n1..1\n`, passed: 0, failures: [], skips: ['x: needs root'] },
  { name: 'a todo is no pass', tap: `${version}not ok 1 - x # TODO\n1..1\n`, passed: 0, failures: [], skips: ['x: still to do'] },
  { name: 'a file may skip as a whole', tap: `${version}1..0 # SKIP no kernel\n`, passed: 0, failures: [], skips: ['the whole file: no kernel'] },
  { name: 'what is printed beside TAP is kept', tap: `${version}hello\nok 1 - x\n1..1\n`, passed: 1, failures: [], remarks: ['hello'] },
  { name: 'nothing asserted is a failure', tap: `${version}1..0\n`, passed: 0, failures: ['the file asserts nothing'], skips: [] },
  { name: 'no output at all is a failure', tap: '', passed: 0, failures: ['the file asserts nothing'] },
  { name: 'a missing assertion is a failure', tap: `${version}1..2\nok 1 - x\n`, passed: 1, failures: ['incorrect number of tests'] },
  { name: 'a missing plan is a failure', tap: `${version}ok 1 - x\n`, passed: 1, failures: ['no plan'] },
  { name: 'an exit status is a failure where no assertion failed', tap: nested, ending: 'exit status 1', passed: 2, failures: ['exit status 1'] },
  { name: 'a signal is a failure', tap: nested, ending: 'ended by SIGKILL', passed: 2, failures: ['ended by SIGKILL'] },
];

for (const { name, tap, ending, ...wanted } of rows) {
  t.test(name, async (t) => {
    const reader = new TapReader();
    for (const half of [tap.slice(0, tap.length / 2), tap.slice(tap.length / 2)]) reader.write(half);
    t.has(reader.finish(ending), wanted);
  });
}
