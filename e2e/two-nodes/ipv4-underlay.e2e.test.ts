import t, { type Test } from 'tap';
import { netnsPath } from '../../pkg/testing/netns.ts';
import { ping } from '../harness/container.ts';
import { pluggedInto, readAttachment, readSegment, readTenant, segmentLinks, tracesOfTenant } from '../harness/kernel-view.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { attachGuest, blue, red, type Guest } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(120_000);

interface Tenants {
  readonly blue1: Guest;
  readonly blue1b: Guest;
  readonly red1: Guest;
  readonly blue2: Guest;
  readonly red2: Guest;
}

for (const { title, datapaths } of pairs) {
  t.test(`two tenants with the same subnet on two nodes: ${title}`, { skip: skipWithoutLabOf(datapaths, 'tcpdump') }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const before = lab.nodes.map((node) => node.snapshot());
    const tenants = await attachTenants(lab);
    const guests = Object.values(tenants);

    await t.test('addresses come from the ranges, the same in both tenants', async (t) => checkAddresses(t, tenants));
    await t.test('members reach each other in both families and by broadcast, others nothing', async (t) => {
      const reaches = await measureReach(t, guests.map(({ participant }) => participant));
      t.equal(reaches.filter(({ isExpected }) => isExpected).length, 8);
      t.same(describeFaults(reaches), []);
    });
    await t.test('full-size packets pass with DF, larger ones do not', async (t) => checkPacketSizes(t, tenants));
    await t.test('the nodes hold what they should', async (t) => checkNodes(t, lab, guests));
    await t.test('the result says what the node holds', async (t) => checkResults(t, guests));
    await t.test('a tenant goes from a node with its last container, and disturbs nobody', async (t) => {
      await checkDetaching(t, lab, tenants);
      t.same(lab.nodes.map((node) => node.snapshot()), before, 'links, routes, nftables and switches are as before');
    });
    await t.test('DEL succeeds a second time, and without a namespace', async (t) => {
      await lab.detach(tenants.blue1);
      const { netns: _, ...withoutNetns } = tenants.blue1.attach;
      t.match(await lab.node(1).del(withoutNetns), { exitCode: 0, stdout: '' });
    });
  });
}

async function attachTenants(lab: Lab): Promise<Tenants> {
  const tenants = {
    blue1: await attachGuest(lab, blue, 1, { label: 'blue-1' }),
    blue1b: await attachGuest(lab, blue, 1, { label: 'blue1b' }),
    red1: await attachGuest(lab, red, 1, { label: 'red-1' }),
    blue2: await attachGuest(lab, blue, 2, { label: 'blue-2' }),
    red2: await attachGuest(lab, red, 2, { label: 'red-2' }),
  };
  await lab.settle();
  return tenants;
}

function checkAddresses(t: Test, { blue1, blue1b, red1, red2 }: Tenants): void {
  t.same(blue1.result.ips?.map(({ address }) => address), ['10.1.1.10/24', 'fd00:1::10/64']);
  t.same(red1.result.ips?.map(({ address }) => address), ['10.1.1.10/24', 'fd00:1::10/64']);
  t.same(blue1b.result.ips?.map(({ address }) => address), ['10.1.1.11/24', 'fd00:1::11/64']);
  t.same(red2.result.ips?.map(({ address }) => address), ['10.1.1.20/24', 'fd00:1::20/64']);
}

async function checkPacketSizes(t: Test, { blue1, blue2 }: Tenants): Promise<void> {
  for (const { address, headerBytes } of [{ address: blue2.participant.ipv4, headerBytes: 28 }, { address: blue2.participant.ipv6, headerBytes: 48 }]) {
    t.equal(await ping(blue1.netns, address, { size: 1450 - headerBytes, df: true }), 1, `1450 bytes to ${address}`);
    t.equal(await ping(blue1.netns, address, { size: 1451 - headerBytes, df: true }), 0, `1451 bytes to ${address}`);
    t.equal(await ping(blue1.netns, address, { size: 4000 }), 1, `4000 bytes in fragments to ${address}`);
  }
}

function checkNodes(t: Test, lab: Lab, guests: readonly Guest[]): void {
  const [node1, node2] = [lab.node(1), lab.node(2)];
  for (const [node, other] of [[node1, node2], [node2, node1]] as const) {
    for (const vni of [1001, 1002]) t.same(readTenant(node, vni), { local: node.ipv4, port: 4789, peers: [other.ipv4] }, `VNI ${vni} on ${node.name}`);
    if (node.datapath === 'bridge') checkLinks(t, node);
  }
  for (const guest of guests) {
    const view = readAttachment(guest);
    const bridge = guest.node.datapath === 'ovs' ? 'weft-int' : `weft-br${guest.participant.tenant === 'blue' ? 1001 : 1002}`;
    t.equal(pluggedInto(guest), bridge, guest.participant.name);
    t.match(view, { hostMtu: 1450, containerMtu: 1450, hostIf: /^weft-p/ }, guest.participant.name);
    t.match(view.hostAlias, guest.participant.tenant, 'the alias names the tenant');
    t.same(view.routes, ['10.1.1.0/24', 'fd00:1::/64'], 'only the subnets are routed');
  }
}

/** A bridge and a VXLAN device for each tenant. */
function checkLinks(t: Test, { netns }: LabNode): void {
  for (const vni of [1001, 1002]) {
    t.match(readSegment(netns, vni), { bridgeKind: 'bridge', bridgeIsUp: true, vxlanMtu: 1500 });
    t.same(segmentLinks(netns, vni), [`weft-br${vni}`, `weft-vx${vni}`]);
  }
}

function checkResults(t: Test, guests: readonly Guest[]): void {
  for (const guest of guests) {
    const { attach, result } = guest;
    const view = readAttachment(guest);
    const inside = result.interfaces?.findIndex(({ sandbox }) => sandbox === netnsPath(attach.netns)) ?? -1;
    t.match(result.interfaces?.[inside], { name: 'eth0', mac: view.containerMac });
    t.ok(result.interfaces?.some(({ name, sandbox }) => name === view.hostIf && (sandbox ?? '') === ''), 'the host interface is in the result');
    t.same(result.ips?.map(({ address }) => address), view.addresses);
    t.ok(result.ips?.every((ip) => ip.interface === inside), 'the addresses belong to the container interface');
  }
}

async function checkDetaching(t: Test, lab: Lab, { blue1, blue1b, red1, blue2, red2 }: Tenants): Promise<void> {
  const node = lab.node(1);
  await lab.detach(blue1);
  t.ok(readTenant(node, 1001), 'one container is left');
  t.equal(await ping(blue1b.netns, blue2.participant.ipv4), 1);
  await lab.detach(blue1b);
  t.same(tracesOfTenant(node, 1001), []);
  t.ok(readTenant(node, 1002));
  t.equal(await ping(red1.netns, red2.participant.ipv4), 1, 'the other tenant still works');
  for (const guest of [red1, blue2, red2]) await lab.detach(guest);
}
