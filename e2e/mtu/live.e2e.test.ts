/** The underlay's MTU changes while containers talk. */
import { setTimeout as delay } from 'node:timers/promises';
import { appendFileSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { createDaemonLabOf, type Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { readAttachment, readSegment } from '../harness/kernel-view.ts';
import type { DatapathName } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { attachGuest, blue, type Guest, type Tenant } from '../harness/tenant.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { sendPacket } from './packet-size.ts';
import { setSegmentationOffload, startStreamServer, stream, type StreamReport } from './stream.ts';
import { setUnderlayMtu } from './underlay.ts';

t.setTimeout(600_000);

const skip = skipWithoutDaemonLab();
const options = { skip, tools: ['iperf3', 'ethtool'], timeout: 240_000 };
/** A quiet machine has none. Of a busy one it is only asked that the stream goes on within three seconds. */
const longestStallSlots = 30;
/** The second change is a raise, for which the nodes wait two to seven seconds. */
const [streamSeconds, changeSeconds] = [15, 3];

interface Scene {
  readonly lab: Lab;
  readonly daemons: readonly Daemon[];
  readonly near: Guest;
  readonly far: Guest;
}

async function createScene(t: Test, datapath: DatapathName, tenant: Tenant = blue): Promise<Scene> {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath, datapath], { underlayMtu: 1600, daemon: { args: ['--log-level', 'debug'] } });
  const [near, far] = [await attachGuest(lab, tenant, 1, { label: 'near' }), await attachGuest(lab, tenant, 2, { label: 'far' })];
  await lab.settle();
  return { lab, daemons, near, far };
}

async function followed({ daemons }: Scene, guests: readonly Guest[], mtu: number): Promise<void> {
  for (const guest of guests) {
    const daemon = daemons.find(({ node }) => node === guest.node);
    await daemon?.eventually(`gives ${guest.participant.name} an MTU of ${mtu}`, () => {
      const { containerMtu, hostMtu } = readAttachment(guest);
      return containerMtu === mtu && hostMtu === mtu;
    });
  }
}

async function checkAll(t: Test, guests: readonly Guest[]): Promise<void> {
  for (const { node, attach, result, participant } of guests) {
    const outcome = await node.check(attach, result);
    t.equal(outcome.exitCode, 0, `CHECK of ${participant.name}: ${describeOutcome(outcome)}`);
  }
}

testEachDatapath('a stream goes on through 1600, 1500 and 9000', async (t, datapath) => {
  for (const isOffloaded of [true, false]) {
    await t.test(`segmentation offload ${isOffloaded ? 'on' : 'off'}`, async (t) => {
      const scene = await createScene(t, datapath);
      const { lab, near, far } = scene;
      for (const { netns } of [near, far]) setSegmentationOffload(netns, isOffloaded);
      await startStreamServer(t, far.netns);
      print(t, `${datapath}, segmentation offload ${isOffloaded ? 'on' : 'off'}, nothing changes`, await stream(near.netns, far.participant.ipv4, changeSeconds));
      const [report] = await Promise.all([stream(near.netns, far.participant.ipv4, streamSeconds), changeTwice(scene)]);
      print(t, `${datapath}, segmentation offload ${isOffloaded ? 'on' : 'off'}, 1600 to 1500 to 9000`, report);
      t.equal(report.error, undefined, 'the connection is not reset');
      t.ok(report.longestStall <= longestStallSlots, `${report.longestStall} stalled slots in a row`);
      await checkAll(t, [near, far]);
      t.equal(await sendPacket(near.netns, far.participant.ipv4, 8950), 'delivered');
      t.equal(await sendPacket(near.netns, far.participant.ipv4, 8951), 'refused');
      const late = await attachGuest(lab, blue, 1, { label: 'late' });
      t.ok(late.result.interfaces?.every(({ mtu }) => mtu === undefined || mtu === 8950), 'whoever comes later is told of it');
      t.match(readAttachment(late), { containerMtu: 8950 });
    });
  }
}, options);

async function changeTwice(scene: Scene): Promise<void> {
  for (const [underlay, overlay] of [[1500, 1450], [9000, 8950]] as const) {
    await delay(changeSeconds * 1000);
    setUnderlayMtu(scene.lab, underlay);
    await followed(scene, [scene.near, scene.far], overlay);
  }
}

function print(t: Test, what: string, { retransmits, stalled, longestStall, slots, gbits }: StreamReport): void {
  t.comment(`${what}: ${retransmits} segments sent again, ${stalled} of ${slots} slots stalled, ${longestStall} in a row at most, ${gbits.toFixed(2)} Gbit/s`);
}

testEachDatapath('links, ledger and CHECK follow, and the log says why', async (t, datapath) => {
  const scene = await createScene(t, datapath, { ...blue, extra: { isGateway: true } });
  const { lab, daemons: [daemon], near, far } = scene as Scene & { readonly daemons: readonly [Daemon] };
  const gatewayMtu = (): number | undefined => findLink(near.node.netns, 'weft-br1001')?.mtu;
  t.equal(gatewayMtu(), 1550);
  for (const [underlay, overlay, before] of [[1500, 1450, 1550], [9000, 8950, 1450]] as const) {
    setUnderlayMtu(lab, underlay);
    await followed(scene, [near, far], overlay);
    await daemon.eventually('gives the gateway its MTU', () => gatewayMtu() === overlay);
    const line = await daemon.logged(/repaired/, ({ repaired }) => String(repaired).startsWith(`the MTU of tenant blue is now ${overlay} instead of ${before}, for the MTU of`));
    t.match(line['repaired'], new RegExp(`for the MTU of ${near.node.underlayIf} is ${underlay}; a container has followed$`));
    if (datapath === 'bridge') await daemon.eventually('gives the tunnel its MTU', () => readSegment(near.node.netns, 1001).vxlanMtu === underlay);
    await checkAll(t, [near, far]);
  }
}, options);

t.test('the mtu of the configuration is followed', { skip }, async (t) => {
  const scene = await createScene(t, 'bridge');
  const { near } = scene;
  appendFileSync(near.node.configPath, 'mtu: 1300\n');
  await followed(scene, [near], 1300);
  writeFileSync(near.node.configPath, `node: ${near.node.name}\n`);
  await followed(scene, [near], 1550);
  appendFileSync(near.node.configPath, 'mtu: 2000\n');
  const [daemon] = scene.daemons;
  await daemon?.eventually('says that it does not fit', async () => (await daemon.status()).reconciler.openFaults.some((fault) => fault.includes('mtu must be at most 1550') && fault.endsWith('further containers are refused')));
  t.match(readAttachment(near), { containerMtu: 1550 }, 'and leaves the containers what fits');
});

t.test('a container that has lowered its own MTU is left alone', { skip }, async (t) => {
  const ipam = (node: number): object => ({ type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: `10.1.1.${node}0`, rangeEnd: `10.1.1.${node}9` }]] });
  const scene = await createScene(t, 'bridge', { ...blue, extra: { ipam: ipam(1) } });
  const { lab, daemons: [daemon], near } = scene as Scene & { readonly daemons: readonly [Daemon] };
  run('ip', ['-n', near.netns, 'link', 'set', 'eth0', 'mtu', '1400']);
  for (const [underlay, host, container, why] of [
    [1500, 1450, 1400, 'it fits'], [9000, 8950, 1400, 'it has chosen it'], [1300, 1250, 1250, 'it is too large'], [1200, 1150, 1150, 'it is too large again'], [1350, 1300, 1300, 'up to what it has chosen'], [1600, 1550, 1400, 'it gets back what it had chosen'], [9000, 8950, 1400, 'and keeps it'],
  ] as const) {
    setUnderlayMtu(lab, underlay);
    await daemon.eventually(`has followed to ${underlay}`, () => readAttachment(near).hostMtu === host && readAttachment(near).containerMtu === container);
    t.pass(`${underlay}: ${why}`);
  }
});

t.test('a container with IPv6 keeps 1280 bytes, and is told of', { skip }, async (t) => {
  const scene = await createScene(t, 'bridge');
  const { lab, daemons: [daemon], near, far } = scene as Scene & { readonly daemons: readonly [Daemon] };
  setUnderlayMtu(lab, 1300);
  await followed(scene, [near, far], 1280);
  t.same(readAttachment(near).addresses.length, 2, 'it has its IPv6 address still');
  await daemon.eventually('says so', async () => (await daemon.status()).reconciler.openFaults.some((fault) => fault.includes('IPv6')));
  setUnderlayMtu(lab, 1500);
  await followed(scene, [near, far], 1450);
  await daemon.eventually('has nothing to say any more', async () => (await daemon.status()).reconciler.openFaults.length === 0);
  await checkAll(t, [near, far]);
});
