/** The gate of a port that waits on Open vSwitch: what is said of damage, what a repair does, and that none is left. */
import t from 'tap';
import { runIn } from '../../testing/command.ts';
import { openVSwitchTools } from '../../testing/openvswitch.ts';
import { readRuleset } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { parseMac, type Mac } from '../../netaddr/netaddr.ts';
import { spareVni } from '../../overlay/spare.ts';
import { openingDatagram } from '../announcement.ts';
import { toRepair } from '../test-conformance-repair.ts';
import { comesTrue, createMigrationScene, type MovingNode } from './test-migration-scene.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ethtool', ...openVSwitchTools] });

void t.test('the gate of a port that waits', { skip }, async (t) => {
  const scene = await createMigrationScene(t);
  const after = await scene.prepare();
  const { target, there, atTarget } = scene;
  const { hostIf } = after.port;
  const table = `netdev ${hostIf}-gate`;
  const request = { segment: target.segment, port: atTarget('waiting').port, netnsFd: after.fd };
  const fault = `nothing keeps frames from ${hostIf}, whose machine does not run here yet`;
  t.match(readRuleset(target.netns), `table ${table}`);
  t.same(await target.datapath.check(request), [], 'it is whole');

  for (const damage of [['nft', 'delete', 'table', 'netdev', `${hostIf}-gate`], ['nft', 'delete', 'chain', 'netdev', `${hostIf}-gate`, 'received']]) {
    runIn(target.netns, ...damage);
    t.same(await target.datapath.check(request), [fault], damage.join(' '));
    const repair = target.datapath.repairPort(toRepair(target.segment, request.port, after), await target.datapath.observe([target.segment]));
    t.same([...repair.repaired, ...((await repair.rest)?.repaired ?? [])], [`${fault}: closed`]);
    t.same(await target.datapath.check(request), []);
    t.notOk(await target.datapath.hasOpened(atTarget('waiting')), 'and it is closed');
  }

  const known = { segments: [target.segment], ports: [request.port, there.port] };
  t.same(await target.datapath.collect(known), [], 'it is no garbage');
  t.same(await target.datapath.collect({ ...known, ports: [atTarget().port, there.port] }), [`nft table ${table}`], 'but where nobody waits');
  runIn(target.netns, 'nft', 'add', 'table', 'netdev', 'somebodys-gate');
  t.same(await target.datapath.collect(known), [], 'what is not weft’s stays');
  runIn(target.netns, 'nft', 'delete', 'table', 'netdev', 'somebodys-gate');

  await target.datapath.repairPort(toRepair(target.segment, request.port, after), await target.datapath.observe([target.segment])).rest;
  t.match(readRuleset(target.netns), `table ${table}`);
  await target.datapath.open(atTarget('arrived'));
  t.ok(await target.datapath.hasOpened(atTarget('arrived')));
  const arrived = { ...request, port: atTarget('arrived').port };
  t.notOk((await target.datapath.check(request)).includes(fault), 'who does not know yet that it has arrived has no gate to make');
  t.same(await target.datapath.check(arrived), []);
  t.same(await target.datapath.collect({ ...known, ports: [arrived.port, there.port] }), []);
  await target.datapath.settle(atTarget());
  t.notMatch(readRuleset(target.netns), table, 'when all is over there is none');
  t.same(await target.datapath.check({ ...request, port: atTarget().port }), []);
});

void t.test('a port that goes while it waits', { skip }, async (t) => {
  const scene = await createMigrationScene(t);
  const { port } = await scene.prepare();
  t.match(readRuleset(scene.target.netns), `${port.hostIf}-gate`);
  await scene.target.datapath.detach(scene.atTarget('waiting').port, scene.target.segment);
  t.notMatch(readRuleset(scene.target.netns), `${port.hostIf}-gate`);
});

void t.test('the source opens it, however busy the switch is', { skip }, async (t) => {
  const scene = await createMigrationScene(t);
  const after = await scene.prepare();
  const { source, target, third, atTarget } = scene;
  const { hostIf, mac } = after.port;
  const isOpen = (): boolean => /elements = \{ 02:00:00:00:00:05 \}/.test(runIn(target.netns, 'nft', 'list', 'set', 'netdev', `${hostIf}-gate`, 'opened'));
  const sent = (rule: string): boolean => runIn(target.netns, 'nft', 'list', 'chain', 'netdev', 'arrivals', 'u0').includes(rule);
  // The switch forwards nothing any more: only the kernel can open it.
  target.ovs.ofctl('del-flows', 'weft-int');
  runIn(target.netns, 'nft', 'add table netdev arrivals; add chain netdev arrivals u0 { type filter hook ingress device "u0" priority -400; }; add rule netdev arrivals u0 udp dport 4789 counter');
  const say = ({ kernel, segment }: MovingNode, about: Mac, vni: number = spareVni(segment.vni)): void => kernel.sendDatagram(segment.vtepAddress, { address: target.segment.vtepAddress, port: segment.vtepPort }, openingDatagram(about, { vni }));

  say(third, mac);
  say(source, parseMac('02:00:00:00:00:06'));
  say(source, mac, source.segment.vni);
  t.ok(await comesTrue(() => sent('packets 3 ')), 'they have come');
  t.notOk(isOpen(), 'from another node, for another machine, and with the tenant’s own VNI it opens nothing');
  say(source, mac);
  t.ok(await comesTrue(isOpen), 'the source does');
  t.ok(await target.datapath.hasOpened(atTarget('waiting')));
  await target.datapath.detach(atTarget('waiting').port, target.segment);
  t.notMatch(readRuleset(target.netns), `${hostIf}-gate`, 'and nothing is left at the card');
});

void t.test('the source’s word goes past both switches', { skip }, async (t) => {
  const scene = await createMigrationScene(t);
  const { port } = await scene.prepare();
  const { source, target, atSource } = scene;
  await source.datapath.startRelay(atSource('relaying'));
  runIn(source.netns, 'ping', '-c', '1', '-W', '5', '192.0.2.2');
  const activate = source.datapath.armActivation(atSource('relaying'));
  source.ovs.ofctl('add-flow', 'br-phy', 'priority=60000,actions=drop');
  target.ovs.ofctl('del-flows', 'weft-int');
  activate();
  t.ok(await comesTrue(() => runIn(target.netns, 'nft', 'list', 'set', 'netdev', `${port.hostIf}-gate`, 'opened').includes(port.mac)));
});
