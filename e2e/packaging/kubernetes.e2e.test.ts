/**
 * The DaemonSet on a node: with no more of the node than its manifest declares, its init container installs, its daemon serves the launcher
 * that it has installed, an upgrade loses no packet, and uninstalling waits for the last pod.
 */
import { appendFileSync, copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { run } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import { netnsPath, uniqueName, type TeardownScope } from '../../pkg/testing/netns.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { ping } from '../harness/container.ts';
import { tracesOfTenant } from '../harness/kernel-view.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { netConf } from '../harness/net-conf.ts';
import { skipWithoutDaemonLab, weftExecutable } from '../harness/weft-executable.ts';
import { Meter } from '../meter/meter.ts';
import { createPrivateNode, type PrivateNode } from '../runtimes/private-node.ts';
import type { WatchedProcess } from '../runtimes/watched-process.ts';
import { builtImage, Kubelet, type Image } from './kubelet.ts';
import { installing, readText, uninstalling, type DaemonSet } from './manifest.ts';

const skip = skipWithoutDaemonLab('nsenter', 'unshare', 'chroot', 'busybox', 'gcc') || skipUnless({ executables: ['/usr/lib/cni/host-local'] });
const deadlineMs = 30_000;
t.setTimeout(180_000);

/** Debian's. */
const hostLocal = '/usr/lib/cni/host-local';
/** A tenant whose addresses a reference plugin gives. */
const delegating = `
  - name: purple
    vni: 1007
    namespaces: [purple]
    ipam: {type: host-local, ranges: [[{subnet: 10.7.0.0/24}]]}
`;
/** Left on the node by an installation. */
const installedFiles = ['/usr/local/bin/weft', '/opt/cni/bin/weft', '/etc/weft/weft.yaml', '/etc/cni/net.d/10-weft.conflist', '/var/lib/weft/installed.json'] as const;

t.test('install, pods, upgrade, uninstall', { skip }, async (t) => {
  const { lab, host, kubelet } = await createNode(t);
  const before = host.node.snapshot();

  await t.test('the init container installs, and the kubelet becomes ready last', async (t) => {
    const said = kubelet.run(installing(), 'install', builtImage);
    t.match(said, /replaced \/etc\/weft\/weft\.yaml\nreplaced \/etc\/cni\/net\.d\/10-weft\.conflist\n/);
    t.same(there(host), [true, true, true, true, true]);
    t.ok(readFileSync(host.path('/usr/local/bin/weft')).equals(readFileSync(weftExecutable)));
    t.match(kubelet.run(installing(), 'install', builtImage), /everything was in place/, 'a second time it has nothing to do');
    t.notOk(kubelet.probe(installing(), 'daemon', 'readinessProbe'), 'no daemon yet');
  });

  let daemon = await startDaemon(kubelet, builtImage);
  t.ok(kubelet.probe(installing(), 'daemon', 'readinessProbe'), 'ready');
  t.ok(kubelet.probe(installing(), 'daemon', 'livenessProbe'), 'alive');

  const far = await lab.attach(lab.node(2), { label: 'far', conf: blueConf(lab) });
  await t.test('pods are attached by the daemon, through what was installed', async (t) => {
    t.match(cni(host, 'ADD', { pod: 'web', namespace: 'blue' }), { ips: [{ address: '10.1.1.1/16' }] });
    t.match(cni(host, 'ADD', { pod: 'other', namespace: 'green' }), { ips: [{ address: '10.1.1.1/16' }] }, 'the same address in the other tenant');
    t.match(cni(host, 'ADD', { pod: 'dns', namespace: 'kube-system' }), { ips: [{ address: '10.100.1.1/16', gateway: '10.100.0.1' }] });
    await daemon.heard(/"verb":"ADD".*"outcome":"ok"[^]*"verb":"ADD".*"outcome":"ok"[^]*"verb":"ADD".*"outcome":"ok"/);
    t.notMatch(daemon.output, /"level":"(warn|error)"/, 'it misses nothing of the node');
    t.equal(await ping(host.node.netns, '10.100.1.1'), 1, 'the kubelet reaches a pod of a tenant with a gateway');
    const web = nameOf(t, host, 'web');
    t.equal(await eventually(async () => (await ping(web, '10.1.2.1')) === 1), true, 'the other node');
  });

  await t.test('a delegated IPAM plugin is the node\'s, and so is what it keeps', async (t) => {
    t.match(cni(host, 'ADD', { pod: 'foreign', namespace: 'purple' }), { ips: [{ address: /^10\.7\.0\.\d+\/24$/ }] });
    await daemon.heard(/"verb":"ADD"[^\n]*"containerId":"foreign"[^\n]*"outcome":"ok"|"containerId":"foreign"[^\n]*"verb":"ADD"[^\n]*"outcome":"ok"/);
    t.match(host.run('find', '/var/lib/cni', '-type', 'f'), /\/10\.7\.0\.\d+\n/, 'on the node, where it outlives the pod');
    cni(host, 'DEL', { pod: 'foreign', namespace: 'purple' });
    t.notMatch(host.run('find', '/var/lib/cni', '-type', 'f'), /\/10\.7\.0\.\d+\n/);
  });

  await t.test('an upgrade: a new image, the daemon before it, pods that come and go; no packet is lost', async (t) => {
    const newer = newerImage(t);
    const meter = Meter.start(t, { rate: 200 });
    await meter.open('web', { netns: nameOf(t, host, 'web'), address: '10.1.1.1' });
    await meter.open('far', { netns: far.netns, address: '10.1.2.1' });
    await meter.mesh(['web', 'far']);
    await delay(500);
    t.equal(await stopDaemon(host, daemon), 0, 'SIGTERM');
    t.match(cni(host, 'ADD', { pod: 'between', namespace: 'blue' }), { ips: [{}] }, 'without a daemon, by the executable on the node');
    t.match(kubelet.run(installing(), 'install', newer), /replaced \/usr\/local\/bin\/weft\n/);
    daemon = await startDaemon(kubelet, newer);
    cni(host, 'DEL', { pod: 'between', namespace: 'blue' });
    await daemon.heard(/"verb":"DEL".*"outcome":"ok"/);
    const report = await meter.finish();
    t.ok(report.flows.every(({ sent }) => sent > 100), 'there was traffic');
    t.same(report.flows.map(({ lost, refused }) => ({ lost, refused })), [{ lost: 0, refused: 0 }, { lost: 0, refused: 0 }]);
  });

  await t.test('uninstalling waits for the last pod, whose DEL is done', async (t) => checkUninstall(t, { host, kubelet, daemon }));
  t.same(host.node.snapshot(), before, 'nothing is left on the node');
});

t.test('what is wrong stops the installation, with nothing changed', { skip }, async (t) => {
  const { host, kubelet } = await createNode(t, 'node-7');
  t.throws(() => kubelet.run(installing(), 'install', builtImage), /Cannot read \/config\/node-7\.yaml/, 'a node without a configuration');
  host.run('sh', '-c', 'cp /run/kubelet/config-map/node-1.yaml /run/kubelet/config-map/node-7.yaml; echo "{}" >/etc/cni/net.d/05-cilium.conflist');
  t.throws(() => kubelet.run(installing(), 'install', builtImage), /05-cilium\.conflist is another network, and comes before/);
  t.same(there(host), [false, false, false, false, false]);
});

interface Scene {
  readonly host: PrivateNode;
  readonly kubelet: Kubelet;
  readonly daemon: WatchedProcess;
}

async function checkUninstall(t: Test, { host, kubelet, daemon }: Scene): Promise<void> {
  t.ok(installing().spec.template.spec.terminationGracePeriodSeconds > 40, 'calls under way have their time');
  await stopDaemon(host, daemon);
  const next = await startDaemon(kubelet, builtImage, uninstalling());
  const leaving = kubelet.start(withoutLinger(uninstalling()), 'uninstall', builtImage);
  await leaving.heard(/waiting for 3 endpoint/);
  t.same(there(host), [true, true, true, true, true], 'all is there that a DEL needs');
  t.notOk(kubelet.probe(uninstalling(), 'uninstall', 'readinessProbe'), 'the rollout waits');
  cni(host, 'DEL', { pod: 'web', namespace: 'blue' });
  cni(host, 'DEL', { pod: 'other', namespace: 'green' });
  await leaving.heard(/waiting for 1 endpoint/);
  t.same(tracesOfTenant(host.node, 1002), []);
  cni(host, 'DEL', { pod: 'dns', namespace: 'kube-system' });
  await leaving.heard(/weft is uninstalled/);
  t.same(there(host), [false, false, false, false, false]);
  t.same(host.run('ls', '-A', '/etc/cni/net.d', '/opt/cni/bin', '/etc/weft').trim().split('\n').filter((line) => line !== '' && !line.endsWith(':')), ['host-local'], 'nothing else has gone, and nothing of weft is left');
  t.ok(kubelet.probe(uninstalling(), 'uninstall', 'readinessProbe'), 'the rollout is complete');
  t.equal(await stopDaemon(host, next), 0);
}

/** A node as a machine is before anybody has installed weft on it, and its kubelet. */
async function createNode(t: Test, nodeName = 'node-1'): Promise<{ readonly lab: Lab; readonly host: PrivateNode; readonly kubelet: Kubelet }> {
  const lab = createLab(t, { nodes: 2 });
  const host = await createPrivateNode(t, lab.node(1));
  host.run('rm', '/usr/local/bin/weft', '/opt/cni/bin/weft');
  host.run('cp', hostLocal, '/opt/cni/bin/host-local');
  const peers = (text: string): string => text.replaceAll('192.0.2.1', lab.node(1).ipv4).replaceAll('192.0.2.2', lab.node(2).ipv4);
  const files = ['10-weft.conflist', 'node-1.yaml', 'node-2.yaml'].map((name) => [name, peers(readText(`install/config/${name}`)) + (name.endsWith('.yaml') ? delegating : '')] as const);
  return { lab, host, kubelet: new Kubelet({ host, nodeName, configMap: Object.fromEntries(files) }) };
}

function blueConf(lab: Lab): ReturnType<typeof netConf> {
  const ranges = [[{ subnet: '10.1.0.0/16', rangeStart: '10.1.2.1', rangeEnd: '10.1.2.254' }]];
  return netConf({ name: 'blue', vni: 1001, vtep: lab.node(2).ipv4, peers: [lab.node(1).ipv4], ranges });
}

/** The test has no kubelet that would remove what it has stopped two minutes later. */
function withoutLinger(set: DaemonSet): DaemonSet {
  return JSON.parse(JSON.stringify(set).replace('--linger=120', '--linger=0')) as DaemonSet;
}

/** The same program in another file: what a new version is to an installer. */
function newerImage(scope: TeardownScope): Image {
  const weft = join(temporaryDirectory(scope), 'weft');
  copyFileSync(weftExecutable, weft);
  appendFileSync(weft, '\n');
  return { ...builtImage, weft };
}

async function startDaemon(kubelet: Kubelet, image: Image, set = installing()): Promise<WatchedProcess> {
  const daemon = kubelet.start(set, 'daemon', image);
  await daemon.heard(/the daemon answers calls/);
  return daemon;
}

async function stopDaemon(host: PrivateNode, daemon: WatchedProcess): Promise<number | null> {
  const [, pid = ''] = /"pid":(\d+)[^\n]*the daemon answers calls/.exec(daemon.output) ?? /the daemon answers calls[^\n]*"pid":(\d+)/.exec(daemon.output) ?? [];
  host.run('kill', '-TERM', pid);
  return daemon.ended;
}

interface PodCall {
  readonly pod: string;
  readonly namespace: string;
}

/** As a runtime on the node does: the first plugin of the conflist it finds there, through the launcher it finds there. */
function cni(host: PrivateNode, verb: 'ADD' | 'DEL', { pod, namespace }: PodCall): unknown {
  const list = JSON.parse(readFileSync(host.path('/etc/cni/net.d/10-weft.conflist'), 'utf8')) as { readonly name: string; readonly cniVersion: string; readonly plugins: readonly object[] };
  host.write('/run/kubelet/plugin.json', JSON.stringify({ ...list.plugins[0], name: list.name, cniVersion: list.cniVersion }));
  if (verb === 'ADD') host.run('ip', 'netns', 'add', pod);
  const env = [`CNI_COMMAND=${verb}`, `CNI_CONTAINERID=${pod}`, `CNI_NETNS=/var/run/netns/${pod}`, 'CNI_IFNAME=eth0', 'CNI_PATH=/opt/cni/bin', `CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${pod}`];
  const answer = host.run('env', ...env, 'sh', '-c', '/opt/cni/bin/weft </run/kubelet/plugin.json || { cat >&2; exit 1; }');
  if (verb === 'DEL') host.run('ip', 'netns', 'del', pod);
  return answer === '' ? undefined : JSON.parse(answer);
}

/** Gives a pod's namespace a name that the harness finds; for the scope's time. */
function nameOf(scope: TeardownScope, host: PrivateNode, pod: string): string {
  const name = uniqueName(pod);
  run('touch', [netnsPath(name)]);
  run('mount', ['--bind', host.path(`/run/netns/${pod}`), netnsPath(name)]);
  const remove = (): void => void run('ip', ['netns', 'del', name]);
  const forget = undoAtExit(remove);
  scope.teardown(() => {
    forget();
    remove();
  });
  return name;
}

function there(host: PrivateNode): readonly boolean[] {
  return installedFiles.map((path) => host.run('sh', '-c', 'test -e "$1" && echo yes || echo no', 'sh', path).trim() === 'yes');
}

async function eventually(isSo: () => Promise<boolean>): Promise<boolean> {
  for (const deadline = performance.now() + deadlineMs; performance.now() < deadline; await delay(100)) if (await isSo()) return true;
  return false;
}
