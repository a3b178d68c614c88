/** Endpoints that move: what gets out of and into a machine that waits, who reaches it when, and what is left of it. */
import t, { type Test } from 'tap';
import { macBytes, parseAddress, type Mac } from '../../netaddr/netaddr.ts';
import { relayName, vxlanName } from '../../overlay/names.ts';
import { startCapture } from '../../testing/capture.ts';
import { run, runIn } from '../../testing/command.ts';
import type { TeardownScope } from '../../testing/netns.ts';
import { findLink, readRuleset } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { locationFrame, neighbourFrame } from '../announcement.ts';
import { blue, canPing, isSilent, observeNode, removeSegment, type TestContainer } from '../test-node.ts';
import { createScene, machineAddresses, placeOf, sendFrom, stopMachine, type Scene } from './test-migration-scene.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc', 'tcpdump'] });
const relay = relayName(blue.vni);
const vxlan = vxlanName(blue.vni);
const openingDeadlineMs = 5000;
const kinds = ['static', 'evpn'] as const;

const waitingMac = (scene: Scene): Mac => scene.moving(1).port.mac;

/** The machine has a place on the target, and frames for it are relayed there. */
async function prepare(scene: Scene): Promise<void> {
  const [source, target] = scene.nodes;
  await target.datapath.attach({ ...scene.moving(1, 'waiting'), netnsFd: scene.machines[1].fd });
  await source.datapath.startRelay(scene.moving(0, 'relaying'));
}

/** Every sender reaches the machine, at each of its addresses. */
function reachedByAll(t: Pick<Test, 'ok'>, { nodes }: Scene, what: string): void {
  for (const { sender } of nodes) for (const address of machineAddresses) t.ok(canPing(sender, address), `${what}: ${address} from ${sender.netns}`);
}

/** What the machine's interface gets, other than what it sends itself. */
async function watchMachine(scope: TeardownScope, machine: TestContainer): ReturnType<typeof startCapture> {
  return startCapture(scope, machine.netns, 'eth0');
}

/** The frames by which a machine says where it is. */
const announcements = {
  RARP: (mac: Mac) => locationFrame(mac, 'ff:ff:ff:ff:ff:ff' as Mac),
  GARP: (mac: Mac) => neighbourFrame(mac, parseAddress('10.1.1.5')),
  NA: (mac: Mac) => neighbourFrame(mac, parseAddress('fd00:1::5')),
} as const;

/** The end of a move, after which nothing is left of it, nor of the tenant. `before`: the target as it was. */
async function endMove(t: Test, scene: Scene, before: unknown): Promise<void> {
  const [source, target] = scene.nodes;
  const isStatic = source.segment.controlPlane === undefined;
  for (const _round of ['once', 'again']) {
    await source.datapath.leave(scene.moving(0, 'left'));
    await target.datapath.settle(scene.moving(1));
  }
  for (const { netns } of [source, target]) {
    t.equal(findLink(netns, relay), undefined, 'the relay is gone');
    t.notMatch(readRuleset(netns), /table netdev|set waiting \{[^}]*elements/);
  }
  if (isStatic) reachedByAll(t, scene, 'settled');
  await source.datapath.detach(scene.moving(0, 'left').port, source.segment);
  await target.datapath.detach(scene.moving(1).port, target.segment);
  if (isStatic) t.same(withoutRemote(observeNode(target), waitingMac(scene)), withoutRemote(before, waitingMac(scene)), 'the target as before');
  for (const { datapath, segment, senderPort } of [source, target]) await removeSegment(datapath, { segment, remaining: [], ports: [senderPort] });
  for (const { netns } of [source, target]) t.equal(readRuleset(netns), '', 'nothing is left');
}

for (const kind of kinds) {
  void t.test(`${kind}: nothing gets out of a machine that waits, and nothing to it`, { skip }, async (t) => {
    const scene = await createScene(t, { kind });
    const [source, target] = scene.nodes;
    const mac = Buffer.from(macBytes(waitingMac(scene)));
    reachedByAll(t, scene, 'before');
    const underlay = await startCapture(t, target.netns, 'u0');
    await prepare(scene);
    const [, waiting] = scene.machines;
    const received = await watchMachine(t, waiting);
    // Its kernel's detection and reports, once more and with all that it can be made to say.
    run('ip', ['-n', waiting.netns, '-batch', '-'], 'link set eth0 down\nlink set eth0 up\naddress add fe80::77/64 dev eth0\naddress add fd00:1::77/64 dev eth0\n');
    for (const address of ['10.1.1.12', '10.1.1.11', 'fd00:1::12', 'ff02::1%eth0']) t.ok(isSilent(waiting, address), address);
    reachedByAll(t, scene, 'the source answers');
    t.notOk(await target.datapath.hasOpened(scene.moving(1, 'waiting')));
    await underlay.drain();
    await received.drain();
    const fromTarget = underlay.frames.filter((frame) => frame.subarray(26, 30).equals(Buffer.from([192, 0, 2, 2])));
    t.ok(fromTarget.length > 0, 'the capture sees what the target sends');
    t.equal(fromTarget.filter((frame) => frame.subarray(56, 62).equals(mac)).length, 0, 'nothing of it on the underlay');
    t.same(received.frames.filter((frame) => !frame.subarray(6, 12).equals(mac)), [], 'nothing comes to it');
    t.ok(await source.datapath.countRelayed(scene.moving(0, 'relaying')) > 0, 'although it was relayed');
    t.equal(placeOf(target, target.senderPort.mac), target.senderPort.hostIf, 'and the target’s sender is where it was');
    t.equal(placeOf(target, waitingMac(scene)), vxlan);
  });

  for (const [name, frameOf] of [...Object.entries(announcements), ['the source', undefined] as const]) {
    void t.test(`${kind}: ${name} opens the gate in the kernel`, { skip }, async (t) => {
      const scene = await createScene(t, { kind });
      const [source, target] = scene.nodes;
      reachedByAll(t, scene, 'before');
      await prepare(scene);
      const opened = Promise.withResolvers<boolean>();
      const stop = target.datapath.watchOpening(scene.moving(1, 'waiting'), () => opened.resolve(true));
      const deadline = setTimeout(() => opened.resolve(false), openingDeadlineMs);
      const activate = source.datapath.armActivation(scene.moving(0, 'relaying'));
      // Another endpoint of the tenant cannot send the frame that the source opens the gate with.
      for (const { sender } of scene.nodes) sendFrom(sender, locationFrame(waitingMac(scene), waitingMac(scene)));
      t.notOk(await target.datapath.hasOpened(scene.moving(1, 'waiting')));
      stopMachine(scene.machines[0]);
      if (frameOf === undefined) activate();
      else sendFrom(scene.machines[1], frameOf(waitingMac(scene)));
      t.equal(placeOf(target, waitingMac(scene)), scene.moving(1).port.hostIf, 'the bridge has learned');
      t.ok(await target.datapath.hasOpened(scene.moving(1, 'waiting')));
      // Nobody at the source has been told.
      reachedByAll(t, scene, 'the target answers');
      t.ok(await opened.promise, 'it is told');
      clearTimeout(deadline);
      stop();
      await target.datapath.open(scene.moving(1, 'arrived'));
      await source.datapath.depart(scene.moving(0, 'departed'));
      reachedByAll(t, scene, 'after');
    });
  }

  void t.test(`${kind}: a move at the source's word, to its end`, { skip }, async (t) => {
    const scene = await createScene(t, { kind });
    const [source, target, third] = scene.nodes;
    reachedByAll(t, scene, 'before');
    const before = observeNode(target);
    await prepare(scene);
    stopMachine(scene.machines[0]);
    const began = performance.now();
    source.datapath.depart(scene.moving(0, 'departed'));
    const departed = performance.now();
    target.datapath.open(scene.moving(1, 'arrived'));
    t.comment(`departed in ${(departed - began).toFixed(2)} ms, opened in ${(performance.now() - departed).toFixed(2)} ms`);
    const counted = await source.datapath.countRelayed(scene.moving(0, 'departed'));
    reachedByAll(t, scene, 'nobody else has been told');
    t.equal(placeOf(source, waitingMac(scene)), vxlan);
    t.equal(placeOf(target, waitingMac(scene)), scene.moving(1).port.hostIf);
    t.equal(placeOf(target, target.senderPort.mac), target.senderPort.hostIf);
    t.ok(await source.datapath.countRelayed(scene.moving(0, 'departed')) >= counted);
    await target.datapath.announce(scene.moving(1, 'arrived'));
    if (kind === 'static') t.ok(runIn(third.netns, 'bridge', 'fdb', 'show', 'dev', vxlan).includes(`${waitingMac(scene)} dst 192.0.2.2 self`), 'the third node has learned');
    reachedByAll(t, scene, 'announced');

    const [atSource, atTarget] = [observeNode(source), observeNode(target)];
    await source.datapath.depart(scene.moving(0, 'departed'));
    await target.datapath.open(scene.moving(1, 'arrived'));
    t.same([observeNode(source), observeNode(target)], [atSource, atTarget], 'a second time changes nothing');

    await endMove(t, scene, before);
  });

  void t.test(`${kind}: taken back, while it is relayed and when it had departed`, { skip }, async (t) => {
    const scene = await createScene(t, { kind });
    const [source, target] = scene.nodes;
    reachedByAll(t, scene, 'before');
    const before = observeNode(source);
    for (const phase of ['relaying', 'departed'] as const) {
      await prepare(scene);
      if (phase === 'departed') await source.datapath.depart(scene.moving(0, 'departed'));
      for (const _round of ['once', 'again']) await source.datapath.takeBack(scene.moving(0));
      await target.datapath.detach(scene.moving(1, 'waiting').port, target.segment);
      t.equal(findLink(target.netns, relay), undefined, 'the target’s relay is gone');
      t.same(withoutRemote(observeNode(source), waitingMac(scene), vxlan), withoutRemote(before, waitingMac(scene), vxlan), `from ${phase}`);
      reachedByAll(t, scene, `from ${phase}`);
    }
  });
}

/** Without what is learned in passing: entries at the VXLAN device, and which MACs neighbours have. */
function withoutRemote(observed: unknown, mac: string, device = vxlan): unknown {
  const { fdb, ...rest } = observed as { readonly fdb: readonly { readonly mac: string; readonly ifname: string; readonly dst?: string }[] };
  return { ...rest, fdb: fdb.filter((entry) => entry.ifname !== device || (entry.mac !== mac && entry.dst === undefined)).map(({ mac: address, ifname }) => `${ifname} ${address}`).filter((text) => !text.startsWith(`${device} 02:00`)) };
}
