/** Nodes with Open vSwitch and a node with Linux bridges in the same tenants find each other by BGP EVPN. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startCapture } from '../../pkg/testing/capture.ts';
import { run, runIn } from '../../pkg/testing/command.ts';
import { frrRequirements } from '../../pkg/testing/frr.ts';
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { describeReport, totalsOf } from '../meter/describe.ts';
import { Meter } from '../meter/meter.ts';
import { ping } from '../harness/container.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { blue, red } from '../harness/tenant.ts';
import { skipWithoutDaemonLabOf } from '../harness/weft-executable.ts';
import { agreed, attachAll, expectKnown, isKnownOn, knows, tenants } from './ovs-scene.ts';
import { attachEvpnGuest, createEvpnScene, eventually, type EvpnGuest, type EvpnScene } from './scene.ts';
import { reflected } from './reflector.ts';
import { carriedBy } from './silent-frames.ts';

const skip = skipUnless(frrRequirements) || skipWithoutDaemonLabOf(['ovs', 'bridge'], 'tcpdump', 'gcc', 'chrt');
t.setTimeout(300_000);

/** Long enough for sessions to end and to come up again, and for what was withdrawn to be forgotten. */
const meterSeconds = 200;
/** A killed program's sessions end at once; the other nodes know of it within a tenth of a second. */
const awayMs = 1500;

t.test('two tenants with equal subnets on a switch, a Linux bridge, and another switch', { skip }, async (t) => {
  const scene = await createEvpnScene(t, { nodes: 3, datapaths: ['ovs', 'bridge', 'ovs'] });
  const linksOf = (): readonly (readonly string[])[] => scene.nodes.map(({ node }) => node.snapshot().links);
  const before = linksOf();
  for (const { node } of scene.nodes) if (node.datapath === 'ovs') forwardInTime(node.openVSwitch);
  const guests = await attachAll(scene);

  await t.test('every node knows all of a tenant’s endpoints, and no other’s', async () => expectKnown(scene, guests));
  await t.test('members reach each other, others nothing', async (t) => {
    t.same(describeFaults(await measureReach(t, guests.map(({ participant }) => participant))), []);
  });
  await t.test('silent endpoints answer the first ping, nobody asks for them, and DEL withdraws them', async (t) => checkSilent(t, scene, guests));
  await t.test('an endpoint that moves is known where it is', async (t) => checkMoves(t, scene, guests));
  await t.test('FRR’s outages cost no packet', async (t) => checkOutages(t, scene, guests));
  await t.test('ovs-vswitchd ends, and knows the endpoints elsewhere again', async (t) => checkSwitchOutage(t, scene, guests));
  await t.test('nothing is left of a tenant after its last DEL', async (t) => {
    for (const guest of guests) await scene.lab.detach(guest);
    t.same(linksOf(), before);
  });
});

t.test('switches whose only neighbour is a route reflector: not even their nodes have spoken to each other', { skip }, async (t) => {
  const scene = await createEvpnScene(t, { ...reflected(2), datapaths: ['ovs', 'ovs'] });
  const guests = await attachAll(scene);
  await expectKnown(scene, guests);
  const [one, other] = guests.filter(({ participant: { tenant } }) => tenant === blue.name) as [EvpnGuest, EvpnGuest];
  for (const address of [other.participant.ipv4, other.participant.ipv6]) t.equal(await ping(one.netns, address), 1, `${address} answers the first ping`);
});

/** Containers that have never sent a packet of their own accord, on each of the nodes, and who looks for them on a switch. */
async function checkSilent(t: Test, scene: EvpnScene, guests: readonly EvpnGuest[]): Promise<void> {
  const { lab, nodes } = scene;
  const asking = guests.find(({ participant: { tenant }, node }) => tenant === blue.name && node === nodes[0]?.node) as EvpnGuest;
  const silent: EvpnGuest[] = [];
  for (const index of nodes.keys()) silent.push(await attachEvpnGuest(lab, blue, { node: index + 1, label: `still${index + 1}` }));
  await lab.settle();
  await expectKnown(scene, [...guests, ...silent]);
  runIn(asking.netns, 'ip', 'neigh', 'flush', 'dev', 'eth0');
  const underlay = await startCapture(t, lab.underlayNetns, 'br0');
  for (const { participant: { ipv4, ipv6 } } of silent) {
    for (const address of [ipv4, ipv6]) t.equal(await ping(asking.netns, address), 1, `${address} answers the first ping`);
  }
  await underlay.drain();
  const asked = underlay.frames.map(carriedBy).flatMap((carried) => carried?.question ?? []).filter(({ from }) => from === nodes[0]?.node.ipv4);
  t.same(asked.filter(({ kind }) => kind === 'ARP request'), [], 'ARP is answered by the switch');
  t.same(asked.filter(({ isFlooded }) => isFlooded), [], 'a neighbour solicitation goes to its owner alone');
  for (const guest of silent) await lab.detach(guest);
  await expectKnown(scene, guests);
}

/** The same addresses and MAC from a switch to the bridge, to the other switch and back, gone before it comes or after. */
async function checkMoves(t: Test, scene: EvpnScene, guests: readonly EvpnGuest[]): Promise<void> {
  const ranges = [['10.1.1.0/24', '10.1.1.77'], ['fd00:1::/64', 'fd00:1::77']].map(([subnet, address]) => [{ subnet, rangeStart: address, rangeEnd: address }]);
  const tenant = { ...blue, extra: { ipam: { type: 'weft', ranges } } };
  let before: EvpnGuest | undefined;
  for (const [index, node] of [1, 2, 3, 1, 3].entries()) {
    const isGoneFirst = index % 2 === 1;
    if (before !== undefined && isGoneFirst) await scene.lab.detach(before);
    const mover = await attachEvpnGuest(scene.lab, tenant, { node, label: `mover${index}` });
    if (before !== undefined && !isGoneFirst) await scene.lab.detach(before);
    await scene.lab.settle();
    await expectKnown(scene, [...guests, mover]);
    const asking = guests.filter((guest) => guest.participant.tenant === blue.name && guest.node !== mover.node);
    for (const { netns, node: { name } } of asking) t.equal(await ping(netns, '10.1.1.77'), 1, `from ${name} to node${node}`);
    before = mover;
  }
  if (before !== undefined) await scene.lab.detach(before);
  await expectKnown(scene, guests);
}

/**
 * FRR's programs end on a switch's node and on the bridge's while blue's exchange packets round the nodes by IPv4, and red's the other way by IPv6.
 * No answer tells where anybody is.
 */
async function checkOutages(t: Test, scene: EvpnScene, guests: readonly EvpnGuest[]): Promise<void> {
  const meter = Meter.start(t, { seconds: meterSeconds });
  for (const { participant: { name, tenant, netns, ipv4, ipv6 } } of guests) await meter.open(name, { netns, address: tenant === blue.name ? ipv4 : ipv6 });
  const [round, back] = [[[1, 2], [2, 3], [3, 1]], [[2, 1], [3, 2], [1, 3]]] as const;
  for (const [{ name }, hops] of [[blue, round], [red, back]] as const) for (const [from, to] of hops) await meter.flow(`${name}-${from}`, `${name}-${to}`);
  for (const [index, program] of [[0, 'bgpd'], [1, 'bgpd'], [2, 'zebra']] as const) {
    const { frr, node } = scene.nodes[index] as EvpnScene['nodes'][number];
    await frr.kill(program);
    await delay(awayMs);
    for (const one of scene.nodes.filter((other) => other.node.datapath === 'ovs')) t.ok(isKnownOn(one, guests), `${one.node.name} knows everybody while ${program} of ${node.name} is away`);
    await frr.start(program);
    for (const one of scene.nodes) await agreed(one);
    await expectKnown(scene, guests);
  }
  const report = await meter.finish();
  const { lost, duplicated, misdelivered } = totalsOf(report);
  t.same({ lost, duplicated, misdelivered }, { lost: 0, duplicated: 0, misdelivered: 0 }, describeReport(report));
}

/**
 * The userspace datapath forwards on ovs-vswitchd's main thread, and a network card holds what it is late with for some 50 ms at this rate:
 * on a machine that is busy with other things packets would be lost of which FRR knows nothing.
 */
function forwardInTime(ovs: OpenVSwitch): void {
  run('chrt', ['--all-tasks', '--fifo', '--pid', '1', String(ovs.pidOf('ovs-vswitchd'))]);
}

async function checkSwitchOutage(t: Test, scene: EvpnScene, guests: readonly EvpnGuest[]): Promise<void> {
  const [one] = scene.nodes as [EvpnScene['nodes'][number]];
  const { openVSwitch } = one.node;
  const before = tenants.map(({ vni }) => knows(one, vni));
  await openVSwitch.kill('ovs-vswitchd');
  await openVSwitch.start('ovs-vswitchd');
  await eventually('its flows are there again', () => JSON.stringify(tenants.map(({ vni }) => knows(one, vni))) === JSON.stringify(before), () => one.daemon.describe());
  await eventually('they reach each other again', async () => (await unreached(guests)).length === 0);
  await agreed(one);
  t.same(tenants.map(({ vni }) => knows(one, vni)), before);
}

/** Members of blue that do not answer the first one. */
async function unreached(guests: readonly EvpnGuest[]): Promise<readonly string[]> {
  const [from, ...others] = guests.filter(({ participant: { tenant } }) => tenant === blue.name) as [EvpnGuest, ...EvpnGuest[]];
  const answers = await Promise.all(others.map(async ({ participant: { ipv4 } }) => ((await ping(from.netns, ipv4)) > 0 ? [] : [ipv4])));
  return answers.flat();
}
