/** The cluster: a lab of three nodes, all of them private, one with the control plane and two for pods. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { createPrivateNode } from '../runtimes/private-node.ts';
import type { WatchedProcess } from '../runtimes/watched-process.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import type { KubeApi, KubeObject } from './kube-api.ts';
import { startKubeNode, type KubeNode } from './kube-node.ts';
import { namespaces, nodeConf } from './tenants.ts';
import { until } from './waiting.ts';

const readyMs = 240_000;
const podNodes = 2;
/** Of each process, for a person who wants to know what went wrong. */
const tailLines = 25;

interface NodeObject extends KubeObject {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[] };
}

/** The cluster. Its lifetime is its scope's. */
export class Cluster {
  readonly lab: Lab;
  readonly api: KubeApi;
  readonly nodes: readonly KubeNode[];
  readonly #controlPlane: ControlPlane;

  constructor(lab: Lab, controlPlane: ControlPlane, nodes: readonly KubeNode[]) {
    this.lab = lab;
    this.api = controlPlane.api;
    this.nodes = nodes;
    this.#controlPlane = controlPlane;
  }

  /** A node for pods by its number, from 1. @throws RangeError where there is none */
  node(number: number): KubeNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new RangeError(`node must be from 1 to ${this.nodes.length}: current value is ${number}`);
    return node;
  }

  /** The node that Kubernetes has a pod on. @throws Error where it has it on none of them */
  nodeNamed(name: string | undefined): KubeNode {
    const node = this.nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`no node is called ${name}`);
    return node;
  }

  /** The last lines of every process. */
  describe(): string {
    return this.#processes().map(([name, { output }]) => `--- ${name}\n${output.trimEnd().split('\n').slice(-tailLines).join('\n')}`).join('\n');
  }

  /** Writes all that every process has written into a directory, a file each; of weft's daemons on a node one for all of them. */
  saveLogs(directory: string): void {
    mkdirSync(directory, { recursive: true });
    for (const [name, { output }] of this.#processes()) writeFileSync(join(directory, `${name}.log`), output);
    for (const { name, daemonLog } of this.nodes) writeFileSync(join(directory, `${name}-weft.log`), daemonLog);
  }

  #processes(): readonly (readonly [string, WatchedProcess])[] {
    const ofNodes = this.nodes.flatMap((node) => [...node.processes].map(([program, process]) => [`${node.name}-${program}`, process] as const));
    return [...this.#controlPlane.processes, ...ofNodes];
  }
}

/** What there is while the cluster is still being built, for a failure's sake. */
export interface Building {
  cluster?: Cluster;
}

/** Starts a cluster and waits until both nodes are ready and the namespaces are there. @param programs the directory of Kubernetes' programs */
export async function startCluster(scope: TeardownScope, programs: string, building: Building): Promise<Cluster> {
  const lab = createLab(scope, { nodes: podNodes + 1 });
  const podHosts = lab.nodes.slice(0, podNodes);
  const hosts = await Promise.all(podHosts.map((node) => createPrivateNode(scope, node)));
  const controlPlane = await startControlPlane({ host: await createPrivateNode(scope, lab.node(podNodes + 1)), programs, nodes: podHosts.map(({ name }) => name) });
  building.cluster = new Cluster(lab, controlPlane, []);
  const nodes: KubeNode[] = [];
  for (const [index, host] of hosts.entries()) {
    nodes.push(await startKubeNode(scope, { host, programs, kubeconfig: controlPlane.kubeconfigOf(host.node.name), conf: nodeConf(podHosts, index) }));
    building.cluster = new Cluster(lab, controlPlane, nodes);
  }
  const cluster = new Cluster(lab, controlPlane, nodes);
  await untilNodesReady(cluster);
  for (const name of namespaces) await cluster.api.create('/api/v1/namespaces', { metadata: { name } });
  return cluster;
}

async function untilNodesReady({ api, nodes }: Cluster): Promise<void> {
  await until({
    what: `${nodes.length} nodes to be ready`,
    deadlineMs: readyMs,
    look: async () => (await api.list<NodeObject>('/api/v1/nodes')).items.map(({ metadata, status }) => ({ name: metadata.name, ready: status.conditions?.find(({ type }) => type === 'Ready') })),
    isSo: (found) => found.length === nodes.length && found.every(({ ready }) => ready?.status === 'True'),
  });
}
