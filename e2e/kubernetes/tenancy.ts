/** Pods of all tenants on both nodes: each has what its tenant gives, reaches its own, and no other. */
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { CleanupStack } from '../harness/cleanup-stack.ts';
import { describeFaults, measureReach, type Participant } from '../harness/reach.ts';
import { findPid } from '../runtimes/containerd.ts';
import { asParticipant } from '../runtimes/members.ts';
import type { Checks } from './checks.ts';
import type { Cluster } from './cluster.ts';
import { describePod, podPath, untilReady, type Pod, type PodSpec } from './pods.ts';
import { tenants } from './tenants.ts';

const letters = ['a', 'b'] as const;
let members = 0;

/** The pods that stay while all else comes and goes: two of each tenant on each node, green's with a probe of either kind. */
export function residents(nodes: readonly string[]): readonly PodSpec[] {
  return nodes.flatMap((node, index) =>
    tenants.flatMap(({ name, isGateway }) =>
      letters.map((letter): PodSpec => {
        const pod = { name: `${name}-${index + 1}${letter}`, namespace: name, node };
        return isGateway ? { ...pod, probe: letter === 'a' ? 'httpGet' : 'tcpSocket' } : pod;
      }),
    ),
  );
}

/** Starts pods one after the other, each when the one before is ready. */
export async function startPods({ api }: Cluster, specs: readonly PodSpec[]): Promise<readonly Pod[]> {
  const pods: Pod[] = [];
  for (const spec of specs) {
    await api.create(podPath(spec.namespace), describePod(spec));
    pods.push(await untilReady(api, spec));
  }
  return pods;
}

/** Measures who reaches whom, at the receivers, and that Kubernetes knows each pod by the address that it has. */
export async function checkTenancy(checks: Checks, cluster: Cluster, pods: readonly Pod[]): Promise<void> {
  const scope = new CleanupStack();
  try {
    const participants: Participant[] = [];
    for (const pod of pods) participants.push(await asMember(scope, cluster, pod));
    await checkReach(scope, checks, pods, participants);
  } finally {
    await scope.run();
  }
}

async function checkReach(scope: TeardownScope, checks: Checks, pods: readonly Pod[], participants: readonly Participant[]): Promise<void> {
  checks.none(
    'each pod has the address that Kubernetes says',
    participants.flatMap(({ name, ipv4 }, index) => (ipv4 === pods[index]?.status.podIP ? [] : [`${name} has ${ipv4} and not ${pods[index]?.status.podIP}`])),
  );
  const reaches = await measureReach(scope, participants);
  const faults = describeFaults(reaches);
  for (const { name } of tenants) {
    const own = reaches.filter(({ from, to }) => from.tenant === name && to.tenant === name);
    checks.none(`pods of ${name} reach all of ${name}, on both nodes, over IPv4, IPv6 and by broadcast (${own.length} pairs)`, faultsAmong(faults, own.map(pairOf)));
  }
  const others = reaches.filter(({ from, to }) => from.tenant !== to.tenant);
  checks.none(`no packet of a tenant comes out in another (${others.length} pairs)`, faultsAmong(faults, others.map(pairOf)));
}

/** A pod as a participant of a measurement, as long as the scope lasts. */
export async function asMember(scope: TeardownScope, cluster: Cluster, pod: Pod | undefined): Promise<Participant> {
  if (pod === undefined) throw new Error('there is no such pod');
  const { host } = cluster.nodeNamed(pod.spec.nodeName);
  const tenant = tenantOf(pod);
  const id = pod.status.containerStatuses?.[0]?.containerID?.replace('containerd://', '') ?? '';
  members += 1;
  // The marker of its packets: eight bytes, and none begins with another.
  const name = `${tenant.name.slice(0, 5)}-${members % 100}`.padEnd(8, '.');
  return asParticipant(scope, host, { name, tenant: tenant.name, pid: findPid(host, id, 'k8s.io'), broadcast: `${tenant.ipv4}.1.255` });
}

/** The tenant whose patterns have the pod's namespace. @throws Error where none has */
export function tenantOf({ metadata: { namespace = '' } }: Pod): (typeof tenants)[number] {
  const tenant = tenants.find(({ namespaces }) => namespaces.some((pattern) => (pattern.endsWith('*') ? namespace.startsWith(pattern.slice(0, -1)) : namespace === pattern)));
  if (tenant === undefined) throw new Error(`namespace ${namespace} belongs to no tenant`);
  return tenant;
}

function pairOf({ from, to }: { readonly from: Participant; readonly to: Participant }): readonly [string, string] {
  return [from.name, to.name];
}

/** Faults are sentences that name both ends. */
function faultsAmong(faults: readonly string[], pairs: readonly (readonly [string, string])[]): readonly string[] {
  return faults.filter((fault) => pairs.some(([from, to]) => fault.includes(`${from} `) && fault.endsWith(to)));
}
