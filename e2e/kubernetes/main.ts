/**
 * weft in a real Kubernetes of two nodes: tenants, a Deployment that grows and shrinks, daemons that are killed, probes, and what is left.
 * Prints for a person to read, and ends with counts; exit status 0 only when everything is as it should be. All that it made is gone
 * afterwards.
 *
 *     node e2e/kubernetes/main.ts          WEFT_KUBERNETES_LOGS: a directory for the logs of all processes
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CleanupStack } from '../harness/cleanup-stack.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { skipWithoutRuntime } from '../runtimes/private-node.ts';
import { Checks } from './checks.ts';
import { startCluster, type Building, type Cluster } from './cluster.ts';
import { buildScript, loopbackPlugin, readMachineSysctls } from './kube-node.ts';
import type { KubeObject } from './kube-api.ts';
import { describeDifference, readMachineState, readNodeState, type NodeState } from './leftovers.ts';
import { renderTimes, PodTimes } from './pod-times.ts';
import type { Pod } from './pods.ts';
import { checkProbes } from './probes.ts';
import { createDeployment, killWhileAdding, killWhileDeleting, scaleDown, scaleUp, type Scaling } from './scaling.ts';
import { startPing } from './steady-ping.ts';
import { asMember, checkTenancy, residents, startPods } from './tenancy.ts';
import { namespaces, tenants } from './tenants.ts';
import { until } from './waiting.ts';

/** Over all, without the build of Kubernetes. */
const deadlineMs = 20 * 60_000;
/** A kubelet removes dead sandboxes once in a minute. */
const goneMs = 240_000;
const startedAt = performance.now();

await main();

async function main(): Promise<void> {
  const missing = skipWithoutRuntime('etcd', 'containerd', 'ctr', 'tcpdump') || skipUnless({ executables: [loopbackPlugin] });
  if (missing !== false) return end(new Checks(print), `the cluster ${missing}`);
  const programs = await buildKubernetes();
  const checks = new Checks(print);
  const [machine, sysctls] = [readMachineState(), readMachineSysctls()];
  const late = setTimeout(() => {
    print(`\nFAILED: not done after ${deadlineMs / 60_000} minutes`);
    process.exit(1);
  }, deadlineMs);
  const scope = new CleanupStack();
  const building: Building = {};
  const problem = await explain(() => demonstrate(scope, checks, { programs, building }));
  if (problem !== undefined && building.cluster !== undefined) process.stderr.write(`${building.cluster.describe()}\n`);
  const logs = process.env['WEFT_KUBERNETES_LOGS'];
  if (logs !== undefined) building.cluster?.saveLogs(logs);
  const cleanup = await explain(() => stage('The cluster is taken down', () => scope.run()));
  checks.same('the machine has no mount, namespace or control group of it', readMachineState(), machine);
  checks.same("the machine's kernel parameters are as they were", readMachineSysctls(), sysctls);
  clearTimeout(late);
  end(checks, problem ?? cleanup);
}

interface Means {
  readonly programs: string;
  readonly building: Building;
}

async function demonstrate(scope: CleanupStack, checks: Checks, { programs, building }: Means): Promise<void> {
  const cluster = await stage('A cluster of two nodes starts', () => startCluster(scope, programs, building));
  const before = cluster.nodes.map(readNodeState);
  const times = await PodTimes.start(scope, cluster.api);
  const specs = residents(cluster.nodes.map(({ name }) => name));
  const since = performance.now();
  const pods = await stage(`${specs.length} pods start, one after the other`, () => startPods(cluster, specs));
  print(`   from their appearance to ready: ${renderTimes(times.starts(tenants.filter(({ isGateway }) => !isGateway).map(({ name }) => name), since))}`);
  await stage('Tenants', () => checkTenancy(checks, cluster, pods));
  await stage('Probes', () => checkProbes(checks, cluster, specs.filter(({ probe }) => probe !== undefined)));

  const scaling: Scaling = { checks, cluster, times, print };
  await createDeployment(cluster);
  await stage('A Deployment is scaled to 40', () => scaleUp(scaling));
  await stage('and back to 0', () => scaleDown(scaling));
  await stage('The same with daemons that are killed', () => disturbed(scope, scaling, pods));
  printCalls(cluster);
  await stage('All namespaces are removed', () => removeAll(cluster));
  await checkLeftovers(checks, cluster, before);
}

/** Up and down once more: in between, both nodes' daemons are killed, and a ping between two pods that stay is answered all the time. */
async function disturbed(scope: CleanupStack, scaling: Scaling, pods: readonly Pod[]): Promise<void> {
  const { checks, cluster } = scaling;
  const inner = new CleanupStack();
  scope.teardown(() => inner.run());
  const [from, to] = await Promise.all(cluster.nodes.map(({ name }) => asMember(inner, cluster, pods.find(({ spec, metadata }) => spec.nodeName === name && metadata.namespace === 'blue'))));
  if (from === undefined || to === undefined) throw new Error('there is no pod of blue on one of the nodes');
  const endPing = startPing(inner, from.netns, to.ipv4);
  const batch = await scaleUp(scaling, killWhileAdding(checks, cluster, cluster.node(1)));
  const sample = cluster.nodes.flatMap(({ name }) => batch.find(({ spec }) => spec.nodeName === name) ?? []);
  await checkTenancy(checks, cluster, [...sample, ...pods]);
  await scaleDown(scaling, killWhileDeleting(checks, cluster.node(2)));
  const { sent, answered } = await endPing();
  checks.check(`all ${sent} echo requests between two pods were answered meanwhile`, sent > 0 && answered === sent, `${answered} were`);
  await inner.run();
}

/** How long calls took in the daemons, by their logs. */
function printCalls({ nodes }: Cluster): void {
  for (const verb of ['ADD', 'DEL']) {
    const took = nodes.flatMap(({ daemonLog }) => readCalls(daemonLog, verb)).sort((a, b) => a - b);
    const at = (share: number): string => (took[Math.ceil(took.length * share) - 1] ?? 0).toFixed(1);
    print(`   ${verb} in the daemons: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, slowest ${at(1)} ms (${took.length} calls)`);
  }
}

function readCalls(log: string, verb: string): readonly number[] {
  const lines = log.split('\n').filter((line) => line.includes(`"verb":"${verb}"`) && line.includes('"outcome":"ok"'));
  return lines.flatMap((line) => Number(/"ms":([\d.]+)/.exec(line)?.[1] ?? Number.NaN));
}

async function removeAll({ api }: Cluster): Promise<void> {
  for (const name of namespaces) await api.remove(`/api/v1/namespaces/${name}`);
  await until({
    what: 'the namespaces to be gone',
    deadlineMs: goneMs,
    look: async () => (await api.list<KubeObject>('/api/v1/namespaces')).items.map(({ metadata }) => metadata.name).filter((name) => namespaces.some((one) => one === name)),
    isSo: (found) => found.length === 0,
  });
}

async function checkLeftovers(checks: Checks, { nodes }: Cluster, before: readonly NodeState[]): Promise<void> {
  await stage('What is left on the nodes', async () => {
    for (const [index, node] of nodes.entries()) {
      const was = before[index] ?? readNodeState(node);
      const look = (): readonly string[] => describeDifference(was, readNodeState(node));
      const left = await until({ what: 'nothing to be left', deadlineMs: goneMs, look, isSo: (found) => found.length === 0 }).catch(look);
      checks.none(`${node.name} is as before the first pod: links, routes, nftables, ledger, processes, mounts, control groups, namespaces, containers`, left);
      const { isWell, attention } = JSON.parse(node.weft('status', '-o', 'json')) as { readonly isWell: boolean; readonly attention: readonly string[] };
      checks.check(`weft status of ${node.name} says that all is well`, isWell, attention.join('; '));
    }
  });
}

/** Prints what is done, and how long it took. */
async function stage<T>(what: string, run: () => Promise<T>): Promise<T> {
  const since = performance.now();
  print(`\n${what}`);
  const result = await run();
  print(`   ${((performance.now() - since) / 1000).toFixed(1)} s`);
  return result;
}

/** The directory of Kubernetes' programs, which are built when they are missing. */
async function buildKubernetes(): Promise<string> {
  const build = spawn(buildScript, { stdio: ['ignore', 'pipe', 'inherit'] });
  let directory = '';
  build.stdout.setEncoding('utf8').on('data', (text: string) => (directory += text));
  const [status] = (await once(build, 'close')) as readonly unknown[];
  if (status !== 0) throw new Error(`${buildScript} failed: its last lines say why`);
  return directory.trim();
}

/** Why something failed, in words; undefined where it did not. */
async function explain(run: () => Promise<void>): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    const causes = error instanceof AggregateError ? error.errors.map(String) : [];
    return [error instanceof Error ? error.stack : String(error), ...causes].join('\n');
  }
}

function end(checks: Checks, problem: string | undefined): void {
  if (problem !== undefined) print(`\nFAILED: ${problem}`);
  const failed = checks.failed + (problem === undefined ? 0 : 1);
  print(`\n${checks.passed} passed, ${failed} failed, after ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`);
  process.exitCode = failed === 0 && checks.passed > 0 ? 0 : 1;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
