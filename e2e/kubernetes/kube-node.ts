/** A node of the cluster: a private node with weft's daemon, containerd and a kubelet, at their own paths. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { startContainerd } from '../runtimes/containerd.ts';
import { connectCri } from '../runtimes/cri.ts';
import type { PrivateNode } from '../runtimes/private-node.ts';
import { importSandboxImage, sandboxImage } from '../runtimes/sandbox-image.ts';
import type { WatchedProcess } from '../runtimes/watched-process.ts';

/** containerd attaches every pod to its loopback by a plugin as well. */
export const loopbackPlugin = '/usr/lib/cni/loopback';
const socket = '/run/containerd/containerd.sock';

/** restrict_oom_score_adj: a negative one takes CAP_SYS_RESOURCE, which nested machines lack. */
const containerdConfig = `
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
`;
const confList = { cniVersion: '1.0.0', cniVersions: ['1.0.0', '1.1.0'], name: 'pods', plugins: [{ type: 'weft' }] };

export interface KubeNodeOptions {
  readonly host: PrivateNode;
  /** Where the programs are. */
  readonly programs: string;
  readonly kubeconfig: string;
  /** weft.yaml. */
  readonly conf: string;
}

/** The node. Its lifetime is its private node's. */
export class KubeNode {
  readonly host: PrivateNode;
  /** By program; of weft the daemon that was started last. */
  readonly processes: Map<string, WatchedProcess> = new Map();
  /** What each daemon wrote, the present one's last. */
  readonly #daemons: WatchedProcess[] = [];

  constructor(host: PrivateNode) {
    this.host = host;
  }

  get name(): string {
    return this.host.node.name;
  }

  /** All that its daemons have logged. */
  get daemonLog(): string {
    return this.#daemons.map(({ output }) => output).join('');
  }

  /** Starts weft's daemon; its log says of each call what took how long. */
  async startDaemon(): Promise<void> {
    const daemon = await this.host.startDaemon('--log-level', 'debug');
    this.#daemons.push(daemon);
    this.processes.set('weft', daemon);
  }

  /** Ends the daemon by kill -9, and waits until it has. */
  async killDaemon(): Promise<void> {
    const { daemon } = JSON.parse(this.weft('status', '--output', 'json')) as { readonly daemon: { readonly status: { readonly pid: number } } };
    this.host.run('kill', '-9', String(daemon.status.pid));
    await this.#daemons.at(-1)?.ended;
  }

  /** Runs the command line of weft on the node. @returns its stdout */
  weft(...args: readonly string[]): string {
    return this.host.run('/usr/local/bin/weft', ...args);
  }
}

/** Starts everything of a node; its pods can come when Kubernetes has it as ready. */
export async function startKubeNode(scope: TeardownScope, { host, programs, kubeconfig, conf }: KubeNodeOptions): Promise<KubeNode> {
  const node = new KubeNode(host);
  host.run(join(import.meta.dirname, 'kubelet-node.sh'), host.cgroup);
  host.write('/etc/weft/weft.yaml', conf);
  host.run('ln', '-s', loopbackPlugin, '/opt/cni/bin/loopback');
  host.write('/etc/cni/net.d/10-weft.conflist', JSON.stringify(confList));
  await node.startDaemon();
  node.processes.set('containerd', await startContainerd(host, containerdConfig));
  await importSandboxImage(host, connectCri(scope, host.path(socket), `/${host.cgroup}`));
  host.write('/etc/kubernetes/kubelet.kubeconfig', kubeconfig);
  host.write('/etc/kubernetes/kubelet.yaml', JSON.stringify(kubeletConf(host.cgroup)));
  node.processes.set('kubelet', host.start(join(programs, 'kubelet'), ...kubeletFlags(host)));
  return node;
}

function kubeletFlags({ node }: PrivateNode): readonly string[] {
  return [
    '--config=/etc/kubernetes/kubelet.yaml',
    '--kubeconfig=/etc/kubernetes/kubelet.kubeconfig',
    '--container-runtime=remote',
    `--container-runtime-endpoint=unix://${socket}`,
    `--hostname-override=${node.name}`,
    `--node-ip=${node.ipv4}`,
    '--cert-dir=/var/lib/kubelet/pki',
  ];
}

function kubeletConf(cgroup: string): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    enforceNodeAllocatable: ['pods'],
    // A lower one takes CAP_SYS_RESOURCE.
    oomScoreAdj: 0,
    failSwapOn: false,
    // No rules of iptables: there are no services here, and so weft's are the only ones on the node.
    makeIPTablesUtilChains: false,
    // The default is below /usr, which is the machine's.
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
    resolvConf: '/etc/resolv.conf',
    // How full the machine's disk is, is nobody's business here.
    evictionHard: { 'memory.available': '50Mi' },
    imageGCHighThresholdPercent: 100,
    // Five calls a second, the default, would be what is measured with 40 pods.
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
    registryPullQPS: 0,
    eventRecordQPS: 0,
  };
}

/** The directory of the programs that build.sh names. */
export const buildScript: string = resolve(import.meta.dirname, 'build.sh');

/** What the kubelet would set for the machine, as the machine has it. */
export function readMachineSysctls(): Readonly<Record<string, string>> {
  const names = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops', 'kernel/keys/root_maxkeys', 'kernel/keys/root_maxbytes'];
  return Object.fromEntries(names.map((name) => [name, readFileSync(`/proc/sys/${name}`, 'utf8').trim()]));
}
