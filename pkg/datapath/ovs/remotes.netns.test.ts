/** Remote endpoints on the switch, read back with ovs-ofctl(8). */
import t from 'tap';
import { eui64LinkLocal, formatAddress, parseAddress, parseMac } from '../../netaddr/netaddr.ts';
import type { RemoteEndpoint, Segment } from '../../overlay/model.ts';
import { pause } from '../../sys/timer.ts';
import type { TeardownScope } from '../../testing/netns.ts';
import type { OpenVSwitch } from '../../testing/openvswitch.ts';
import { openVSwitchTools } from '../../testing/openvswitch.ts';
import { skipUnless } from '../../testing/requirements.ts';
import type { NodeRemotes } from '../remotes.ts';
import { repairAll, toRepair } from '../test-conformance-repair.ts';
import { blue as plainBlue, canPing, createContainer, createNode, createNodes, onNode2, red as plainRed, removeSegment, testPort, type TestContainer, type TestNode } from '../test-node.ts';
import { ovsEvpnKind, remotesOfNodes, switches } from './test-kind.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'ethtool', ...openVSwitchTools] });
const [blue, red] = [plainBlue, plainRed].map((segment): Segment => ({ ...segment, datapath: 'ovs', controlPlane: 'evpn' })) as [Segment, Segment];
const noticedWithinMs = 20_000;
t.setTimeout(120_000);

interface Stage {
  readonly node: TestNode;
  readonly container: TestContainer;
  readonly remotes: NodeRemotes;
  readonly ovs: OpenVSwitch;
}

function asStage(node: TestNode, container: TestContainer): Stage {
  const [remotes, ovs] = [remotesOfNodes.get(node.netns), switches.get(node.netns)];
  if (remotes === undefined || ovs === undefined) throw new Error('a node without a switch');
  return { node, container, remotes, ovs };
}

async function createStage(scope: TeardownScope): Promise<Stage> {
  const [node, container] = [await createNode(scope, ovsEvpnKind), createContainer(scope)];
  await node.datapath.attach({ segment: blue, port: testPort(blue, 5), netnsFd: container.fd });
  return asStage(node, container);
}

function endpoint(n: number, vtep = '192.0.2.2'): RemoteEndpoint {
  return { mac: parseMac(`02:00:00:00:01:${n.toString(16).padStart(2, '0')}`), vtep: parseAddress(vtep), addresses: [parseAddress(`10.1.1.${n}`), parseAddress(`fd00:1::${n}`)] };
}

function inWords(endpoints: readonly RemoteEndpoint[]): readonly string[] {
  return endpoints.map(({ mac, vtep, addresses }) => `${mac} ${formatAddress(vtep)} ${addresses.map(formatAddress).filter((address) => !address.startsWith('fe80')).sort().join(' ')}`).sort();
}

async function seenBy({ remotes }: Stage, segment = blue): Promise<readonly string[]> {
  const { held, present } = await remotes.observeRemotes(segment);
  t.same(held, present, 'there is one table');
  return inWords(present);
}

/** Flows of endpoints elsewhere, as they are listed. */
function flowsOf({ ovs }: Stage, vni = blue.vni): readonly string[] {
  const cookie = `cookie=0x776566${vni.toString(16).padStart(6, '0')}ffff`;
  return ovs.ofctl('--no-stats', 'dump-flows', 'weft-int', `${cookie}/-1`).split('\n').map((line) => line.trim()).filter((line) => line.startsWith('cookie=')).sort();
}

void t.test('they are held, moved and dropped, each for itself', { skip }, async (t) => {
  const stage = await createStage(t);
  const { remotes } = stage;
  t.same(await remotes.observeRemotes(blue), { held: [], present: [] });
  const endpoints = [endpoint(6), endpoint(7, '192.0.2.3'), { ...endpoint(8), addresses: [] }];
  await remotes.holdRemotes(blue, endpoints);
  t.same(await seenBy(stage), inWords(endpoints));
  const before = flowsOf(stage);
  t.equal(before.length, 4 + 4 + 1, 'a flow for the MAC, for each address, and for the link-local one');
  await remotes.holdRemotes(blue, endpoints.slice(0, 1));
  await remotes.restoreRemotes(blue, endpoints);
  t.same(flowsOf(stage), before, 'again: nothing else');
  const moved = { ...endpoint(6, '192.0.2.3'), addresses: [parseAddress('10.1.1.6')] };
  await remotes.holdRemotes(blue, [moved]);
  t.same(await seenBy(stage), inWords([moved, ...endpoints.slice(1)]), 'the address that is no longer told of is gone');
  await remotes.dropRemotes(blue, [endpoint(6)]);
  t.same(await seenBy(stage), inWords([moved, ...endpoints.slice(1)]), 'what has moved is not dropped for where it was');
  await remotes.dropRemotes(blue, [{ ...moved, addresses: [] }, endpoint(9)]);
  t.same(await seenBy(stage), inWords(endpoints.slice(1)), 'its addresses go along');
  const heir = { ...endpoint(9), addresses: endpoint(7).addresses };
  await remotes.holdRemotes(blue, [heir]);
  await remotes.dropRemotes(blue, [endpoint(7, '192.0.2.3')]);
  t.same(await seenBy(stage), inWords([endpoints[2] as RemoteEndpoint, heir]), 'an address that is another’s by now stays');
});

void t.test('other tenants, and those without a control plane or not in place, have none', { skip }, async (t) => {
  const stage = await createStage(t);
  const { remotes, node } = stage;
  await remotes.holdRemotes(blue, [endpoint(6)]);
  const before = flowsOf(stage);
  const { controlPlane: _, ...fixed } = blue;
  for (const other of [red, fixed]) {
    await remotes.holdRemotes(other, [endpoint(7)]);
    await remotes.dropRemotes(other, [endpoint(6)]);
    t.same(await remotes.observeRemotes(other), { held: [], present: [] });
  }
  t.same([flowsOf(stage), flowsOf(stage, red.vni)], [before, []]);
  await node.datapath.attach({ segment: red, port: testPort(red, 5), netnsFd: createContainer(t).fd });
  await remotes.holdRemotes(red, [endpoint(6, '192.0.2.3')]);
  t.same([await seenBy(stage), await seenBy(stage, red)], [inWords([endpoint(6)]), inWords([endpoint(6, '192.0.2.3')])], 'the same addresses in two tenants');
  await removeSegment(node.datapath, { segment: blue, remaining: [red], ports: [testPort(blue, 5)] });
  t.same([flowsOf(stage), await seenBy(stage, red)], [[], inWords([endpoint(6, '192.0.2.3')])], 'they go with the tenant');
  await remotes.holdRemotes(blue, [endpoint(6)]);
  t.same(flowsOf(stage), [], 'and do not come back');
});

void t.test('a daemon that starts knows them, a restart of ovs-vswitchd takes them, and then they are held again', { skip }, async (t) => {
  const stage = await createStage(t);
  await stage.remotes.holdRemotes(blue, [endpoint(6)]);
  const before = flowsOf(stage);
  stage.node.withKernel((kernel) => kernel);
  const later = asStage(stage.node, stage.container);
  t.not(later.remotes, stage.remotes);
  t.same(await seenBy(later), inWords([endpoint(6)]));
  await stage.ovs.kill('ovs-vswitchd');
  await t.rejects(Promise.resolve(later.remotes.observeRemotes(blue)), { name: 'WeftError' }, 'it cannot be asked');
  await stage.ovs.start('ovs-vswitchd');
  for (const deadline = performance.now() + noticedWithinMs; performance.now() < deadline; await pause(50)) {
    const seen = await seenBy(later).catch(() => undefined);
    if (seen?.length === 0) break;
  }
  t.same(await seenBy(later), []);
  await later.remotes.holdRemotes(blue, [endpoint(6)]);
  t.same(flowsOf(stage), before);
});

void t.test('what somebody else has done to them is said, and put right', { skip }, async (t) => {
  const stage = await createStage(t);
  const { node, container, ovs, remotes } = stage;
  const [port, request] = [testPort(blue, 5), toRepair(blue, testPort(blue, 5), container)];
  await remotes.holdRemotes(blue, [endpoint(6), endpoint(7)]);
  const [before, wanted] = [flowsOf(stage), inWords([endpoint(6), endpoint(7)])];
  t.same(await node.datapath.check({ segment: blue, port, netnsFd: container.fd }), []);
  const linkLocal = formatAddress(eui64LinkLocal(endpoint(6).mac));
  const damages: readonly (readonly [damage: readonly string[], words: string])[] = [
    [['--strict', 'mod-flows', 'weft-int', `table=30,priority=60,metadata=1001,dl_dst=${endpoint(6).mac},actions=set_field:192.0.2.2->tun_dst,output:99`], 'the switch lacks a flow of endpoints elsewhere of tenant blue'],
    [['add-flow', 'weft-int', `cookie=0x7765660003e9ffff,table=20,priority=99,metadata=1001,actions=drop`], 'the switch has a flow of endpoints elsewhere of tenant blue that weft did not send'],
    [['--strict', 'del-flows', 'weft-int', `table=10,priority=50,icmp6,metadata=1001,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,icmp_type=135,icmp_code=0,nd_target=${linkLocal}`], 'the switch lacks a flow of endpoints elsewhere of tenant blue'],
  ];
  for (const [damage, words] of damages) {
    ovs.ofctl(...damage);
    t.not(flowsOf(stage).join('\n'), before.join('\n'), damage.join(' '));
    t.same(await node.datapath.check({ segment: blue, port, netnsFd: container.fd }), [words]);
    t.same((await repairAll(node, [request])).repaired, [`${words}: sent again`]);
    t.same([flowsOf(stage), await seenBy(stage)], [before, wanted]);
  }
});

void t.test('a silent endpoint is found without asking the tenant', { skip }, async (t) => {
  const nodes = await createNodes(t, ovsEvpnKind);
  const [near, far] = nodes.map((node) => asStage(node, createContainer(t))) as [Stage, Stage];
  const [here, there] = [testPort(blue, 5), testPort(blue, 6)];
  await near.node.datapath.attach({ segment: blue, port: here, netnsFd: near.container.fd });
  await far.node.datapath.attach({ segment: onNode2(blue), port: there, netnsFd: far.container.fd });
  const addressesOf = ({ addresses }: typeof here): RemoteEndpoint['addresses'] => addresses.map(({ address }) => address);
  await near.remotes.holdRemotes(blue, [{ mac: there.mac, vtep: onNode2(blue).vtepAddress, addresses: addressesOf(there) }]);
  await far.remotes.holdRemotes(onNode2(blue), [{ mac: here.mac, vtep: blue.vtepAddress, addresses: addressesOf(here) }]);
  for (const address of ['10.1.1.6', 'fd00:1::6']) t.ok(canPing(near.container, address), address);
  const answered = near.ovs.ofctl('dump-flows', 'weft-int', 'table=10,cookie=0x7765660003e9ffff/-1').split('\n').filter((line) => /n_packets=[1-9]/.test(line));
  for (const question of ['arp_tpa=10.1.1.6', 'nd_target=fd00:1::6']) t.ok(answered.some((line) => line.includes(question)), `${question} was answered here, or went to the owner alone`);
});
