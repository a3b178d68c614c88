/** What is weft's by its name and belongs to nothing goes when a daemon starts, and with a pass over the whole node. */
import { run, runIn } from '../../pkg/testing/command.ts';
import { readLinks, readRuleset } from '../../pkg/testing/observe.ts';
import { createDaemonLabOf, Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { makeStrayBridge, makeSwitchGarbage } from '../harness/switch-garbage.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { fullPass } from './full-pass.ts';
import { createScene, pingSteadily } from './scene.ts';
import { describeNode } from './whole.ts';

const skip = skipWithoutDaemonLab();

const garbage = ['weft-paaaaaaaab', 'weft-iaaaaaaaab', 'weft-br4242', 'weft-vx4242'];

/** @returns what it is called when it is removed */
function makeGarbage({ netns, datapath }: LabNode): readonly string[] {
  const onBridges = ['link add weft-vx4242 type vxlan id 4242 dstport 4789 local 10.200.0.11', 'link set weft-vx4242 master weft-br4242', 'link set weft-paaaaaaaab master weft-br4242', 'link set weft-vx4242 up'];
  run('ip', ['-n', netns, '-batch', '-'], [
    'link add weft-paaaaaaaab type veth peer name stray', 'link add weft-iaaaaaaaab type ifb', 'link add weft-br4242 type bridge', 'link set weft-br4242 up', 'link set weft-paaaaaaaab up',
    ...(datapath === 'bridge' ? onBridges : []),
  ].join('\n'));
  return ['bridge weft-br4242', 'ifb weft-iaaaaaaaab', 'veth weft-paaaaaaaab', ...(datapath === 'bridge' ? ['vxlan weft-vx4242'] : [])];
}

function makeStrayElements({ netns }: LabNode): void {
  runIn(netns, 'nft', `add element bridge weft ports { "weft-paaaaaaaab" . 02:00:00:00:00:99, "weft-pbbbbbbbbb" . 02:00:00:00:00:98 }; add element bridge weft addresses4 { "weft-paaaaaaaab" . 10.1.1.99 }; add element inet weft vteps4 { 203.0.113.1 . 4789 . 0x3e900 }`);
}

function repairedBy(daemon: Daemon): readonly string[] {
  return daemon.linesOf(/^repaired$/).map((line) => String(line['repaired'])).sort();
}

const strayElements = ['1 elements of the nft set bridge weft addresses4', '1 elements of the nft set inet weft vteps4', '2 elements of the nft set bridge weft ports'];

function makeAll(node: LabNode): readonly string[] {
  const links = makeGarbage(node);
  const onSwitch = node.datapath === 'ovs' ? makeSwitchGarbage(node.openVSwitch, 'weft-paaaaaaaab') : [];
  makeStrayElements(node);
  return [...strayElements, ...links, ...onSwitch].map((what) => `${what} belonged to no attachment: removed`).sort();
}

testEachDatapath('beside containers that lose nothing', async (t, datapath) => {
  const { node, daemon, blue, red } = await createScene(t, datapath);
  const describe = (): unknown => describeNode(node, [...blue, ...red].map(({ netns }) => netns));
  const before = describe();
  const pings = [pingSteadily(t, red[0].netns, red[1].participant.ipv4), pingSteadily(t, blue[0].netns, blue[1].participant.ipv4)];
  const said = makeAll(node);
  await fullPass(daemon);
  t.same(describe(), before, 'gone with a pass over the whole node');
  t.same(repairedBy(daemon), said, 'and named');

  t.equal(await daemon.stop(), 0);
  makeAll(node);
  const next = await Daemon.start(t, node);
  t.same(describe(), before, 'gone at the start of a daemon');
  t.same(repairedBy(next), said, 'and named');
  t.match((await next.status()).reconciler, { openFaults: [], repairs: said.map(() => ({ at: Number, what: String })) });
  for (const steady of pings) {
    const { answered, lost } = await steady.end();
    t.ok(answered > 0 && lost.length === 0, `no packet of ${answered} is lost: ${lost.join(', ')}`);
  }
}, { skip });

testEachDatapath('on a node without a container', async (t, datapath) => {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath]);
  const [node, daemon] = [lab.node(1), daemons[0]];
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const before = node.snapshot();
  t.equal(await daemon.stop(), 0);
  makeGarbage(node);
  const rulesetBefore = readRuleset(node.netns);
  if (datapath === 'ovs') makeStrayBridge(node.openVSwitch, 'weft-paaaaaaaab');
  runIn(node.netns, 'nft', 'add table bridge weft; add set bridge weft ports { type ifname . ether_addr; }; add table inet weft; add table inet weft-gateway');
  const next = await Daemon.start(t, node);
  t.same(readLinks(node.netns).filter(({ ifname }) => garbage.includes(ifname)), []);
  t.equal(readRuleset(node.netns), rulesetBefore, 'tables that nobody needs go too');
  t.same(node.snapshot(), before);
  t.same(next.log.filter(({ level }) => level === 'error'), []);
}, { skip });
