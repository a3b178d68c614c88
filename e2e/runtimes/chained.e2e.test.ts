/**
 * weft chained with the reference plugins that kubelets' conflists usually have: loopback (which containerd calls by itself), tuning,
 * bandwidth and portmap, by containerd's CRI, with the installed launcher and daemon. Each does what it is for; the daemon leaves
 * alone what they have made; DEL takes it away again.
 */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { inNetns, run, runIn } from '../../pkg/testing/command.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { addressesUsable } from '../harness/container.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { skipWithoutCri, startCri, type CriNode } from './cri-node.ts';

const plugins = ['tuning', 'bandwidth', 'portmap'];
const skip = skipWithoutCri(...plugins) || skipUnless({ tools: ['iptables', 'tc', 'busybox'] });
/** The same rate as an annotation of Kubernetes, in bits per second, and as the kernel shows it. */
const limit = { annotation: '8M', bytesPerSecond: 1_000_000 };
const confList = {
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    { type: 'weft', capabilities: { ips: true, mac: true } },
    { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': '1', 'net.core.somaxconn': '517' } },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
    { type: 'portmap', snat: true, capabilities: { portMappings: true } },
  ],
};
const deadlineMs = 30_000;
t.setTimeout(90_000);

t.test('a pod with all of them', { skip }, async (t) => {
  const node = await startCri(t, confList, plugins);
  const { host, cri } = node;
  const before = host.node.snapshot();
  const pod = await cri.runPodSandbox({
    name: 'web-0', namespace: 'blue', hostPorts: [{ hostPort: 8080, containerPort: 80 }],
    annotations: { 'kubernetes.io/ingress-bandwidth': limit.annotation, 'kubernetes.io/egress-bandwidth': limit.annotation },
  });
  const netns = host.nameNetns(t, pod.pid, 'web-0');
  await addressesUsable(netns);
  t.same(pod.ips, ['10.1.1.10', 'fd00:1::10'], 'the runtime reads the addresses through the whole chain');

  await t.test('loopback and tuning', async (t) => {
    t.ok(findLink(netns, 'lo')?.flags.includes('UP'), 'loopback is up');
    t.equal(runIn(netns, 'cat', '/proc/sys/net/core/somaxconn').trim(), '517');
    t.equal(runIn(netns, 'cat', '/proc/sys/net/ipv4/conf/eth0/arp_notify').trim(), '1');
  });

  await t.test('bandwidth: both directions, and the daemon leaves them', async (t) => {
    const limits = bucketsOf(host.node.netns);
    t.same(limits.map(({ rate }) => rate), [limit.bytesPerSecond, limit.bytesPerSecond], 'one on the host interface, one on the plugin\'s own device');
    await lookAgain(node);
    t.same(bucketsOf(host.node.netns), limits, 'also after the daemon has looked at the whole node');
  });

  await t.test('portmap: the node\'s port from another machine', async (t) => checkPort(t, node, netns));

  await t.test('DEL, twice as the runtime calls it, leaves nothing', async (t) => {
    await cri.stopPodSandbox(pod.id);
    await cri.removePodSandbox(pod.id);
    t.same(bucketsOf(host.node.netns), []);
    t.notMatch(runIn(host.node.netns, 'iptables', '-t', 'nat', '-S'), /8080|10\.1\.1\.10/, 'no rule of the pod');
    const after = host.node.snapshot();
    t.same(after.links, before.links);
    t.same(after.routes, before.routes);
  });
  t.notMatch(node.daemon.output, /"level":"(warn|error)"/);
});

interface Bucket {
  readonly dev: string;
  /** Bytes per second. */
  readonly rate: number;
}

/** The token buckets on a node, by device. */
function bucketsOf(netns: string): readonly Bucket[] {
  const rows = JSON.parse(runIn(netns, 'tc', '-j', 'qdisc', 'show')) as readonly { readonly kind: string; readonly dev: string; readonly options: { readonly rate: number } }[];
  return rows.filter(({ kind }) => kind === 'tbf').map(({ dev, options }) => ({ dev, rate: options.rate })).sort((a, b) => a.dev.localeCompare(b.dev));
}

/** What the daemon says of itself. */
interface DaemonView {
  readonly pid: number;
  readonly reconciler: { readonly passes: number };
}

/** Has the daemon compare the whole node with its ledger, and waits until it has. @throws Error where it is late */
async function lookAgain({ host }: CriNode): Promise<void> {
  // `weft status` ends with 1 where something needs attention, which is no matter here.
  const view = (): DaemonView => (JSON.parse(host.run('sh', '-c', 'weft status -o json || true')) as { readonly daemon: { readonly status: DaemonView } }).daemon.status;
  const before = view();
  host.run('kill', '-HUP', `${before.pid}`);
  for (const deadline = performance.now() + deadlineMs; view().reconciler.passes === before.reconciler.passes; await delay(100)) {
    if (performance.now() > deadline) throw new Error('the daemon did not look at the node');
  }
}

async function checkPort(t: Test, { lab, host }: CriNode, netns: string): Promise<void> {
  const server = spawn('ip', inNetns(netns, 'busybox', 'nc', '-ll', '-p', '80', '-e', '/bin/echo', 'the pod'), { stdio: 'ignore' });
  t.teardown(() => server.kill('SIGKILL'));
  for (let attempt = 0; attempt < 100 && !runIn(netns, 'cat', '/proc/net/tcp', '/proc/net/tcp6').includes(':0050 '); attempt += 1) await delay(50);
  const ask = (from: string, address: string): string => run('ip', inNetns(from, 'busybox', 'nc', '-w', '5', address, '8080')).trim();
  t.equal(ask(lab.underlayNetns, host.node.ipv4), 'the pod', 'from the underlay');
  t.equal(ask(lab.node(2).netns, host.node.ipv4), 'the pod', 'from another node');
}
