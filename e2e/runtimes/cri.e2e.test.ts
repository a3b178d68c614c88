/**
 * containerd 1.6 drives weft for a kubelet: the namespaces of pods choose their tenants, DEL comes twice, the second time
 * without a network namespace, and a pod's next sandbox is made before the last one is removed.
 */
import t, { type Test } from 'tap';
import { ping } from '../harness/container.ts';
import { segmentLinks } from '../harness/kernel-view.ts';
import type { CriClient, Sandbox } from './cri.ts';
import { skipWithoutCri, startCri } from './cri-node.ts';
import { asParticipant } from './members.ts';
import type { PrivateNode } from './private-node.ts';

const skip = skipWithoutCri();
const confList = { cniVersion: '1.0.0', cniVersions: ['1.0.0', '1.1.0'], name: 'pods', plugins: [{ type: 'weft' }] };
t.setTimeout(90_000);

t.test('pods of two tenants by the CRI', { skip }, async (t) => {
  const { host, cri } = await startCri(t, confList);
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
