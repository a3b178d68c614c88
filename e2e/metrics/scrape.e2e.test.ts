/** What the nodes tell after calls, traffic, a repair and a migration, each name that docs/metrics.md has, and what becomes of the end when the configuration changes. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t, { type Test } from 'tap';
import { inNetns, runIn } from '../../pkg/testing/command.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { Daemon } from '../harness/daemon.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { configuration, createMetricsScene, endOf, eventually, makeHistory, port, rewrite, type Done, type Scene } from './scene.ts';
import { answers, lint, request, samplesOf, sumOf, type End } from './scrape.ts';

t.setTimeout(180_000);
const skip = skipWithoutDaemonLab('python3', 'promtool');
const documented = [...readFileSync(resolve(import.meta.dirname, '../../docs/metrics.md'), 'utf8').matchAll(/^\| `((?:weft|process)_[a-z_]+)` \|/gm)].map(([, name = '']) => name);
/** Of a control plane, and of what is not the case here. */
const withoutSamples = new Set(['weft_bgp_session_up', 'weft_bgp_prefixes_received']);

t.test('after a day at work', { skip }, async (t) => {
  const scene = await createMetricsScene(t);
  const done = await makeHistory(t, scene);
  await eventually('node 2 answers to node 1', () => sumOf(request(endOf(scene, 1)).body, 'weft_path_full_size') === 2);
  const { status, contentType, body } = request(endOf(scene, 1));
  const other = request(endOf(scene, 2)).body;
  t.same([status, contentType], [200, 'text/plain; version=0.0.4; charset=utf-8']);

  await t.test('each documented name is there, and no other', async (t) => {
    t.ok(documented.length > 50);
    t.same([...body.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name).sort(), [...documented].sort());
    const told = new Set(body.split('\n').filter((line) => !line.startsWith('#')).map((line) => line.replace(/[ {].*$/, '').replace(/_(bucket|sum|count)$/, '')));
    t.same(documented.filter((name) => !told.has(name) && !withoutSamples.has(name)), [], 'with samples');
  });

  await t.test('promtool has nothing to say', async (t) => {
    for (const text of [body, other]) t.equal(lint(text), '');
    t.match(lint('# TYPE weft_call_ms counter\nweft_call_ms 1\n'), /weft_call_ms/, 'it would');
  });

  await t.test('calls, endpoints, repairs, migrations', async (t) => checkCounts(t, { one: body, two: other, done }));
  await t.test('traffic, as the kernel has it from the other side', async (t) => checkTraffic(t, scene, done));
  await t.test('paths: every peer is measured', async (t) => checkPaths(t, scene, body));
  await t.test('only what is asked for', async (t) => checkRequests(t, scene));
  await t.test('the end follows the configuration', async (t) => checkConfiguration(t, scene));
});

function checkCounts(t: Test, { one: body, two: other, done }: { readonly one: string; readonly two: string; readonly done: Done }): void {
  t.equal(sumOf(body, 'weft_cni_calls_total', { verb: 'ADD', outcome: 'failed', code: '7' }), done.failedAdds);
  t.equal(sumOf(body, 'weft_cni_calls_total', { verb: 'ADD', outcome: 'ok' }), 3, 'sender, pod, endpoint');
  t.equal(sumOf(body, 'weft_cni_call_duration_seconds_count', { verb: 'ADD', outcome: 'ok' }), 3);
  t.equal(sumOf(body, 'weft_endpoints', { tenant: 'blue', state: 'attached' }), 3);
  t.same(samplesOf(body, 'weft_addresses').map(({ labels: { tenant, pool }, value }) => [tenant, pool, value]), [['blue', '10.1.1.50-10.1.1.99', 50]]);
  t.equal(sumOf(body, 'weft_addresses_free'), 47);
  t.ok(sumOf(body, 'weft_repairs_total', { kind: 'segment' }) > 0);
  t.equal(sumOf(body, 'weft_repairs_total', { kind: 'guard' }), 0);
  t.equal(sumOf(body, 'weft_migrations_total', { role: 'source', outcome: 'moved' }), 1);
  t.equal(sumOf(other, 'weft_migrations_total', { role: 'target', outcome: 'moved' }), 1);
  t.equal(sumOf(body, 'weft_migration_activation_seconds_count'), 1);
  t.equal(sumOf(body, 'weft_migration_duration_seconds_count', { role: 'source' }), 1);
  t.equal(sumOf(body, 'weft_tenant_mtu_bytes', { tenant: 'blue' }), 1450);
  t.match(samplesOf(body, 'weft_build_info')[0]?.labels, { node: 'node1' });
}

function checkTraffic(t: Test, scene: Scene, done: Done): void {
  const [sender] = scene.senders;
  const [shown] = JSON.parse(runIn(sender?.netns ?? '', 'ip', '-j', '-s', 'link', 'show', 'eth0')) as readonly { readonly stats64: Readonly<Record<'rx' | 'tx', { readonly packets: number; readonly bytes: number }>> }[];
  const labels = { container_id: sender?.attach.containerId ?? '' };
  const fresh = request(endOf(scene, 1)).body;
  for (const [direction, counted] of [['receive', shown?.stats64.rx], ['transmit', shown?.stats64.tx]] as const) {
    const [bytes, packets] = [sumOf(fresh, `weft_endpoint_${direction}_bytes_total`, labels), sumOf(fresh, `weft_endpoint_${direction}_packets_total`, labels)];
    t.ok(bytes >= (counted?.bytes ?? Infinity) && bytes < (counted?.bytes ?? 0) + 2000, `${direction}: ${bytes} bytes for ${counted?.bytes}`);
    t.ok(packets >= done.echoes);
    t.ok(sumOf(fresh, `weft_tenant_${direction}_bytes_total`, { tenant: 'blue' }) >= done.echoes * 1028, 'inside');
    t.ok(sumOf(fresh, `weft_tunnel_${direction}_bytes_total`, { tenant: 'blue', device: 'weft-vx1001' }) >= done.echoes * 1042, 'outside, in the tunnel');
    t.ok(sumOf(fresh, `weft_underlay_${direction}_bytes_total`, { device: 'eth0' }) >= done.echoes * 1092, 'outside, with its headers');
  }
  t.match(samplesOf(fresh, 'weft_endpoint_receive_bytes_total', { container_id: 'till-0' })[0]?.labels, { tenant: 'blue', network: 'blue', interface: 'eth0', pod_namespace: 'shop', pod_name: 'till-0' });
}

async function checkPaths(t: Test, scene: Scene, body: string): Promise<void> {
  for (const way of ['underlay', 'tunnel']) {
    const probes = samplesOf(body, 'weft_path_probes_total', { way });
    t.equal(probes.length, 2);
    for (const { labels, value } of probes) t.ok(value > 0 && sumOf(body, 'weft_path_round_trip_seconds_count', labels) > 0);
  }
  t.equal(sumOf(body, 'weft_path_mtu_bytes'), 3000);
  t.match((await runWeft(scene.lab.node(1), ['status'])).stdout, new RegExp(`^${scene.lab.node(2).ipv4} +node2 +${scene.lab.node(1).ipv4} +whole +1500 of 1500 +[\\d.]+ms +\\d+% +\\d+s ago$`, 'm'));
}

function checkRequests(t: Test, scene: Scene): void {
  const end = endOf(scene, 1);
  t.match(request(end, '/healthz'), { status: 200, body: 'ok\n' });
  t.match([request(end, '/'), request(end, '/metrics/x'), request(end, '/metrics', 'POST'), request(end, '/metrics?x=1'), request(end, '/metrics', 'HEAD')].map((answer) => [answer.status, answer.body.length > 100]), [[404, false], [404, false], [405, false], [200, true], [200, false]]);
}

async function checkConfiguration(t: Test, scene: Scene): Promise<void> {
  const [node] = scene.nodes as readonly [LabNode];
  const [daemon] = scene.daemons;
  const at = (moved: number): End => ({ ...endOf(scene, 1), port: moved });
  rewrite(node, configuration(node, `metrics: { listen: "0.0.0.0:${port + 1}", endpointsMax: 1 }\n`));
  await eventually('it has moved', () => answers(at(port + 1)) && !answers(at(port)));
  const { body } = request(at(port + 1));
  t.equal(samplesOf(body, 'weft_endpoint_receive_bytes_total').length, 1, 'endpointsMax');
  t.equal(sumOf(body, 'weft_endpoint_series_omitted'), 2);
  t.equal(sumOf(body, 'weft_cni_calls_total', { verb: 'ADD', outcome: 'ok' }), 3, 'what was counted is not forgotten');

  const holder = spawn('ip', inNetns(node.netns, 'python3', '-c', `import socket, time\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\ns.bind(("${node.ipv4}", ${port + 2}))\ns.listen()\ntime.sleep(600)`), { stdio: 'ignore' });
  t.teardown(() => void holder.kill('SIGKILL'));
  await eventually('somebody else has the port', () => runIn(node.netns, 'cat', '/proc/net/tcp').includes((port + 2).toString(16).toUpperCase()));
  rewrite(node, configuration(node, `metrics: { listen: "${node.ipv4}:${port + 2}" }\n`));
  await daemon?.logged(/metrics cannot be fetched/);
  t.match(await runWeft(node, ['status']), { exitCode: 1, stdout: new RegExp(`^  - metrics cannot be fetched: ${node.ipv4}:${port + 2} \\(metrics\\.listen\\) cannot be had: .*EADDRINUSE`, 'm') });
  holder.kill('SIGKILL');
  await eventually('it is free, and taken', () => answers(at(port + 2)));
  await eventually('all is well again', async () => (await runWeft(node, ['status'])).exitCode === 0);

  rewrite(node, configuration(node, ''));
  await eventually('nobody listens', () => !answers(at(port + 2)));
  t.notMatch(runIn(node.netns, 'cat', '/proc/net/tcp'), new RegExp(`:${(port + 2).toString(16).toUpperCase()} 00000000:0000 0A`));
  t.match(await runWeft(node, ['status']), { exitCode: 0 });

  rewrite(node, configuration(node));
  await eventually('it answers where it did at first', () => answers(at(port)));
  await checkTakeover(t, scene, at(port));
}

/** A daemon that is started beside another has its place, and counts nothing a second time. */
async function checkTakeover(t: Test, scene: Scene, end: End): Promise<void> {
  const before = sumOf(request(end).body, 'process_start_time_seconds');
  await Daemon.start(t, scene.lab.node(1));
  await eventually('the new daemon tells', () => answers(end) && sumOf(request(end).body, 'process_start_time_seconds') > before);
  const { body } = request(end);
  t.equal(sumOf(body, 'weft_cni_calls_total'), 0);
  t.ok(sumOf(body, 'weft_endpoint_receive_bytes_total') > 5000);
  t.ok(sumOf(body, 'weft_tenant_receive_bytes_total') < 5000, 'sums begin anew');
  await eventually('all is well', async () => (await runWeft(scene.lab.node(1), ['status'])).exitCode === 0);
}
