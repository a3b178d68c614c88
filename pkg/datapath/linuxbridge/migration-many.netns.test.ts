/** Moves beside one another, without preparation, over IPv6, of machines whose addresses nobody knows; and how long the two short calls take. */
import t, { type Test } from 'tap';
import { parseAddress, type Mac } from '../../netaddr/netaddr.ts';
import type { AttachmentPort } from '../../overlay/model.ts';
import { relayName, vxlanName } from '../../overlay/names.ts';
import { run } from '../../testing/command.ts';
import { findLink, ipJson, readRuleset } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { locationFrame, neighbourFrame } from '../announcement.ts';
import { blue, canPing, createContainer, isSilent, testPort } from '../test-node.ts';
import type { MovingPort } from '../migration.ts';
import { createScene, machineAddresses, sendFrom, stopMachine, type Scene, type SceneNode } from './test-migration-scene.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc'] });
const relay = relayName(blue.vni);
const broadcast = 'ff:ff:ff:ff:ff:ff' as Mac;

function reachedByAll(t: Pick<Test, 'ok'>, { nodes }: Scene, what: string, addresses: readonly string[] = machineAddresses): void {
  for (const { sender } of nodes) for (const address of addresses) t.ok(canPing(sender, address), `${what}: ${address} from ${sender.netns}`);
}

void t.test('a machine that stops before anything was prepared at the source', { skip }, async (t) => {
  const scene = await createScene(t);
  const [source, target] = scene.nodes;
  reachedByAll(t, scene, 'before');
  await target.datapath.attach({ ...scene.moving(1, 'waiting'), netnsFd: scene.machines[1].fd });
  stopMachine(scene.machines[0]);
  await source.datapath.depart(scene.moving(0, 'departed'));
  await target.datapath.open(scene.moving(1, 'arrived'));
  reachedByAll(t, scene, 'after');
});

/** How many frames a link has received. */
function receivedBy({ netns }: SceneNode, link: string): number {
  return ipJson<readonly { readonly stats64?: { readonly rx: { readonly packets: number } } }[]>(netns, '-s', 'link', 'show', 'dev', link)[0]?.stats64?.rx.packets ?? 0;
}

void t.test('over IPv6', { skip }, async (t) => {
  const scene = await createScene(t, { family: 6 });
  const [source, target, third] = scene.nodes;
  reachedByAll(t, scene, 'before');
  await target.datapath.attach({ ...scene.moving(1, 'waiting'), netnsFd: scene.machines[1].fd });
  await source.datapath.startRelay(scene.moving(0, 'relaying'));
  t.ok(canPing(third.sender, machineAddresses[0]));
  t.ok(await source.datapath.countRelayed(scene.moving(0, 'relaying')) > 0, 'frames are relayed');
  t.ok(receivedBy(target, relay) > 0, 'and arrive');
  stopMachine(scene.machines[0]);
  await source.datapath.depart(scene.moving(0, 'departed'));
  await target.datapath.open(scene.moving(1, 'arrived'));
  reachedByAll(t, scene, 'after');
  for (const [at, phase] of [[0, 'departed'], [1, 'arrived']] as const) {
    t.same(await scene.nodes[at].datapath.check({ ...scene.moving(at, phase), netnsFd: scene.machines[at].fd }), []);
  }
  await target.datapath.settle(scene.moving(1));
  t.same(await target.datapath.check({ ...scene.moving(1), netnsFd: scene.machines[1].fd }), []);
});

void t.test('a machine whose namespace has gone before it departs, relayed or not', { skip }, async (t) => {
  for (const isPrepared of [true, false]) {
    const scene = await createScene(t);
    const [source, target] = scene.nodes;
    reachedByAll(t, scene, 'before');
    await target.datapath.attach({ ...scene.moving(1, 'waiting'), netnsFd: scene.machines[1].fd });
    if (isPrepared) await source.datapath.startRelay(scene.moving(0, 'relaying'));
    run('ip', ['-n', scene.machines[0].netns, 'link', 'del', 'eth0']);
    for (const _round of ['once', 'again']) await source.datapath.depart(scene.moving(0, 'departed'));
    await target.datapath.open(scene.moving(1, 'arrived'));
    reachedByAll(t, scene, 'after');
    await source.datapath.leave(scene.moving(0, 'left'));
    t.notMatch(readRuleset(source.netns), /table netdev/);
    await t.rejects(async () => source.datapath.takeBack(scene.moving(0)), { code: 'tryAgainLater', message: /is missing and has to be repaired first$/ });
  }
});

void t.test('a machine that goes on to a third node stays known to be there', { skip }, async (t) => {
  const scene = await createScene(t);
  const [source] = scene.nodes;
  await source.datapath.depart(scene.moving(0, 'departed'));
  const { mac } = scene.moving(0).port;
  run('bridge', ['-n', source.netns, 'fdb', 'replace', mac, 'dev', vxlanName(blue.vni), 'dst', '192.0.2.3', 'self', 'dynamic']);
  await source.datapath.depart(scene.moving(0, 'departed'));
  await source.datapath.leave(scene.moving(0, 'left'));
  t.match(run('bridge', ['-n', source.netns, 'fdb', 'show', 'dev', vxlanName(blue.vni)]), new RegExp(`${mac} dst 192.0.2.3 self`));
});

/** Another machine, which moves the other way. */
async function createSecond(t: Test, { nodes, moving }: Scene): Promise<(at: 0 | 1, phase?: 'relaying' | 'departed' | 'left' | 'waiting' | 'arrived') => MovingPort & { readonly netnsFd: number }> {
  const containers = [createContainer(t, 'second1'), createContainer(t, 'second2')] as const;
  const second = (at: 0 | 1, phase?: Parameters<Scene['moving']>[1]): MovingPort & { readonly netnsFd: number } => {
    const { segment, port } = moving(at, phase);
    const plain = testPort(segment, 6);
    return { segment, port: port.migration === undefined ? plain : { ...plain, migration: port.migration }, others: [], netnsFd: containers[at].fd };
  };
  await nodes[1].datapath.attach(second(1));
  return second;
}

void t.test('two machines change places', { skip }, async (t) => {
  const scene = await createScene(t);
  const [left, right] = scene.nodes;
  const second = await createSecond(t, scene);
  const others = ['10.1.1.6', 'fd00:1::6'];
  reachedByAll(t, scene, 'before');
  reachedByAll(t, scene, 'before', others);
  await right.datapath.attach({ ...scene.moving(1, 'waiting'), netnsFd: scene.machines[1].fd });
  await left.datapath.attach(second(0, 'waiting'));
  await left.datapath.startRelay(scene.moving(0, 'relaying'));
  await right.datapath.startRelay(second(1, 'relaying'));
  await left.datapath.depart(scene.moving(0, 'departed'));
  await right.datapath.open(scene.moving(1, 'arrived'));
  reachedByAll(t, scene, 'the first has moved');
  reachedByAll(t, scene, 'the second has not', others);
  await left.datapath.leave(scene.moving(0, 'left'));
  await right.datapath.settle(scene.moving(1));
  for (const node of [left, right]) t.ok(findLink(node.netns, relay), 'the second still needs the relay');
  await right.datapath.depart(second(1, 'departed'));
  await left.datapath.open(second(0, 'arrived'));
  reachedByAll(t, scene, 'the second has moved', others);
  await left.datapath.announce(scene.moving(0, 'left'));
  await right.datapath.leave(second(1, 'left'));
  await left.datapath.settle(second(0));
  for (const node of [left, right]) {
    t.equal(findLink(node.netns, relay), undefined);
    t.notMatch(readRuleset(node.netns), /table netdev/);
    t.match(run('bridge', ['-n', node.netns, '-d', 'link', 'show', 'dev', vxlanName(blue.vni)]), / learning on /, 'the tunnel learns again');
  }
});

void t.test('a machine whose addresses nobody knows: RARP and NA open, ARP does not', { skip }, async (t) => {
  for (const [name, frame, isOpened] of [
    ['RARP', (mac: Mac) => locationFrame(mac, broadcast), true], ['NA', (mac: Mac) => neighbourFrame(mac, parseAddress('fd00:1::9')), true], ['ARP', (mac: Mac) => neighbourFrame(mac, parseAddress('10.1.1.9')), false],
  ] as const) {
    const scene = await createScene(t);
    const [, target] = scene.nodes;
    const waiting = scene.moving(1, 'waiting');
    const moving = { ...waiting, port: { ...waiting.port, addresses: [], routes: [] } satisfies AttachmentPort };
    await target.datapath.attach({ ...moving, netnsFd: scene.machines[1].fd });
    run('ip', ['-n', scene.machines[1].netns, 'address', 'add', '10.1.1.77/24', 'dev', 'eth0']);
    t.ok(isSilent(scene.machines[1], '10.1.1.12'));
    t.notOk(await target.datapath.hasOpened(moving), 'not by what it asks');
    sendFrom(scene.machines[1], frame(moving.port.mac));
    t.equal(await target.datapath.hasOpened(moving), isOpened, name);
  }
});

const liars: readonly (readonly [what: string, frame: (mac: Mac) => Buffer])[] = [
  ['RARP of another MAC', () => locationFrame('02:00:00:00:00:99' as Mac, broadcast)],
  ['GARP of another address', (mac) => neighbourFrame(mac, parseAddress('10.1.1.12'))],
  ['NA of another address', (mac) => neighbourFrame(mac, parseAddress('fd00:1::12'))],
  ['an ARP request for a neighbour', (mac) => arpTarget(neighbourFrame(mac, parseAddress('10.1.1.5')), 12)],
  ['a solicited NA', (mac) => solicited(neighbourFrame(mac, parseAddress('fd00:1::5')))],
];

/** The frame with 10.1.1.n as ARP target. */
function arpTarget(frame: Buffer, n: number): Buffer {
  frame[14 + 27] = n;
  return frame;
}

function solicited(frame: Buffer): Buffer {
  frame[14 + 40 + 4] = 0x60;
  return frame;
}

void t.test('what does not say where the machine is opens nothing', { skip }, async (t) => {
  const scene = await createScene(t);
  const [, target] = scene.nodes;
  const moving = scene.moving(1, 'waiting');
  await target.datapath.attach({ ...moving, netnsFd: scene.machines[1].fd });
  for (const [what, frame] of liars) {
    sendFrom(scene.machines[1], frame(moving.port.mac));
    t.notOk(await target.datapath.hasOpened(moving), what);
  }
  sendFrom(scene.machines[1], locationFrame(moving.port.mac, broadcast));
  t.ok(await target.datapath.hasOpened(moving));
});

/** Milliseconds of a call. */
function timed(fn: () => unknown): number {
  const began = performance.now();
  fn();
  return performance.now() - began;
}

void t.test('how long departing and opening take', { skip }, async (t) => {
  const scene = await createScene(t);
  const [source, target] = scene.nodes as readonly [SceneNode, SceneNode, SceneNode];
  const rounds = 30;
  const [departing, opening]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    await target.datapath.attach({ ...scene.moving(1, 'waiting'), netnsFd: scene.machines[1].fd });
    await source.datapath.startRelay(scene.moving(0, 'relaying'));
    departing.push(timed(() => source.datapath.depart(scene.moving(0, 'departed'))));
    opening.push(timed(() => target.datapath.open(scene.moving(1, 'arrived'))));
    await source.datapath.takeBack(scene.moving(0));
    await target.datapath.detach(scene.moving(1, 'arrived').port, target.segment);
  }
  for (const [what, times] of [['depart()', departing], ['open()', opening]] as const) {
    times.sort((a, b) => a - b);
    t.comment(`${what}: p50 ${times[rounds / 2]?.toFixed(2)} ms, p95 ${times[Math.floor(rounds * 0.95)]?.toFixed(2)} ms, max ${times.at(-1)?.toFixed(2)} ms`);
  }
  t.equal(departing.length, rounds);
});
