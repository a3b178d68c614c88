/** Kubelets' probes: they come through where the node has the tenant's gateway, and nowhere else. */
import type { Checks } from './checks.ts';
import type { Cluster } from './cluster.ts';
import { describePod, isReady, podPath, probeFailures, type Pod, type PodSpec } from './pods.ts';
import { until } from './waiting.ts';

const deadlineMs = 120_000;
const closedPort = 8081;

/** Looks at pods with probes that are ready, and at two more whose probes must fail. */
export async function checkProbes(checks: Checks, cluster: Cluster, probed: readonly PodSpec[]): Promise<void> {
  const { api } = cluster;
  const ready = await Promise.all(probed.map(async ({ name, namespace }) => ({ name, isSo: isReady(await api.get<Pod>(podPath(namespace, name))) })));
  checks.none(
    `probes reach the pods of a tenant with a gateway (${probed.map(({ name, probe }) => `${name} by ${probe}`).join(', ')})`,
    ready.filter(({ isSo }) => !isSo).map(({ name }) => `${name} is not ready`),
  );

  // Refused is an answer of the pod's kernel: the probe came to it, and was taken for what it is.
  const closed = await probeOnce(cluster, { name: 'green-closed', namespace: 'green', node: 'node1', probe: 'tcpSocket', probePort: closedPort });
  checks.check('a probe of a port where nobody listens is refused by the pod', /connection refused/.test(closed), closed);
  const hidden = await probeOnce(cluster, { name: 'blue-hidden', namespace: 'blue', node: 'node1', probe: 'httpGet' });
  checks.check('a probe does not reach a pod of a tenant without a gateway', /Client.Timeout exceeded|context deadline exceeded|i\/o timeout|no route to host/.test(hidden), hidden);
  for (const path of [podPath('green', 'green-closed'), podPath('blue', 'blue-hidden')]) await api.remove(path);
}

/** Starts a pod whose probe must fail, and waits until it has. @returns the kubelet's words */
async function probeOnce({ api }: Cluster, spec: PodSpec): Promise<string> {
  await api.create(podPath(spec.namespace), describePod(spec));
  // The program in the pod may not listen yet when the first one comes.
  const failures = await until({ what: `the kubelet to say why ${spec.name} is not ready`, deadlineMs, look: () => probeFailures(api, spec), isSo: (found) => found.length > 0 });
  const pod = await api.get<Pod>(podPath(spec.namespace, spec.name));
  return isReady(pod) ? `${spec.name} is ready` : failures.join('; ');
}
