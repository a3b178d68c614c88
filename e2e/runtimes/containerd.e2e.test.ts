/** containerd 1.6 drives weft: `ctr run --cni` calls ADD, and DEL without a namespace when the container has ended. */
import type { Test } from 'tap';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { tracesOfTenant } from '../harness/kernel-view.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { attachGuest, blue as blueTenant } from '../harness/tenant.ts';
import { runContainer, startContainerd, type CtrContainer } from './containerd.ts';
import { asParticipant } from './members.ts';
import { createPrivateNode, skipWithoutRuntime, type PrivateNode } from './private-node.ts';
import { shippedConfList } from './shipped-files.ts';

const skip = skipWithoutRuntime('containerd', 'ctr', 'tcpdump');
const config = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n';
/** All that `ctr run` writes when neither ADD nor DEL gives it reason to complain. */
const nothingToReport = 'attached\n';
testEachDatapath('containers of two tenants by ctr run', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath, datapath]);
  const host = await createPrivateNode(t, lab.node(1));
  if (datapath === 'ovs') host.write('/etc/weft/weft.yaml', lab.node(1).wiring);
  const daemon = await host.startDaemon();
  await startContainerd(host, config);
  const before = host.node.snapshot();
  const blue1 = await runContainer(host, 'blue-1', shippedConfList(lab));
  const blue2 = await runContainer(host, 'blue-2', shippedConfList(lab));
  const red1 = await runContainer(host, 'red-1', shippedConfList(lab, { name: 'red', vni: 1002 }));

  await t.test('containers have the addresses of their tenants', async (t) => {
    t.match(ipv4Of(blue1), /inet 10\.1\.1\.10\/24 /);
    t.match(ipv4Of(blue2), /inet 10\.1\.1\.11\/24 /);
    t.match(ipv4Of(red1), /inet 10\.1\.1\.10\/24 /, 'the same address in the other tenant');
    t.match(blue2.exec('/bin/ping', '-c', '1', '10.1.1.10'), /1 packets received/);
  });

  await t.test('each reaches its tenant, on the other node too, and nobody else', async (t) => {
    const far = await attachGuest(lab, blueTenant, 2, { label: 'far' });
    await lab.settle();
    const members = [
      await asParticipant(t, host, { name: 'blue-1', tenant: 'blue', pid: blue1.pid }),
      await asParticipant(t, host, { name: 'blue-2', tenant: 'blue', pid: blue2.pid }),
      await asParticipant(t, host, { name: 'red-1', tenant: 'red', pid: red1.pid }),
    ];
    t.same(describeFaults(await measureReach(t, [...members, far.participant])), []);
  });

  await t.test('what ends takes its own with it and nothing else', async (t) => {
    t.equal(await red1.end(), nothingToReport);
    t.same(tracesOfTenant(host.node, 1002), []);
    t.match(blue2.exec('/bin/ping', '-c', '1', '10.1.1.10'), /1 packets received/);
    for (const container of [blue1, blue2]) t.equal(await container.end(), nothingToReport);
    t.same(host.node.snapshot(), before);
  });

  await t.test('the addresses are free again', async (t) => {
    await checkFreeAgain(t, lab, host);
    t.same(host.node.snapshot(), before);
  });

  t.match(daemon.output, /"verb":"ADD",.*"outcome":"ok"/, 'it was the daemon that attached them');
  t.match(daemon.output, /"verb":"DEL",.*"outcome":"ok"/);
}, { skip, timeout: 90_000 });

async function checkFreeAgain(t: Test, lab: Lab, host: PrivateNode): Promise<void> {
  const next = await runContainer(host, 'next', shippedConfList(lab));
  t.match(ipv4Of(next), /inet 10\.1\.1\.12\/24 /, 'the next container gets none that was just given back');
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.11' }]];
  const narrow = shippedConfList(lab, { ranges });
  const both = [await runContainer(host, 'again-1', narrow), await runContainer(host, 'again-2', narrow)];
  await t.rejects(runContainer(host, 'third', narrow), /No address is free/, 'the words of weft reach the user of ctr');
  for (const container of [next, ...both]) t.equal(await container.end(), nothingToReport);
}

function ipv4Of(container: CtrContainer): string {
  return container.exec('/bin/ip', '-4', 'addr', 'show', 'eth0');
}
