/** podman 4.3 with its CNI backend drives weft: VERSION, ADD with IP= and MAC= in CNI_ARGS, DEL. */
import type { Test } from 'tap';
import { readInterface } from '../harness/container.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { tracesOfTenant } from '../harness/kernel-view.ts';
import { createLabOf } from '../harness/lab.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { asParticipant, type Member } from './members.ts';
import { installPodman, podmanExec, podmanInspect, podmanRemove, podmanRun } from './podman.ts';
import { createPrivateNode, skipWithoutRuntime, type PrivateNode } from './private-node.ts';
import { shippedConfList } from './shipped-files.ts';

const skip = skipWithoutRuntime('podman', 'conmon', 'tcpdump');
const wanted = { ip: '10.1.1.88', mac: '02:00:5e:00:00:88' };
testEachDatapath('containers of two tenants by podman run', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath, datapath]);
  const host = await createPrivateNode(t, lab.node(1));
  if (datapath === 'ovs') host.write('/etc/weft/weft.yaml', lab.node(1).wiring);
  installPodman(host);
  host.write('/etc/cni/net.d/10-weft.conflist', shippedConfList(lab));
  host.write('/etc/cni/net.d/20-red.conflist', shippedConfList(lab, { name: 'red', vni: 1002 }));
  const before = host.node.snapshot();

  await t.test('--ip and --mac-address are what the container has', async (t) => checkWanted(t, host));

  await t.test('what cannot be had is refused in words that reach the user', async (t) => checkRefusals(t, host));

  await t.test('each reaches its tenant and nobody else', async (t) => {
    podmanRun(host, { name: 'blue-2', network: 'blue' });
    podmanRun(host, { name: 'red-1', network: 'red', ...wanted });
    t.match(podmanExec(host, 'blue-2', '/bin/ping', '-c', '1', wanted.ip), /1 packets received/);
    const participants = [
      await asParticipant(t, host, memberOf(host, 'blue', 'blue-1')),
      await asParticipant(t, host, memberOf(host, 'blue', 'blue-2')),
      await asParticipant(t, host, memberOf(host, 'red', 'red-1')),
    ];
    t.same(describeFaults(await measureReach(t, participants)), []);
  });

  await t.test('what is removed takes its own with it, and its address can be had again', async (t) => {
    podmanRemove(host, 'red-1');
    t.same(tracesOfTenant(host.node, 1002), []);
    podmanRemove(host, 'blue-1');
    podmanRun(host, { name: 'blue-3', network: 'blue', ...wanted });
    t.match(podmanExec(host, 'blue-2', '/bin/ping', '-c', '1', wanted.ip), /1 packets received/);
    for (const name of ['blue-2', 'blue-3']) podmanRemove(host, name);
    t.same(host.node.snapshot(), before);
  });
}, { skip, timeout: 90_000 });

async function checkWanted(t: Test, host: PrivateNode): Promise<void> {
  podmanRun(host, { name: 'blue-1', network: 'blue', ...wanted });
  const netns = host.nameNetns(t, memberOf(host, 'blue', 'blue-1').pid, 'blue-1');
  const { ipv4, mac } = readInterface(netns);
  t.same({ ipv4, mac }, { ipv4: [`${wanted.ip}/24`], mac: wanted.mac });
  const template = '{{with index .NetworkSettings.Networks "blue"}}{{.IPAddress}} {{.MacAddress}} {{.Gateway}}{{end}}';
  t.equal(podmanInspect(host, 'blue-1', template), `${wanted.ip} ${wanted.mac} 10.1.1.1`, 'podman reads the same in the result');
}

async function checkRefusals(t: Test, host: PrivateNode): Promise<void> {
  const before = host.node.snapshot();
  const rows = [
    { ip: wanted.ip, words: /10\.1\.1\.88 .*belongs to container/ },
    { ip: '10.1.1.77', words: /must not be in ipam\.exclude \(10\.1\.1\.64-10\.1\.1\.79\): current value is 10\.1\.1\.77/ },
    { ip: '10.9.9.9', words: /failed \(add\).*10\.9\.9\.9/ },
  ];
  for (const { ip, words } of rows) t.throws(() => podmanRun(host, { name: `no-${ip}`, network: 'blue', ip }), words, ip);
  t.same(host.node.snapshot(), before);
}

function memberOf(host: PrivateNode, tenant: string, container: string): Member {
  return { name: container, tenant, pid: Number(podmanInspect(host, container, '{{.State.Pid}}')) };
}
