/** The pods of the test, and what Kubernetes says of them. */
import { sandboxImage } from '../runtimes/sandbox-image.ts';
import type { KubeApi, KubeObject } from './kube-api.ts';
import { until } from './waiting.ts';

/** A pod as the API has it; what the test looks at. */
export interface Pod extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly containerID?: string }[];
  };
}

/** How a kubelet finds out whether a pod is ready. */
export type Probe = 'httpGet' | 'tcpSocket';

export interface PodSpec {
  readonly name: string;
  readonly namespace: string;
  /** @default whichever the scheduler takes */
  readonly node?: string;
  readonly probe?: Probe;
  /** Where the probe knocks. @default where the pod listens */
  readonly probePort?: number;
}

/** Every pod serves HTTP there. */
export const servedPort = 8080;

/** A first process gets no signal that it does not ask for; this one ends when it is told, as a good container does. */
const program = `trap 'exit 0' TERM; /bin/busybox mkdir -p /www; echo ok >/www/index.html; /bin/busybox httpd -f -p ${servedPort} -h /www & wait`;

/** The pod as it is given to the API. */
export function describePod({ name, namespace, ...rest }: PodSpec): unknown {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec: podSpec(rest) };
}

/** A Deployment of pods that are alike, labelled with its name. */
export function describeDeployment({ name, namespace, replicas }: { readonly name: string; readonly namespace: string; readonly replicas: number }): unknown {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec({}) } },
  };
}

function podSpec({ node, probe, probePort = servedPort }: Omit<PodSpec, 'name' | 'namespace'>): unknown {
  const probes = { httpGet: { path: '/index.html', port: probePort }, tcpSocket: { port: probePort } };
  const readinessProbe = probe === undefined ? {} : { readinessProbe: { [probe]: probes[probe], periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 1 } };
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
    containers: [{ name: 'main', image: sandboxImage, imagePullPolicy: 'Never', command: ['/bin/sh', '-c', program], ...readinessProbe }],
  };
}

/** The path of a namespace's pods, or of one of them. */
export function podPath(namespace: string, name = ''): string {
  return `/api/v1/namespaces/${namespace}/pods${name === '' ? '' : `/${name}`}`;
}

/** Whether its kubelet takes it for ready. */
export function isReady({ status, metadata }: Pod): boolean {
  return metadata.deletionTimestamp === undefined && status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}

/** Waits for a pod to be ready. @throws Error with its last state */
export async function untilReady(api: KubeApi, { name, namespace }: PodSpec, deadlineMs = 120_000): Promise<Pod> {
  return until({ what: `pod ${namespace}/${name} to be ready`, deadlineMs, look: () => api.get<Pod>(podPath(namespace, name)), isSo: isReady });
}

/** What kubelets have said of a pod's probes. */
export async function probeFailures(api: KubeApi, { name, namespace }: PodSpec): Promise<readonly string[]> {
  const events = await api.list<{ readonly reason: string; readonly message: string }>(`/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name=${name}`);
  return events.items.filter(({ reason }) => reason === 'Unhealthy').map(({ message }) => message);
}
