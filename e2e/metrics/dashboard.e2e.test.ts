/** A Prometheus scrapes the nodes: each query of the dashboard has data, each alert can be evaluated, and what is wrong fires. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { inNetns, run } from '../../pkg/testing/command.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { startPrometheus, type QueryResult } from './prometheus.ts';
import { createMetricsScene, makeHistory, port } from './scene.ts';

t.setTimeout(180_000);
const skip = skipWithoutDaemonLab('python3', 'prometheus');

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string | { readonly query: string } }[] };
}

const dashboard = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../conf/weft-dashboard.json'), 'utf8')) as Dashboard;

/** As Grafana would with all nodes and tenants chosen, and a scrape a second. */
function filled(expr: string): string {
  return expr.replaceAll('$instance', '.*').replaceAll('$tenant', '.*').replaceAll('$__rate_interval', '20s');
}

/** What a variable's list is made of. */
function listed(query: string): string {
  const [, expr = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? [];
  return `count by (${label}) (${expr})`;
}

t.test('a dashboard with data in every panel', { skip }, async (t) => {
  const scene = await createMetricsScene(t);
  const prometheus = await startPrometheus(t, { netns: scene.lab.underlayNetns, address: '10.200.0.1:9090', targets: scene.nodes.map(({ ipv4 }) => `${ipv4}:${port}`) });
  await prometheus.until('min(count_over_time(up{job="weft"}[1m])) >= 2');
  await makeHistory(t, scene);
  await prometheus.until('sum(increase(weft_migrations_total{outcome="moved"}[1m])) > 0 and sum(weft_path_full_size) == 6');
  await prometheus.until('count(rate(weft_cni_calls_total{outcome="failed", code="7"}[20s])) > 0');

  await t.test('panels', async (t) => {
    const panels = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr: filled(expr) })));
    t.ok(panels.length > 30);
    const results = prometheus.query(panels.map(({ expr }) => expr));
    for (const [index, { title, expr }] of panels.entries()) {
      const { series, error } = results[index] as QueryResult;
      t.equal(error, null, expr);
      t.ok(series > 0, `${title}: ${expr}`);
    }
    t.notMatch(panels.map(({ expr }) => expr).join(), /\$/, 'nothing is left that Grafana alone knows');
  });

  await t.test('what its lists are made of', async (t) => {
    const queries = dashboard.templating.list.flatMap(({ query }) => (typeof query === 'string' ? [] : [listed(query.query)]));
    t.same(prometheus.query(queries).map(({ series }) => series), [3, 1]);
  });

  await t.test('alerts', async (t) => {
    const rules = JSON.parse(run('ip', inNetns(scene.lab.underlayNetns, 'python3', '-c', 'import urllib.request; print(urllib.request.urlopen("http://10.200.0.1:9090/api/v1/rules").read().decode())'))) as { readonly data: { readonly groups: readonly { readonly rules: readonly { readonly name: string; readonly health: string; readonly lastError?: string; readonly query: string }[] }[] } };
    const all = rules.data.groups.flatMap((group) => group.rules);
    t.ok(all.length >= 20);
    for (const { name, health, lastError = '' } of all) t.same([health, lastError], ['ok', ''], name);
    t.same(prometheus.query(['ALERTS{alertstate="firing"}']).map(({ series }) => series), [0], 'on nodes that are well');
  });

  await t.test('a daemon that goes is seen', async () => {
    const [node] = scene.nodes as readonly [LabNode];
    await scene.daemons[0]?.kill();
    await prometheus.until(`up{instance="${node.ipv4}:${port}"} == 0`);
    await prometheus.until('ALERTS{alertname="WeftDown", alertstate="pending"}');
  });
});
