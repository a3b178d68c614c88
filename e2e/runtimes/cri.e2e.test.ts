/**
 * containerd 1.6 drives weft for a kubelet: the namespaces of pods choose their tenants, DEL comes twice, the second time
 * without a network namespace, and a pod's next sandbox is made before the last one is removed.
 */
import t, { type Test } from 'tap';
import { ping } from '../harness/container.ts';
import { segmentLinks } from '../harness/kernel-view.ts';
import { createLab } from '../harness/lab.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { startContainerd } from './containerd.ts';
import { connectCri, type CriClient, type Sandbox } from './cri.ts';
import { asParticipant } from './members.ts';
import { createPrivateNode, skipWithoutRuntime, type PrivateNode } from './private-node.ts';
import { importSandboxImage, sandboxImage } from './sandbox-image.ts';
import { shippedFile } from './shipped-files.ts';

/** containerd attaches every pod to its loopback by a plugin as well. */
const loopbackPlugin = '/usr/lib/cni/loopback';
const skip = skipWithoutRuntime('containerd', 'ctr') || skipUnless({ executables: [loopbackPlugin] });
/** restrict_oom_score_adj: a negative one takes CAP_SYS_RESOURCE, which nested machines lack. */
const config = `
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`;
const confList = { cniVersion: '1.0.0', cniVersions: ['1.0.0', '1.1.0'], name: 'pods', plugins: [{ type: 'weft' }] };
t.setTimeout(90_000);

t.test('pods of two tenants by the CRI', { skip }, async (t) => {
  const { host, cri } = await startCri(t);
  const before = host.node.snapshot();
  const web = await cri.runPodSandbox({ name: 'web-0', namespace: 'blue-web' });
  const db = await cri.runPodSandbox({ name: 'db-0', namespace: 'blue' });
  const green = await cri.runPodSandbox({ name: 'green-0', namespace: 'green' });

  await t.test('the kubelet learns the addresses, in both families', async (t) => {
    t.same(web.ips, ['10.1.1.10', 'fd00:1::10']);
    t.same(db.ips, ['10.1.1.11', 'fd00:1::11']);
    t.same(green.ips, ['10.1.1.10'], 'the same address in the other tenant');
  });

  await t.test('a pod of no tenant is refused in words that reach the kubelet', async (t) => {
    const running = host.node.snapshot();
    await t.rejects(cri.runPodSandbox({ name: 'lost', namespace: 'default' }), /plugin type="weft" failed \(add\): .*under tenants of/);
    t.same(host.node.snapshot(), running);
  });

  await t.test('a pod reaches its tenant and nobody else', async (t) => {
    const from = await asParticipant(t, host, { name: 'web-0', tenant: 'blue', pid: web.pid });
    const other = await asParticipant(t, host, { name: 'green-0', tenant: 'green', pid: green.pid });
    for (const address of [...db.ips, '10.1.1.1']) t.equal(await ping(from.netns, address), 1, address);
    for (const address of ['10.1.1.11', '10.1.1.1']) t.equal(await ping(other.netns, address), 0, `not ${address} from green`);
  });

  await t.test('a late DEL of the last sandbox takes nothing from the next', async (t) => checkSuccession(t, { host, cri, web, db }));

  await t.test('nothing is left when the sandboxes are gone', async (t) => {
    await cri.stopPodSandbox(green.id);
    t.same(segmentLinks(host.node.netns, 1002), []);
    await cri.stopPodSandbox(green.id);
    await cri.removePodSandbox(green.id);
    await cri.removePodSandbox(db.id);
    t.same(host.node.snapshot(), before, 'the last one was removed without being stopped');
  });
});

/** A node whose containerd serves the CRI, with weft as its only network. */
async function startCri(t: Test): Promise<{ readonly host: PrivateNode; readonly cri: CriClient }> {
  const lab = createLab(t, { nodes: 2 });
  const host = await createPrivateNode(t, lab.node(1));
  host.write('/etc/weft/weft.yaml', shippedFile(lab, 'weft.yaml'));
  host.write('/etc/cni/net.d/10-weft.conflist', JSON.stringify(confList));
  host.run('ln', '-s', loopbackPlugin, '/opt/cni/bin/loopback');
  await host.startDaemon();
  await startContainerd(host, config);
  const cri = connectCri(t, host.path('/run/containerd/containerd.sock'), `/${host.cgroup}`);
  await importSandboxImage(host, cri);
  return { host, cri };
}

interface Scene {
  readonly host: PrivateNode;
  readonly cri: CriClient;
  readonly web: Sandbox;
  readonly db: Sandbox;
}

async function checkSuccession(t: Test, { host, cri, web, db }: Scene): Promise<void> {
  await cri.stopPodSandbox(web.id);
  const next = await cri.runPodSandbox({ name: 'web-0', namespace: 'blue-web', attempt: 1 });
  const before = host.node.snapshot();
  await cri.removePodSandbox(web.id);
  t.same(host.node.snapshot(), before);
  const { netns } = await asParticipant(t, host, { name: 'web-0', tenant: 'blue', pid: next.pid });
  for (const address of db.ips) t.equal(await ping(netns, address), 1, address);
  await cri.stopPodSandbox(next.id);
  await cri.removePodSandbox(next.id);
}
