/** etcd and Kubernetes' control plane on a private node of their own, which is the cluster's third. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PrivateNode } from '../runtimes/private-node.ts';
import type { WatchedProcess } from '../runtimes/watched-process.ts';
import { KubeApi, type KubeObject } from './kube-api.ts';
import { until } from './waiting.ts';

const deadlineMs = 120_000;
const directory = '/run/kubernetes';
const proxySocket = '/run/kube-api.sock';
const port = 6443;
const administrator = 'administrator';

export interface ControlPlaneOptions {
  readonly host: PrivateNode;
  /** Where the programs are. */
  readonly programs: string;
  /** Nodes that will join. */
  readonly nodes: readonly string[];
}

export interface ControlPlane {
  readonly api: KubeApi;
  /** A kubeconfig file for the kubelet of a node. */
  readonly kubeconfigOf: (node: string) => string;
  /** By program. */
  readonly processes: ReadonlyMap<string, WatchedProcess>;
}

/** Starts it and waits until the API server says that it is ready. It ends with its node. */
export async function startControlPlane({ host, programs, nodes }: ControlPlaneOptions): Promise<ControlPlane> {
  const tokens = new Map([administrator, ...nodes].map((user) => [user, randomBytes(16).toString('hex')]));
  const processes = new Map<string, WatchedProcess>();
  const start = (program: string, ...args: readonly string[]): void =>
    void processes.set(program, host.start(program === 'etcd' ? 'etcd' : join(programs, program), ...args));

  start('etcd', '--data-dir=/run/etcd', '--listen-client-urls=http://127.0.0.1:2379', '--advertise-client-urls=http://127.0.0.1:2379', '--listen-peer-urls=http://127.0.0.1:2380');
  writeSecrets(host, tokens);
  start('kube-apiserver', ...apiServerFlags(host.node.ipv4));
  // It makes a certificate for itself; whoever has that file trusts it, and the address in it.
  const certificate = await until({
    what: "the API server's certificate",
    deadlineMs,
    look: () => readFileSync(host.path(`${directory}/apiserver.crt`)).toString('base64'),
    isSo: (text) => text !== '',
  });
  const kubeconfig = (user: string): string => describeAccess({ server: `https://${host.node.ipv4}:${port}`, certificate, user, token: tokens.get(user) ?? '' });
  const configFile = `${directory}/administrator.kubeconfig`;
  host.write(configFile, kubeconfig(administrator));
  start('kubectl', 'proxy', `--kubeconfig=${configFile}`, `--unix-socket=${proxySocket}`);
  const api = new KubeApi(host.path(proxySocket));
  await until({
    what: 'the API server',
    deadlineMs,
    look: () => api.list<KubeObject>('/api/v1/namespaces'),
    isSo: (found) => found.items.some(({ metadata }) => metadata.name === 'default'),
  });
  start('kube-controller-manager', `--kubeconfig=${configFile}`, '--leader-elect=false', '--port=0', '--kube-api-qps=100', '--kube-api-burst=200');
  start('kube-scheduler', `--kubeconfig=${configFile}`, '--leader-elect=false', '--port=0', '--kube-api-qps=100', '--kube-api-burst=200');
  return { api, kubeconfigOf: kubeconfig, processes };
}

function writeSecrets(host: PrivateNode, tokens: ReadonlyMap<string, string>): void {
  const groupOf = (user: string): string => (user === administrator ? 'system:masters' : 'system:nodes');
  const nameOf = (user: string): string => (user === administrator ? user : `system:node:${user}`);
  host.write(`${directory}/tokens.csv`, [...tokens].map(([user, token]) => `${token},${nameOf(user)},${user},${groupOf(user)}\n`).join(''));
  // Kubernetes wants a key for the tokens of service accounts, of which the pods here have none.
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  host.write(`${directory}/service-accounts.key`, privateKey.export({ type: 'pkcs1', format: 'pem' }).toString());
}

function apiServerFlags(address: string): readonly string[] {
  return [
    '--etcd-servers=http://127.0.0.1:2379',
    `--cert-dir=${directory}`,
    `--advertise-address=${address}`,
    `--secure-port=${port}`,
    '--service-cluster-ip-range=10.254.0.0/24',
    `--token-auth-file=${directory}/tokens.csv`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--disable-admission-plugins=ServiceAccount',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${directory}/service-accounts.key`,
    `--service-account-signing-key-file=${directory}/service-accounts.key`,
  ];
}

interface Access {
  readonly server: string;
  readonly certificate: string;
  readonly user: string;
  readonly token: string;
}

/** A kubeconfig, in JSON. */
function describeAccess({ server, certificate, user, token }: Access): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority-data': certificate } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'context', context: { cluster: 'cluster', user } }],
    'current-context': 'context',
  });
}
