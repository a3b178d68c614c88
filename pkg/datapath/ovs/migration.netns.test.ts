/** Endpoints that move between three nodes of Open vSwitch, seen by what reaches whom. */
import t from 'tap';
import { eui64LinkLocal, formatAddress, parseMac, parseVni, type Mac } from '../../netaddr/netaddr.ts';
import type { MigrationPhase } from '../../overlay/model.ts';
import { startCapture, type Capture } from '../../testing/capture.ts';
import { run, runIn } from '../../testing/command.ts';
import type { TeardownScope } from '../../testing/netns.ts';
import { openVSwitchTools } from '../../testing/openvswitch.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { toRepair } from '../test-conformance-repair.ts';
import { canPing, createContainer, removeSegment, testPort, type TestContainer } from '../test-node.ts';
import { addressOption, arp, broadcast, discoveryBody, frame, icmp6, udp4 } from './flows/test-frames.ts';
import { attachMachine, comesTrue, createMigrationScene, flowsWith, learnedPlace, type Machine, type MigrationScene, type MovingNode } from './test-migration-scene.ts';

t.setTimeout(240_000);
const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'ethtool', 'tcpdump', ...openVSwitchTools] });
const allNodesMac = parseMac('33:33:00:00:00:01');
const addressOf = (n: number): string => `10.1.1.${n}`;

/** Data to a MAC, which nobody answers: the address is none of the receiver's. What is behind the packet's end a bridge may cut off (br_netfilter). */
function data(from: Machine, to: Mac, marker: string): Buffer {
  const [own] = from.port.addresses.map(({ address }) => formatAddress(address));
  return frame({ to, from: from.port.mac }, 0x0800, udp4(own ?? '0.0.0.0', '10.1.1.77', { payload: Buffer.from(marker) }), '');
}

const announcements = {
  RARP: ({ port: { mac } }: Machine): Buffer => frame({ to: broadcast, from: mac }, 0x8035, arp({ operation: 3, senderMac: mac, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), 'here I am'),
  'gratuitous ARP': ({ port: { mac } }: Machine): Buffer => frame({ to: broadcast, from: mac }, 0x0806, arp({ operation: 1, senderMac: mac, senderAddress: addressOf(5), targetAddress: addressOf(5) }), 'here I am'),
  'an unsolicited advertisement': ({ port: { mac } }: Machine): Buffer =>
    frame({ to: allNodesMac, from: mac }, 0x86dd, icmp6('fd00:1::5', 'ff02::1', { type: 136, body: discoveryBody('fd00:1::5', addressOption(2, mac)) }), 'here I am'),
} as const;

/** What a machine may say without having come: data, questions, probes, reports, and lies. */
function chatter(machine: Machine): readonly Buffer[] {
  const { mac } = machine.port;
  const linkLocal = formatAddress(eui64LinkLocal(mac));
  const arpOf = (change: Partial<Parameters<typeof arp>[0]>): Buffer => frame({ to: broadcast, from: mac }, 0x0806, arp({ operation: 1, senderMac: mac, senderAddress: addressOf(5), targetAddress: addressOf(8), ...change }), 'too early');
  const stranger = parseMac('02:00:00:00:00:63');
  return [
    data(machine, broadcast, 'too early'),
    arpOf({}), arpOf({ senderAddress: '0.0.0.0', targetAddress: addressOf(5) }), arpOf({ senderAddress: addressOf(6), targetAddress: addressOf(6) }), arpOf({ senderMac: stranger, targetAddress: addressOf(5) }),
    frame({ to: broadcast, from: mac }, 0x8035, arp({ operation: 3, senderMac: stranger, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), 'too early'),
    frame({ to: broadcast, from: stranger }, 0x8035, arp({ operation: 3, senderMac: stranger, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), 'too early'),
    frame({ to: parseMac('33:33:ff:00:00:05'), from: mac }, 0x86dd, icmp6('::', 'ff02::1:ff00:5', { type: 135, body: discoveryBody('fd00:1::5') }), 'too early'),
    frame({ to: allNodesMac, from: mac }, 0x86dd, icmp6('::', 'ff02::16', { type: 143, body: Buffer.alloc(4) }), 'too early'),
    frame({ to: allNodesMac, from: mac }, 0x86dd, icmp6(linkLocal, 'ff02::1', { type: 136, body: discoveryBody('fd00:1::6', addressOption(2, mac)) }), 'too early'),
    frame({ to: allNodesMac, from: mac }, 0x86dd, icmp6(linkLocal, 'ff02::1', { type: 136, body: discoveryBody('fd00:1::5', addressOption(2, stranger)) }), 'too early'),
  ];
}

async function capture(scope: TeardownScope, { netns }: TestContainer): Promise<Capture> {
  return startCapture(scope, netns, 'eth0');
}

/** Sends until one arrives, for what the switch has cached is looked through a moment after a change; then one more. @returns how often that one came */
async function arrivals(from: Machine, to: Mac, inReceiver: Capture, { deadlineMs }: { readonly deadlineMs?: number } = {}): Promise<number> {
  rounds += 1;
  const [trial, marker] = [`trial ${rounds}.`, `certain ${rounds}.`];
  await comesTrue(() => {
    from.send(data(from, to, trial));
    return inReceiver.count(trial) > 0;
  }, deadlineMs);
  from.send(data(from, to, marker));
  await comesTrue(() => inReceiver.count(marker) > 0, deadlineMs ?? 10_000);
  await inReceiver.drain();
  return inReceiver.count(marker);
}
let rounds = 0;

async function prepared(scope: TeardownScope, wiring: Parameters<typeof createMigrationScene>[1] = {}): Promise<{ readonly scene: MigrationScene; readonly after: Machine }> {
  const scene = await createMigrationScene(scope, wiring);
  const after = await scene.prepare();
  await scene.source.datapath.startRelay(scene.atSource('relaying'));
  return { scene, after };
}

/** How many frames the gate has kept from the machine. */
function droppedAtGate({ target }: MigrationScene, { port: { hostIf } }: Machine): number {
  const ruleset = runIn(target.netns, 'nft', 'list', 'table', 'netdev', `${hostIf}-gate`);
  return [...ruleset.matchAll(/counter packets (\d+) /g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function hasMoved({ source, target, atSource, atTarget }: MigrationScene): Promise<void> {
  await target.datapath.open(atTarget('arrived'));
  await source.datapath.depart(atSource('departed'));
  await target.datapath.announce(atTarget('arrived'));
}

void t.test('a port that waits is closed both ways', { skip }, async (t) => {
  const { scene, after } = await prepared(t);
  const { source, target, before, near, there, far } = scene;
  const [inBefore, inAfter, inThere, inFar, onWire] = [await capture(t, before), await capture(t, after), await capture(t, there), await capture(t, far), await startCapture(t, target.netns, 'u0')];
  const { mac } = after.port;
  t.same(await target.datapath.check({ segment: target.segment, port: scene.atTarget('waiting').port, netnsFd: after.fd }), [], 'it is whole');

  after.send(...chatter(after));
  for (const from of [near, there, far]) for (const to of [mac, broadcast]) from.send(data(from, to, 'for nobody'));
  for (const from of [near, there, far]) from.send(data(from, broadcast, 'the end'), data(from, mac, 'the end'));
  t.ok(await inBefore.waitFor(() => inBefore.count('the end') === 6, 10_000), 'who has the MAC still gets all');
  t.ok(await inFar.waitFor(() => inFar.count('the end') === 4, 10_000));
  for (const one of [inAfter, inThere, inFar, onWire]) await one.drain();
  t.same([inThere, inFar, onWire].map((one) => one.count('too early')), [0, 0, 0], 'nothing of it gets out');
  t.same([inAfter.count('for nobody'), inAfter.count('the end')], [0, 0], 'nothing gets to it');
  t.notOk(await target.datapath.hasOpened(scene.atTarget('waiting')));
  t.same(flowsWith(target, ' table=2,'), []);
  t.equal(await comesTrue(async () => (await source.datapath.countRelayed(scene.atSource('relaying'))) >= 4), true, 'what came from the others was relayed');
});

void t.test('what comes when the machine goes on comes to it at once, whatever was dropped before it did', { skip }, async (t) => {
  for (const opening of ['RARP', 'the source'] as const) {
    const { scene, after } = await prepared(t);
    const { source, near, there, far, atSource } = scene;
    const inAfter = await capture(t, after);
    const { mac } = after.port;
    const activate = source.datapath.armActivation(atSource('relaying'));
    // By now the switch knows what it does with whatever is relayed: it does not look at its flows for them.
    const hasDropped = (): boolean => {
      for (const from of [near, there, far]) from.send(data(from, mac, 'for nobody'));
      return droppedAtGate(scene, after) >= 9;
    };
    t.ok(await comesTrue(hasDropped), 'the gate drops them');
    if (opening === 'RARP') after.send(announcements.RARP(after));
    else activate();
    t.ok(await comesTrue(() => scene.target.datapath.hasOpened(scene.atTarget('waiting'))), opening);
    for (const from of [near, there, far]) from.send(data(from, mac, 'at once'));
    t.ok(await inAfter.waitFor(() => inAfter.count('at once') === 3, 10_000), opening);
    await inAfter.drain();
    t.same([inAfter.count('at once'), inAfter.count('for nobody')], [3, 0], opening);
    t.same(inAfter.frames.filter((one) => one.toString('hex', 0, 12) === `${mac}${mac}`.replaceAll(':', '')), [], 'the source’s word is not for the machine');
  }
});

for (const [name, announcement] of [...Object.entries(announcements), ['open()', undefined] as const]) {
  void t.test(`it is opened by ${name}, and reached by all`, { skip }, async (t) => {
    const { scene, after } = await prepared(t);
    const { source, target, before, near, there, far, atSource, atTarget } = scene;
    const [inAfter, inBefore, inFar, inNear, inThere] = [await capture(t, after), await capture(t, before), await capture(t, far), await capture(t, near), await capture(t, there)];
    const { mac } = after.port;
    let opened = 0;
    t.teardown(target.datapath.watchOpening(atTarget('waiting'), () => (opened += 1)));
    if (announcement !== undefined) {
      after.send(announcement(after));
      t.ok(await comesTrue(() => opened > 0), 'the daemon hears of it');
      t.ok(await target.datapath.hasOpened(atTarget('waiting')));
      t.same(await target.datapath.check({ segment: target.segment, port: atTarget('waiting').port, netnsFd: after.fd }), [], 'that is no fault');
      t.ok(await inFar.waitFor(() => inFar.count('here I am') > 0, 10_000), 'what opened it goes on');
      for (const [who, from] of Object.entries({ near, there, far })) t.equal(await arrivals(from, mac, inAfter), 1, `${who}, before the daemon has done anything`);
      for (const [who, to, inReceiver] of [['near', near, inNear], ['there', there, inThere], ['far', far, inFar]] as const) t.equal(await arrivals(after, to.port.mac, inReceiver), 1, `and answers: ${who}`);
    }
    await target.datapath.open(atTarget('arrived'));
    await source.datapath.depart(atSource('departed'));
    for (const [who, from] of Object.entries({ near, there, far })) t.equal(await arrivals(from, mac, inAfter), 1, `${who}, before anybody was told`);
    await target.datapath.announce(atTarget('arrived'));
    t.ok(await comesTrue(() => learnedPlace(scene.third, mac) === '192.0.2.2'), 'the others are told');
    before.send(data(before, broadcast, 'of the dead'), announcements.RARP(before));
    for (const [who, from] of Object.entries({ near, there, far })) t.equal(await arrivals(from, mac, inAfter), 1, `${who}, then`);
    await inBefore.drain();
    t.equal(inBefore.count(`certain ${rounds}.`), 0, 'the source has nothing any more');
    await inFar.drain();
    t.equal(inFar.count('of the dead'), 0, 'and says nothing');
    await source.datapath.leave(atSource('left'));
    await target.datapath.settle(atTarget());
    for (const [who, from] of Object.entries({ near, there, far })) t.ok(await comesTrue(() => canPing(from, addressOf(5))) && canPing(from, 'fd00:1::5'), `${who}: ARP, IPv4 and IPv6`);
    t.same(await target.datapath.check({ segment: target.segment, port: atTarget().port, netnsFd: after.fd }), []);
  });
}

void t.test('what is relayed does not say where its senders are', { skip }, async (t) => {
  const { scene, after } = await prepared(t);
  const { source, target, far, atTarget, atSource } = scene;
  const inAfter = await capture(t, after);
  const { mac } = far.port;
  t.equal(learnedPlace(scene.third, after.port.mac), '192.0.2.1');
  far.send(frame({ to: broadcast, from: mac }, 0x0806, arp({ operation: 1, senderMac: mac, senderAddress: addressOf(8), targetAddress: addressOf(8) }), ''));
  t.ok(await comesTrue(() => learnedPlace(target, mac) === '192.0.2.3'));
  await target.datapath.open(atTarget('arrived'));
  await source.datapath.depart(atSource('departed'));
  const asks = (to: Mac, marker: string): Buffer => frame({ to, from: mac }, 0x0806, arp({ operation: 1, senderMac: mac, senderAddress: addressOf(8), targetAddress: addressOf(5) }), marker);
  // Until it hears of the move the third node sends what is for the MAC to the source, and questions for all to everybody.
  far.send(asks(after.port.mac, 'relayed'), asks(broadcast, 'asked'));
  t.ok(await inAfter.waitFor(() => inAfter.count('relayed') === 1 && inAfter.count('asked') === 2, 10_000), 'the question comes from the asker and from the source');
  t.equal(learnedPlace(target, mac), '192.0.2.3');
  t.equal(inAfter.frames.filter((one) => one.includes('asked') && one.toString('hex', 0, 6) === after.port.mac.replaceAll(':', '')).length, 1, 'the source’s is addressed to the endpoint');
});

void t.test('it does not move after all', { skip }, async (t) => {
  const { scene, after } = await prepared(t);
  const { source, target, before, near, there, far, atSource, atTarget } = scene;
  const inBefore = await capture(t, before);
  const own = `cookie=0x7765660003e9`;
  const phases: readonly MigrationPhase[] = ['relaying', 'departed', 'left'];
  await source.datapath.takeBack(atSource());
  const plain = flowsWith(source, own);
  for (const phase of phases) {
    await source.datapath.startRelay(atSource('relaying'));
    if (phase !== 'relaying') await source.datapath.depart(atSource('departed'));
    if (phase === 'left') await source.datapath.leave(atSource('left'));
    t.not(flowsWith(source, own).join('\n'), plain.join('\n'), phase);
    await source.datapath.takeBack(atSource());
    await source.datapath.takeBack(atSource());
    t.same(flowsWith(source, own), plain, `from ${phase}`);
  }
  await target.datapath.detach(atTarget('waiting').port, target.segment);
  t.same(await source.datapath.check({ segment: source.segment, port: atSource().port, netnsFd: before.fd }), []);
  for (const [who, from] of Object.entries({ near, there, far })) t.equal(await arrivals(from, before.port.mac, inBefore), 1, who);
  for (const from of [near, there, far]) t.ok(canPing(from, addressOf(5)));
  t.same(flowsWith(target, after.port.mac).filter((line) => !line.includes('table=30,')), [], 'where it was not to be, nothing is left');
});

/** What a node has of the tenant's endpoint, but for what it learns. */
function stateOf(node: MovingNode): readonly string[] {
  return flowsWith(node, 'cookie=0x7765660003e9').filter((line) => !line.includes('table=30,'));
}

void t.test('a second call does nothing, by whichever process; and each phase is whole, and mended', { skip }, async (t) => {
  const { scene, after } = await prepared(t);
  const { source, target, before, atSource, atTarget } = scene;
  const another = { source: source.open(), target: target.open() };
  const steps = [
    ['source', 'relaying', 'startRelay'], ['target', 'waiting', undefined], ['target', 'arrived', 'open'], ['source', 'departed', 'depart'], ['source', 'left', 'leave'], ['target', undefined, 'settle'],
  ] as const;
  for (const [where, phase, call] of steps) {
    const [node, moving, { fd }] = where === 'source' ? [source, atSource(phase), before] : [target, atTarget(phase), after];
    if (call !== undefined) await node.datapath[call](moving);
    const state = stateOf(node);
    if (call !== undefined) await another[where][call](moving);
    t.same(stateOf(node), state, `${where} ${phase}: again, by another process`);
    const request = { segment: node.segment, port: moving.port, netnsFd: fd };
    t.same(await node.datapath.check(request), [], `${where} ${phase}: whole`);
    node.ovs.ofctl('del-flows', 'weft-int', `cookie=${cookieOf(node, moving.port.hostIf)}/-1`);
    const faults = await node.datapath.check(request);
    t.equal(faults.length, phase === 'left' ? 0 : 1, `${where} ${phase}: its flows are missed`);
    const seen = await node.datapath.observe([node.segment]);
    await node.datapath.repairPort(toRepair(node.segment, moving.port, where === 'source' ? before : after), seen).rest;
    t.same(stateOf(node), state, `${where} ${phase}: mended`);
    t.same(await node.datapath.collect({ segments: [node.segment], ports: [moving.port, (where === 'source' ? scene.near : scene.there).port] }), [], `${where} ${phase}: nothing is garbage`);
    t.same(stateOf(node), state);
  }
});

/** Of the port's flows, as ovs-ofctl writes it. */
function cookieOf({ ovs }: MovingNode, hostIf: string): string {
  const ofport = Number(ovs.vsctl('--no-wait', 'get', 'Interface', hostIf, 'ofport'));
  return `0x7765660003e9${ofport.toString(16).padStart(4, '0')}`;
}

void t.test('a restart of ovs-vswitchd is survived in each phase', { skip }, async (t) => {
  const { scene, after } = await prepared(t);
  const { source, target, before, atSource, atTarget } = scene;
  for (const [node, machine, moving, call] of [
    [target, after, atTarget('waiting'), undefined], [source, before, atSource('relaying'), undefined], [target, after, atTarget('arrived'), 'open'], [source, before, atSource('departed'), 'depart'],
  ] as const) {
    if (call !== undefined) await node.datapath[call](moving);
    const state = stateOf(node);
    await node.ovs.kill('ovs-vswitchd');
    await node.ovs.start('ovs-vswitchd');
    const request = { segment: node.segment, port: moving.port, netnsFd: machine.fd };
    const other = node === source ? scene.near : scene.there;
    const isWhole = async (): Promise<boolean> => {
      const seen = await node.datapath.observe([node.segment]);
      await node.datapath.repairSegment(node.segment, seen).rest;
      for (const [port, container] of [[request.port, machine], [other.port, other]] as const) await node.datapath.repairPort(toRepair(node.segment, port, container), seen).rest;
      return (await node.datapath.check(request)).length === 0;
    };
    t.ok(await comesTrue(isWhole), `${moving.port.migration?.phase}: ${(await node.datapath.check(request)).join()}`);
    t.same(stateOf(node), state);
  }
});

void t.test('when it is detached nothing is left, in whichever phase', { skip }, async (t) => {
  const { scene, after } = await prepared(t);
  const { source, target, near, there, atSource, atTarget } = scene;
  after.send(announcements.RARP(after));
  t.ok(await comesTrue(() => target.datapath.hasOpened(atTarget('waiting'))));
  await source.datapath.depart(atSource('departed'));
  for (const [node, moving, other] of [[target, atTarget('waiting'), there], [source, atSource('departed'), near]] as const) {
    const cookie = cookieOf(node, moving.port.hostIf);
    t.ok(flowsWith(node, `cookie=${cookie},`).length > 0);
    await node.datapath.detach(moving.port, node.segment);
    t.same(flowsWith(node, `cookie=${cookie},`), []);
    t.notOk(node.ovs.vsctl('--no-wait', 'list-ports', 'weft-int').includes(moving.port.hostIf));
    t.same(await node.datapath.collect({ segments: [node.segment], ports: [other.port] }), []);
    t.same(await node.datapath.check({ segment: node.segment, port: other.port, netnsFd: other.fd }), []);
  }
  await t.rejects(Promise.resolve(source.datapath.startRelay(atSource('relaying'))), { code: 'tryAgainLater' }, 'a port that is gone');
});

void t.test('FRR is told of the endpoint while it is here', { skip }, async (t) => {
  const { scene, after } = await prepared(t, { controlPlane: 'evpn' });
  const { source, target, before, near, there, atSource, atTarget } = scene;
  const told = ({ netns }: MovingNode): readonly boolean[] => [
    run('bridge', ['-n', netns, 'fdb', 'show', 'dev', 'weft-se1001']).includes(`${after.port.mac} master`),
    run('ip', ['-n', netns, 'neigh', 'show', 'dev', 'weft-sb1001', 'nud', 'permanent']).includes(`${addressOf(5)} lladdr`),
  ];
  const isWhole = async (): Promise<void> => {
    for (const [node, { fd }, port, other] of [[source, before, sourcePort, near], [target, after, targetPort, there]] as const) {
      t.same(await node.datapath.check({ segment: node.segment, port, netnsFd: fd }), []);
      t.same(await node.datapath.collect({ segments: [node.segment], ports: [port, other.port] }), []);
    }
  };
  let [sourcePort, targetPort] = [atSource('relaying').port, atTarget('waiting').port];
  t.same([told(source), told(target)], [[true, true], [false, false]]);
  await isWhole();
  await source.datapath.depart(atSource('departed'));
  await target.datapath.open(atTarget('arrived'));
  t.same([told(source), told(target)], [[false, false], [true, true]]);
  [sourcePort, targetPort] = [atSource('departed').port, atTarget('arrived').port];
  await isWhole();
  await source.datapath.takeBack(atSource());
  t.same(told(source), [true, true]);
});

void t.test('FRR is told of the tenant also where the endpoint is the first of it', { skip }, async (t) => {
  const { target, there, atTarget } = await createMigrationScene(t, { controlPlane: 'evpn' });
  await removeSegment(target.datapath, { segment: target.segment, remaining: [], ports: [there.port] });
  const { port } = atTarget('waiting');
  const { fd } = await attachMachine(t, target, port);
  t.match(run('ip', ['-n', target.netns, 'link', 'show', 'master', 'weft-sb1001']), /weft-sx1001/);
  t.same(await target.datapath.check({ segment: target.segment, port, netnsFd: fd }), []);
});

void t.test('a VNI whose opposite is taken, or is none, is refused', { skip }, async (t) => {
  const { scene } = await prepared(t);
  const { source, target, atTarget } = scene;
  const opposite = { ...target.segment, tenant: 'red', vni: parseVni(16777215 - 1001) };
  const port = testPort(opposite, 9, { datapath: 'ovs' });
  await target.datapath.detach(atTarget('waiting').port, target.segment);
  await target.datapath.attach({ segment: opposite, port, netnsFd: createContainer(t).fd });
  await t.rejects(target.datapath.attach({ segment: target.segment, port: atTarget('waiting').port, netnsFd: createContainer(t).fd }), { code: 'invalidConfiguration', message: /VNI 16776214, which is another tenant's/ });
  const highest = { ...source.segment, tenant: 'red', vni: parseVni(16777215) };
  const moving = { segment: highest, others: [], port: { ...testPort(highest, 9, { datapath: 'ovs' }), migration: { id: 'm', phase: 'relaying' as const, other: target.segment.vtepAddress, since: 0 } } };
  await t.rejects(Promise.resolve(source.datapath.startRelay(moving)), { message: /no VNI is left/ });
});

void t.test('once it has moved it is reached also by those who ask', { skip }, async (t) => {
  const { scene } = await prepared(t);
  const { near, there, far } = scene;
  await hasMoved(scene);
  for (const [who, { netns }] of Object.entries({ near, there, far })) {
    for (const address of [addressOf(5), 'fd00:1::5']) {
      run('ip', ['-n', netns, 'neigh', 'flush', 'all']);
      t.ok(canPing({ netns, fd: -1 }, address), `${who} asks for ${address}`);
    }
  }
});

void t.test('there and back, and there again', { skip }, async (t) => {
  const scene = await createMigrationScene(t);
  const { source, target, near, there, far } = scene;
  const ends = { source: { node: source, at: scene.atSource }, target: { node: target, at: scene.atTarget } };
  for (const [from, to] of [[ends.source, ends.target], [ends.target, ends.source], [ends.source, ends.target]] as const) {
    const machine = await attachMachine(t, to.node, to.at('waiting').port);
    await from.node.datapath.startRelay(from.at('relaying'));
    machine.send(announcements.RARP(machine), announcements.RARP(machine), announcements.RARP(machine));
    t.ok(await comesTrue(async () => to.node.datapath.hasOpened(to.at('waiting'))));
    await to.node.datapath.open(to.at('arrived'));
    await from.node.datapath.depart(from.at('departed'));
    await to.node.datapath.announce(to.at('arrived'));
    const inMachine = await capture(t, machine);
    for (const sender of [near, there, far]) t.equal(await arrivals(sender, machine.port.mac, inMachine), 1);
    await from.node.datapath.leave(from.at('left'));
    await to.node.datapath.settle(to.at());
    await from.node.datapath.detach(from.at('left').port, from.node.segment);
    // The userspace datapath's tunnels lose what they get while a link goes. And the third node may learn again, late, from the announcement of the move
    // before, a moment ago here: so a daemon announces more than once.
    for (const sender of [near, there, far]) {
      const isReached = async (): Promise<boolean> => {
        await to.node.datapath.announce(to.at());
        return (await arrivals(sender, machine.port.mac, inMachine, { deadlineMs: 1000 })) === 1;
      };
      t.ok(await comesTrue(isReached));
    }
    t.same(await to.node.datapath.check({ segment: to.node.segment, port: to.at().port, netnsFd: machine.fd }), []);
  }
});

for (const [names, bridges] of [['from Open vSwitch to a bridge', [2]], ['from a bridge to Open vSwitch', [1]], ['between Open vSwitches, beside a bridge', [3]]] as const) {
  void t.test(`an endpoint moves ${names}`, { skip }, async (t) => {
    const { scene, after } = await prepared(t, { bridges });
    const { source, target, third, before, near, there, far, atSource, atTarget } = scene;
    const [inBefore, inAfter] = [await capture(t, before), await capture(t, after)];
    const { mac } = after.port;
    for (const from of [near, there, far]) t.equal(await arrivals(from, mac, inBefore), 1, 'the source gets all');
    await inAfter.drain();
    t.equal(inAfter.count('certain'), 0, 'who waits gets nothing');
    after.send(announcements.RARP(after));
    t.ok(await comesTrue(() => target.datapath.hasOpened(atTarget('waiting'))));
    for (const [who, from] of Object.entries({ near, there, far })) t.equal(await arrivals(from, mac, inAfter), 1, `${who}, when it is open`);
    await target.datapath.open(atTarget('arrived'));
    await source.datapath.depart(atSource('departed'));
    await target.datapath.announce(atTarget('arrived'));
    t.ok(await comesTrue(() => learnedPlace(third, mac) === '192.0.2.2'), 'the others are told');
    for (const [who, from] of Object.entries({ near, there, far })) t.equal(await arrivals(from, mac, inAfter), 1, `${who}, then`);
    await source.datapath.leave(atSource('left'));
    await target.datapath.settle(atTarget());
    for (const from of [near, there, far]) t.ok(await comesTrue(() => canPing(from, addressOf(5))) && canPing(from, 'fd00:1::5'));
  });
}
