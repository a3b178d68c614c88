/** Why weft uninstall takes the conflist away when the last pod is gone and not before, and that it does so under a real containerd. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { PrivateNode } from '../runtimes/private-node.ts';
import { skipWithoutCri, startCri, type CriNode } from '../runtimes/cri-node.ts';

const confList = { cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'weft' }] };
const confListPath = '/etc/cni/net.d/10-weft.conflist';
const deadlineMs = 20_000;
t.setTimeout(90_000);

t.test('uninstalling under containerd', { skip: skipWithoutCri() }, async (t) => {
  const node = await startCri(t, confList);
  const { host, cri } = node;
  t.match(host.run('weft', 'install', '--config', '/etc/weft/weft.yaml', '--conflist', confListPath), /weft is installed: \/usr\/local\/bin\/weft, \/opt\/cni\/bin\/weft/);
  const before = host.node.snapshot();
  const [web, db] = [await cri.runPodSandbox({ name: 'web-0', namespace: 'blue' }), await cri.runPodSandbox({ name: 'db-0', namespace: 'blue' })];

  await t.test('without its conflist containerd stops no pod', async (t) => checkStuck(t, node, web.id));

  await t.test('with pods nothing is removed', async (t) => {
    t.throws(() => host.run('weft', 'uninstall'), /nothing was removed: 1 endpoint\(s\) are left on this node: .*kubectl cordon/);
    t.ok(isThere(host, confListPath) && isThere(host, '/opt/cni/bin/weft') && isThere(host, '/usr/local/bin/weft'));
  });

  await t.test('with the last pod it goes', async (t) => {
    const leaving = host.start('weft', 'uninstall', '--wait', '60', '--linger', '5');
    await leaving.heard(/waiting for 1 endpoint/);
    await cri.stopPodSandbox(db.id);
    await leaving.heard(/no endpoint is left/);
    await cri.removePodSandbox(db.id);
    t.ok(isThere(host, confListPath), 'for which it was there');
    t.equal(await leaving.ended, 0);
    t.match(leaving.output, /took \/etc\/cni\/net\.d\/10-weft\.conflist from the runtime's sight[^]*weft is uninstalled/);
    for (const path of [confListPath, '/opt/cni/bin/weft', '/usr/local/bin/weft', '/etc/weft/weft.yaml']) t.notOk(isThere(host, path), path);
    t.same(host.node.snapshot(), before, 'nothing of a pod is left');
  });
});

/** The runtime sees the directory's changes a moment later, in both directions. */
async function checkStuck(t: Test, { host, cri }: CriNode, id: string): Promise<void> {
  host.run('mv', confListPath, '/run/aside');
  await delay(500);
  await t.rejects(cri.stopPodSandbox(id), /cni plugin not initialized/);
  host.run('mv', '/run/aside', confListPath);
  let fault: unknown = 'never tried';
  for (const deadline = performance.now() + deadlineMs; fault !== undefined && performance.now() < deadline; await delay(100)) {
    fault = await cri.stopPodSandbox(id).then(() => undefined, (error: unknown) => error);
  }
  t.equal(fault, undefined, 'and with it again it does');
  host.run('mv', confListPath, '/run/aside');
  await delay(500);
  await t.rejects(cri.removePodSandbox(id), /cni plugin not initialized/, 'nor does it remove one that it has stopped');
  host.run('mv', '/run/aside', confListPath);
}

function isThere(host: PrivateNode, path: string): boolean {
  return host.run('sh', '-c', 'test -e "$1" && echo yes || echo no', 'sh', path).trim() === 'yes';
}
