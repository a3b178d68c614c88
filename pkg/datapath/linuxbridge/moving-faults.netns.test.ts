/** Attachments in each phase of a migration: what CHECK says of damage, what a repair does, what is collected, and that no attempt is half done. */
import t, { type Test } from 'tap';
import { parseVni } from '../../netaddr/netaddr.ts';
import type { AttachmentPort, MigrationPhase } from '../../overlay/model.ts';
import { bridgeName, relayName, vxlanName } from '../../overlay/names.ts';
import { spareVni } from '../../overlay/spare.ts';
import { run, runIn } from '../../testing/command.ts';
import { findLink, readRuleset } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { openNetlinkIn } from '../../netlink/test-socket.ts';
import { counter, loadMeta, loadPayload, lookup, verdict } from '../../nftables/expression.ts';
import { addRule, addSet, commitBatch, deleteTable } from '../../nftables/nftables.ts';
import { locationFrame } from '../announcement.ts';
import type { PortRequest } from '../datapath.ts';
import { bridgeTable, guardTables, inetTable } from '../guard/guard-rules.ts';
import { repairAll, toRepair } from '../test-conformance-repair.ts';
import { FaultPlan, faultyKernel } from '../test-faults.ts';
import { blue, createContainer, createNode, observeNode, removeSegment, testPort } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { createScene, sendFrom, type Scene, type SceneNode } from './test-migration-scene.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc'] });
const [bridge, vxlan, relay] = [bridgeName(blue.vni), vxlanName(blue.vni), relayName(blue.vni)];
const { hostIf, mac } = testPort(blue, 5);
const requestsMax = 150;
const kinds = ['static', 'evpn'] as const;

interface Phase {
  readonly at: 0 | 1;
  readonly phase: MigrationPhase;
}
const phases: readonly Phase[] = [{ at: 0, phase: 'relaying' }, { at: 0, phase: 'departed' }, { at: 0, phase: 'left' }, { at: 1, phase: 'waiting' }, { at: 1, phase: 'arrived' }];

/** Brings the scene's source or target to the phase. */
async function reach({ nodes: [source, target], machines, moving }: Scene, { at, phase }: Phase): Promise<void> {
  if (at === 1) await target.datapath.attach({ ...moving(1, 'waiting'), netnsFd: machines[1].fd });
  if (phase === 'arrived') await target.datapath.open(moving(1, phase));
  if (phase === 'relaying') await source.datapath.startRelay(moving(0, phase));
  if (phase === 'departed' || phase === 'left') await source.datapath.depart(moving(0, 'departed'));
  if (phase === 'left') await source.datapath.leave(moving(0, phase));
}

/** The attachment as the ledger has it. */
function requestOf({ nodes, machines, moving }: Scene, { at, phase }: Phase): PortRequest & { readonly node: SceneNode } {
  const { segment, port } = moving(at, phase);
  return { node: nodes[at], segment, port, netnsFd: machines[at].fd };
}

/** What is done on the node, by whom, and what is said of it. */
const damages: readonly { readonly command: string; readonly fault: string; readonly of: readonly MigrationPhase[] }[] = [
  { command: `ip link del ${relay}`, fault: `the tenant's relay ${relay} is missing`, of: ['relaying', 'departed', 'waiting', 'arrived'] },
  { command: `ip link set ${relay} down`, fault: `${relay} is down`, of: ['relaying', 'departed', 'waiting', 'arrived'] },
  { command: `ip link set ${relay} master ${bridge}`, fault: `${relay} is a port of a bridge`, of: ['relaying', 'waiting'] },
  { command: `ip link set ${relay} type vxlan learning`, fault: `${relay} learns MACs`, of: ['relaying', 'waiting'] },
  { command: `bridge fdb del ${mac} dev ${relay} self`, fault: `${relay} does not lead from ${mac} to the VTEP OTHER`, of: ['relaying', 'departed', 'waiting', 'arrived'] },
  { command: `nft delete table netdev ${hostIf}`, fault: `frames for ${mac} are not copied to ${relay}`, of: ['relaying', 'departed'] },
  { command: `nft flush chain netdev ${hostIf} sent`, fault: `frames for ${mac} are not copied to ${relay}`, of: ['relaying', 'departed'] },
  { command: `tc qdisc del dev ${relay} ingress`, fault: `what ${relay} receives does not get to ${vxlan}`, of: ['arrived', 'waiting'] },
  { command: `tc filter del dev ${relay} ingress protocol all prio 1 handle 800::1 u32`, fault: `the other node cannot open ${hostIf}`, of: ['waiting'] },
  { command: `bridge fdb replace ${mac} dev ${hostIf} master static`, fault: `the bridge has ${mac} at ${hostIf}, and it is on another node`, of: ['departed', 'left', 'waiting'] },
  { command: `ip link set ${hostIf} type bridge_slave bcast_flood on`, fault: `the bridge port option broadcastFlood of ${hostIf} is on`, of: ['waiting'] },
  { command: `ip link set ${hostIf} type bridge_slave learning on`, fault: `the bridge port option learning of ${hostIf} is on`, of: ['departed', 'left', 'arrived'] },
  { command: `nft add element bridge weft ports { "${hostIf}" . ${mac} }`, fault: `the guard lets out what ${hostIf} sends, whose endpoint is on another node`, of: ['departed', 'left'] },
  { command: `nft delete element bridge weft waiting { "${hostIf}" . ${mac} }`, fault: 'the guard lacks an element of the nft set bridge weft waiting', of: ['waiting'] },
  { command: 'nft flush set inet weft segments', fault: 'the guard lacks an element of the nft set inet weft segments', of: ['relaying', 'waiting', 'arrived'] },
  { command: 'nft flush set inet weft vteps4', fault: 'the guard lacks an element of the nft set inet weft vteps4', of: ['waiting', 'arrived'] },
];

/** What follows from the damage for the segment, beside what is said of the attachment. */
const beside: ReadonlySet<string> = new Set([`the bridge port option learning of ${vxlan} is off`]);

async function damageAndRepair(t: Test, scene: Scene, { phase, ...rest }: Phase): Promise<void> {
  const { node, ...request } = requestOf(scene, { phase, ...rest });
  const known = { segments: [node.segment], ports: [request.port, node.senderPort] };
  for (const { command, fault } of damages.filter(({ of }) => of.includes(phase))) {
    const [tool = '', ...args] = command.split(' ');
    runIn(node.netns, tool, ...args);
    const expected = fault.replace('OTHER', `192.0.2.${2 - rest.at}`);
    t.same((await node.datapath.check(request)).filter((text) => !beside.has(text)), [expected], `${phase}: ${command}`);
    const machine = scene.machines[rest.at];
    const all = { ...node, withKernel: () => node.datapath };
    const { failed } = await repairAll(all, [toRepair(request.segment, request.port, machine)]);
    t.same(failed, [], `${phase}: ${command}: repaired`);
    node.datapath.mendGuard(known);
    t.same(await node.datapath.check(request), [], `${phase}: ${command}: whole again`);
  }
}

for (const kind of kinds) {
  for (const step of phases) {
    void t.test(`${kind}, ${step.phase}: whole, damaged and repaired`, { skip }, async (t) => {
      const scene = await createScene(t, { kind });
      await reach(scene, step);
      const { node, ...request } = requestOf(scene, step);
      t.same(await node.datapath.check(request), [], 'whole');
      const known = { segments: [node.segment], ports: [request.port, node.senderPort] };
      const before = observeNode(node);
      t.same(await node.datapath.collect(known), [], 'nothing to collect');
      t.same(node.datapath.mendGuard(known), []);
      t.same(observeNode(node), before);
      await damageAndRepair(t, scene, step);
      await node.datapath.detach(request.port, node.segment);
      await removeSegment(node.datapath, { segment: node.segment, remaining: [], ports: [node.senderPort] });
      t.equal(readRuleset(node.netns), '', 'nothing is left');
      t.equal(findLink(node.netns, relay), undefined);
    });
  }

  void t.test(`${kind}: what no attachment needs any more is collected`, { skip }, async (t) => {
    const scene = await createScene(t, { kind });
    for (const step of phases.filter(({ phase }) => phase !== 'left')) {
      const { node } = requestOf(scene, step);
      await reach(scene, step);
      const ports: readonly AttachmentPort[] = step.at === 0 ? [scene.moving(0).port, node.senderPort] : [node.senderPort];
      const removed = await node.datapath.collect({ segments: [node.segment], ports });
      t.ok(removed.includes(`vxlan ${relay}`), `${step.phase}: ${removed.join('; ')}`);
      t.notMatch(readRuleset(node.netns), /table netdev/);
      if (step.at === 0) await node.datapath.takeBack(scene.moving(0));
    }
  });
}

void t.test('a port that its machine has opened stays open, whatever is looked after', { skip }, async (t) => {
  const scene = await createScene(t);
  const step = { at: 1, phase: 'waiting' } as const;
  await reach(scene, step);
  const { node, ...request } = requestOf(scene, step);
  const known = { segments: [node.segment], ports: [request.port, node.senderPort] };
  sendFrom(scene.machines[1], locationFrame(request.port.mac, node.senderPort.mac));
  t.ok(await node.datapath.hasOpened(scene.moving(1, 'waiting')));
  t.same(await node.datapath.check(request), []);
  t.same(await node.datapath.collect(known), []);
  t.same(node.datapath.mendGuard(known), []);
  runIn(node.netns, 'nft', 'flush', 'chain', 'bridge', 'weft', 'from_closed');
  t.same(node.datapath.mendGuard(known), ["the guard's nft chain bridge weft from_closed does not have the rules it was made with"]);
  t.ok(await node.datapath.hasOpened(scene.moving(1, 'waiting')), 'also where the guard is made anew');
});

void t.test('the guard of an earlier version is made anew, and rules may add to its set', { skip }, async (t) => {
  const scene = await createScene(t);
  const [{ netns, datapath, segment, senderPort }] = scene.nodes;
  const listing = readRuleset(netns);
  const closed = addRule(bridgeTable, 'from_container', [loadMeta('inputInterface'), loadPayload({ base: 'link', offset: 6, length: 6 }, { word: 4 }), lookup('ports', { isIn: false }), counter(), verdict('drop')]);
  const ports = addSet(bridgeTable, { name: 'ports', key: ['interfaceName', 'etherAddress'], id: 1 });
  const made = guardTables().filter(({ what }) => !/ (waiting|from_closed|from_waiting_arp)$/.test(what)).map((request) => (request.what === ports.what ? ports : request));
  const first = made.findIndex(({ what }) => what === closed.what);
  commitBatch(openNetlinkIn(t, netns, 'netfilter'), [deleteTable(bridgeTable), deleteTable(inetTable), ...made.map((request, index) => (index === first ? closed : request))]);
  t.notMatch(readRuleset(netns), /from_closed|flags dynamic/, 'it is an earlier one');
  const known = { segments: [segment], ports: [scene.moving(0).port, senderPort] };
  t.not(datapath.mendGuard(known).length, 0);
  t.equal(readRuleset(netns), listing);
});

void t.test('a VNI that has no spare one, and one whose spare one is another tenant’s', { skip }, async (t) => {
  const scene = await createScene(t);
  const [source, target] = scene.nodes;
  run('ip', ['-n', source.netns, 'link', 'add', 'other', 'type', 'vxlan', 'id', String(spareVni(blue.vni)), 'dstport', '4789', 'local', '192.0.2.1']);
  const refusal = { code: 'invalidConfiguration', message: /^No endpoint of tenant blue can move to or from this node: frames are relayed with VNI 16776214 on UDP port 4789, which another/ };
  t.throws(() => source.datapath.startRelay(scene.moving(0, 'relaying')), refusal);
  run('ip', ['-n', target.netns, 'link', 'add', vxlanName(parseVni(16776214)), 'type', 'vxlan', 'id', '16776214', 'dstport', '4790', 'local', '192.0.2.2']);
  await t.rejects(target.datapath.attach({ ...scene.moving(1, 'waiting'), netnsFd: scene.machines[1].fd }), refusal);
});

for (const kind of ['refused', 'executed'] as const) {
  void t.test(`attach() of a machine that waits, with each request ${kind} in turn, is undone`, { skip }, async (t) => {
    const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
    const port: AttachmentPort = { ...testPort(blue, 5), migration: { id: 'move', phase: 'waiting', other: blue.peers[0] ?? blue.vtepAddress, since: 0 } };
    const before = [observeNode(node), observeNode(container)];
    let at = 1;
    for (; at <= requestsMax; at += 1) {
      const plan = new FaultPlan(kind, at);
      const request = { segment: blue, port, netnsFd: container.fd };
      const isRefused = await node.withKernel((kernel) => faultyKernel(kernel, plan)).attach(request).then(() => false, () => true);
      if (!isRefused) t.same(await node.datapath.check(request), [], 'an attach() that takes a refusal for an answer is whole');
      await node.datapath.detach(port, blue);
      await removeSegment(node.datapath, { segment: blue, remaining: [] });
      t.same([observeNode(node), observeNode(container)], before, `request ${at}: ${plan.failed ?? 'none'}`);
      if (plan.failed === undefined) break;
    }
    t.comment(`${at - 1} requests were ${kind}`);
    t.ok(at > 30 && at <= requestsMax);
  });
}
