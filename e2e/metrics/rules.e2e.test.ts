/** The alert rules by Prometheus' own tools: they are rules, each fires in a case of its own and not on a node that is well, and says where its runbook is. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { rulesPath } from './prometheus.ts';

const skip = skipUnless({ tools: ['promtool'] });
const casesPath = resolve(import.meta.dirname, 'alerts.yaml');
const root = resolve(import.meta.dirname, '../..');
const rules = readFileSync(rulesPath, 'utf8');
const alerts = [...rules.matchAll(/^ {6}- alert: (\w+)$/gm)].map(([, name = '']) => name);

function promtool(...args: readonly string[]): { readonly status: number | null; readonly words: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', timeout: 60_000 });
  return { status, words: `${stdout}${stderr}` };
}

t.test('they are rules', { skip }, async (t) => {
  const { status, words } = promtool('check', 'rules', rulesPath);
  t.equal(status, 0, words);
  t.match(words, `SUCCESS: ${alerts.length} rules found`);
});

t.test('each fires where it should, with these words, and none on a node that is well', { skip }, async (t) => {
  const { status, words } = promtool('test', 'rules', casesPath);
  t.equal(status, 0, words);
  const cases = readFileSync(casesPath, 'utf8');
  const fired = [...cases.matchAll(/^ {8}alertname: (\w+)\n {8}exp_alerts:\n {10}- exp_labels: /gm)].map(([, name]) => name);
  const quiet = [...cases.matchAll(/alertname: (\w+), exp_alerts: \[\] \}/g)].map(([, name]) => name);
  t.same(fired, alerts);
  t.same(quiet, alerts);
});

t.test('the example of docs/metrics.md is a configuration', { skip }, async (t) => {
  const [, example = ''] = /^```yaml\n(# prometheus\.yml\n[^`]+)```$/m.exec(readFileSync(resolve(root, 'docs/metrics.md'), 'utf8')) ?? [];
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'prometheus.yml'), example);
  copyFileSync(rulesPath, join(directory, 'weft-alerts.yaml'));
  const { status, words } = promtool('check', 'config', join(directory, 'prometheus.yml'));
  t.equal(status, 0, words);
  t.match(words, `SUCCESS: ${alerts.length} rules found`, 'with the rules');
  t.match(example, /job_name: weft\n/);
});

t.test('each has a runbook', async (t) => {
  const runbooks = [...rules.matchAll(/^ {10}runbook: (\S+?)#(\S+)$/gm)];
  t.same(runbooks.map(([, , anchor]) => anchor), alerts.map((name) => name.toLowerCase()));
  for (const [, page = ''] of runbooks) t.ok(existsSync(resolve(root, page)), page);
  const headings = [...readFileSync(resolve(root, 'docs/metrics.md'), 'utf8').matchAll(/^### (\w+)\n\n\S/gm)].map(([, name]) => name);
  t.same(headings, alerts, 'in docs/metrics.md, in the order of the rules');
});
