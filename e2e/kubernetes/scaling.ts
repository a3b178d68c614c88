/** A Deployment goes to 40 pods and back to none, once undisturbed and once with daemons that are killed on the way. */
import type { Checks } from './checks.ts';
import type { Cluster } from './cluster.ts';
import type { KubeNode } from './kube-node.ts';
import { renderTimes, type PodTimes } from './pod-times.ts';
import { describeDeployment, isReady, podPath, type Pod } from './pods.ts';
import { until } from './waiting.ts';

const replicas = 40;
const namespace = 'blue-batch';
const name = 'batch';
const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
const deadlineMs = 300_000;
/** Calls that the node must have done without its daemon before that is started again. */
const callsAlone = 3;

/** What happens to a node's daemon on the way. */
export type Disturbance = () => Promise<void>;

export interface Scaling {
  readonly checks: Checks;
  readonly cluster: Cluster;
  readonly times: PodTimes;
  readonly print: (line: string) => void;
}

/** Makes the Deployment, without pods. */
export async function createDeployment({ api }: Cluster): Promise<void> {
  await api.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, describeDeployment({ name, namespace, replicas: 0 }));
}

/** Scales up, and waits until all are ready. @returns the pods */
export async function scaleUp({ checks, cluster, times, print }: Scaling, disturb?: Disturbance): Promise<readonly Pod[]> {
  const since = performance.now();
  await cluster.api.change(path, { spec: { replicas } });
  await disturb?.();
  const pods = await until({ what: `${replicas} pods to be ready`, deadlineMs, look: () => podsOf(cluster), isSo: (found) => found.filter(isReady).length === replicas });
  print(`   ${replicas} pods up in ${seconds(since)}; from their appearance to ready: ${renderTimes(times.starts([namespace], since))}`);
  const addresses = new Set(pods.map(({ status }) => status.podIP));
  checks.check(`${replicas} pods are ready, and no two have one address`, addresses.size === replicas, `${addresses.size} addresses`);
  const onNodes = cluster.nodes.map((node) => pods.filter(({ spec }) => spec.nodeName === node.name).length);
  checks.check('they are on both nodes', onNodes.every((count) => count > 0), onNodes.join(' and '));
  return pods;
}

/** Scales down, and waits until none is left. */
export async function scaleDown({ checks, cluster, times, print }: Scaling, disturb?: Disturbance): Promise<void> {
  const since = performance.now();
  await cluster.api.change(path, { spec: { replicas: 0 } });
  await disturb?.();
  await until({ what: 'the endpoints to be gone', deadlineMs, look: () => cluster.nodes.flatMap(batchEndpoints), isSo: (found) => found.length === 0 });
  print(`   the endpoints of ${replicas} pods gone from the ledgers in ${seconds(since)}`);
  await until({ what: 'all pods to be gone', deadlineMs, look: async () => (await podsOf(cluster)).map(({ metadata }) => metadata.name), isSo: (found) => found.length === 0 });
  print(`   ${replicas} pods down in ${seconds(since)}; from the order to gone: ${renderTimes(times.ends([namespace], since))}`);
  checks.none('their endpoints have gone from the ledgers', cluster.nodes.flatMap(batchEndpoints).map(({ pod }) => String(pod)));
}

/** Kills a node's daemon when the first pods are on their way to the node, lets some come without it, and starts it again. */
export function killWhileAdding(checks: Checks, cluster: Cluster, node: KubeNode): Disturbance {
  return async () => {
    // On a machine with nothing else to do a burst of ADDs is over before anybody has seen the first of them in the ledger.
    await until({ what: `pods for ${node.name}`, deadlineMs, look: () => podsOf(cluster), isSo: (pods) => pods.some(({ spec }) => spec.nodeName === node.name) });
    await node.killDaemon();
    const killedAt = Date.now();
    const alone = await until({
      what: `pods that come on ${node.name} without a daemon`,
      deadlineMs,
      look: () => batchEndpoints(node).filter(({ createdAt, state }) => createdAt >= killedAt && state === 'attached'),
      isSo: (found) => found.length >= callsAlone,
    });
    await node.startDaemon();
    checks.check(`${node.name}'s daemon is killed and ${alone.length} pods come without it`, alone.length >= callsAlone);
  };
}

/** The same with pods that go. */
export function killWhileDeleting(checks: Checks, node: KubeNode): Disturbance {
  return async () => {
    const all = batchEndpoints(node).length;
    await node.killDaemon();
    const left = await until({ what: `pods that go from ${node.name} without a daemon`, deadlineMs, look: () => batchEndpoints(node).length, isSo: (found) => found <= all - callsAlone });
    await node.startDaemon();
    checks.check(`${node.name}'s daemon is killed and ${all - left} pods go without it`, all - left >= callsAlone);
  };
}

interface Endpoint {
  readonly pod: string | null;
  readonly state: string;
  readonly createdAt: number;
}

/** The Deployment's pods in a node's ledger. */
function batchEndpoints(node: KubeNode): readonly Endpoint[] {
  const endpoints = JSON.parse(node.weft('endpoints', '-o', 'json')) as readonly Endpoint[];
  return endpoints.filter(({ pod }) => pod?.startsWith(`${namespace}/`) === true);
}

async function podsOf({ api }: Cluster): Promise<readonly Pod[]> {
  return (await api.list<Pod>(podPath(namespace))).items;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
