import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runTestFile } from './run-file.ts';

const ok = 'console.log("TAP version 14\\nok 1 - x\\n1..1");';
const deadlineMs = 30_000;

const rows = [
  { name: 'a file that passes', source: ok, passed: 1, failures: [] },
  { name: 'a file that ends badly after its assertions', source: `${ok} process.exitCode = 3;`, passed: 1, failures: ['exit status 3'] },
  { name: 'a file that is killed', source: `${ok} process.kill(process.pid, 'SIGKILL');`, failures: ['ended by SIGKILL'] },
  { name: 'a file that does not parse', source: 'const = ;', passed: 0, failures: ['exit status 1'] },
  { name: 'a file that leaves a child with its pipes', source: `${ok} require('node:child_process').spawn('sleep', ['30'], { stdio: 'inherit', detached: true }).unref();`, passed: 1, failures: [] },
];

for (const { name, source, ...wanted } of rows) {
  t.test(name, async (t) => {
    const root = t.testdir({ 'one.test.cjs': source });
    t.has(await runTestFile('one.test.cjs', { root, deadlineMs }), wanted);
  });
}

t.test('a file that is late is asked to end, and may clean up', async (t) => {
  const root = t.testdir({
    'late.test.cjs': `setInterval(() => {}, 1000); process.on('SIGTERM', () => { require('node:fs').writeFileSync('cleaned', ''); process.exit(0); });`,
  });
  const run = await runTestFile('late.test.cjs', { root, deadlineMs: 500 });
  t.same(run.failures, ['not done within 0.5 s']);
  t.ok(existsSync(join(root, 'cleaned')), 'the handler of SIGTERM has run');
});

t.test('what it wrote to stderr is kept', async (t) => {
  const root = t.testdir({ 'one.test.cjs': `${ok} console.error('beside');` });
  t.equal((await runTestFile('one.test.cjs', { root, deadlineMs })).stderr, 'beside\n');
});
