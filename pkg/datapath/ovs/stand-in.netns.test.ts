/** What of a tenant on Open vSwitch FRR looks at: read back with ip(8) and bridge(8), and shown to carry nothing. */
import t from 'tap';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { startCapture } from '../../testing/capture.ts';
import { run, runIn } from '../../testing/command.ts';
import { bridgeJson, findLink, ipJson, readAddresses, readLinks, type ObservedFdbEntry } from '../../testing/observe.ts';
import { openVSwitchTools } from '../../testing/openvswitch.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { repairAll, toRepair } from '../test-conformance-repair.ts';
import { blue as plainBlue, canPing, createContainer, createNode, createNodes, isSilent, red as plainRed, removeSegment, testPort, type TestContainer, type TestNode } from '../test-node.ts';
import { ovsEvpnKind } from './test-kind.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'ethtool', 'tcpdump', ...openVSwitchTools] });
const [blue, red] = [plainBlue, plainRed].map((segment): Segment => ({ ...segment, datapath: 'ovs', controlPlane: 'evpn' })) as [Segment, Segment];
const [bridge, vxlan, ifb] = ['weft-sb1001', 'weft-sx1001', 'weft-se1001'] as const;
t.setTimeout(120_000);

/** What zebra takes for local MACs of the stand-in, and for their addresses. */
function toldOf({ netns }: TestContainer): readonly string[] {
  const entries = bridgeJson<readonly ObservedFdbEntry[]>(netns, 'fdb', 'show', 'dev', ifb).filter(({ mac, master, state }) => master === bridge && mac.startsWith('02:') && state === 'static');
  const neighbours = ([4, 6] as const).flatMap((family) => ipJson<readonly { readonly dst: string; readonly lladdr?: string }[]>(netns, `-${family}`, 'neigh', 'show', 'dev', bridge, 'nud', 'permanent'));
  return [...entries.map(({ mac }) => mac), ...neighbours.map(({ dst, lladdr = '' }) => `${dst} ${lladdr}`)].sort();
}

function toldAs({ mac, addresses }: AttachmentPort, texts: readonly string[]): readonly string[] {
  return [mac, ...texts.slice(0, addresses.length).map((address) => `${address} ${mac}`)].sort();
}

function standInLinks({ netns }: TestContainer): readonly string[] {
  return readLinks(netns).map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-s')).sort();
}

async function attach(node: TestNode, { fd }: TestContainer, port: AttachmentPort, segment = blue): Promise<void> {
  await node.datapath.attach({ segment, port, netnsFd: fd });
}

void t.test('it comes with the first attachment, has each one’s MAC and addresses, and goes with the last', { skip }, async (t) => {
  const node = await createNode(t, ovsEvpnKind);
  const [first, second, other] = [testPort(blue, 5), testPort(blue, 6, { addresses: [], routes: [] }), testPort(red, 5)];
  await attach(node, createContainer(t), first);
  t.match(findLink(node.netns, vxlan), { master: bridge, ifalias: 'weft tenant blue VNI 1001', linkinfo: { info_kind: 'vxlan', info_data: { id: 1001, port: 24789, local: '192.0.2.1', learning: false } } });
  t.match(findLink(node.netns, ifb), { master: bridge, linkinfo: { info_kind: 'ifb' } });
  for (const name of [bridge, vxlan, ifb]) {
    t.ok(findLink(node.netns, name)?.flags.includes('UP'), name);
    t.same(readAddresses(node.netns, name), [], `${name} has no address, link-local ones among them`);
  }
  t.same(toldOf(node), toldAs(first, ['10.1.1.5', 'fd00:1::5']));
  await attach(node, createContainer(t), second);
  await attach(node, createContainer(t), other, red);
  t.same(toldOf(node), [...toldAs(first, ['10.1.1.5', 'fd00:1::5']), second.mac].sort(), 'of a layer 2 attachment the MAC, and of another tenant nothing');
  t.same(standInLinks(node), [bridge, 'weft-sb16777215', ifb, 'weft-se16777215', vxlan, 'weft-sx16777215']);
  await node.datapath.detach(first, blue);
  t.same(toldOf(node), [second.mac]);
  await removeSegment(node.datapath, { segment: blue, remaining: [red], ports: [second] });
  t.same(standInLinks(node), ['weft-sb16777215', 'weft-se16777215', 'weft-sx16777215']);
  await removeSegment(node.datapath, { segment: red, remaining: [], ports: [other] });
  t.same(standInLinks(node), []);
});

void t.test('a DEL that comes late takes nothing of a successor with the same MAC and addresses', { skip }, async (t) => {
  const node = await createNode(t, ovsEvpnKind);
  const [late, successor] = [testPort(blue, 5), { ...testPort(blue, 6), mac: testPort(blue, 5).mac, addresses: testPort(blue, 5).addresses }];
  const both = toldAs(late, ['10.1.1.5', 'fd00:1::5']);
  await attach(node, createContainer(t), late);
  await attach(node, createContainer(t), successor);
  await node.datapath.detach(late, blue);
  t.same(toldOf(node), both);
  await node.datapath.detach(late);
  t.same(toldOf(node), both, 'nor when it comes again, and knows no segment');
  run('ip', ['-n', node.netns, 'link', 'del', vxlan]);
  await node.datapath.detach(successor);
  t.same(toldOf(node), [], 'the last one takes its own, of what is left of the stand-in');
});

void t.test('a container whose MAC and addresses zebra has of another node is this node’s', { skip }, async (t) => {
  const [node, container] = [await createNode(t, ovsEvpnKind), createContainer(t)];
  const [first, moved] = [testPort(blue, 5), testPort(blue, 6)];
  await attach(node, createContainer(t), first);
  run('bridge', ['-n', node.netns, 'fdb', 'replace', moved.mac, 'dev', vxlan, 'dst', '192.0.2.2', 'self', 'master', 'extern_learn', 'dynamic']);
  run('ip', ['-n', node.netns, 'neigh', 'replace', '10.1.1.6', 'lladdr', moved.mac, 'dev', bridge, 'nud', 'noarp', 'extern_learn', 'proto', 'zebra']);
  await attach(node, container, moved);
  const both = [...toldAs(first, ['10.1.1.5', 'fd00:1::5']), ...toldAs(moved, ['10.1.1.6', 'fd00:1::6'])].sort();
  t.same(toldOf(node), both);
  t.same(await node.datapath.check({ segment: blue, port: moved, netnsFd: container.fd }), []);
  t.same(await node.datapath.collect({ segments: [blue], ports: [first, moved] }), []);
  await node.datapath.detach(moved, blue);
  t.same(toldOf(node), toldAs(first, ['10.1.1.5', 'fd00:1::5']));
});

void t.test('what is wrong with it is said, and put right', { skip }, async (t) => {
  const [node, container] = [await createNode(t, ovsEvpnKind), createContainer(t)];
  const port = testPort(blue, 5);
  await attach(node, container, port);
  const wanted = toldOf(node);
  const ip = (...args: readonly string[]) => (): void => void run('ip', ['-n', node.netns, ...args]);
  const damages: readonly (readonly [words: string, damage: () => void])[] = [
    [`the bridge ${bridge} of the tenant's stand-in is missing`, ip('link', 'del', bridge)],
    [`the vxlan ${vxlan} of the tenant's stand-in is missing`, ip('link', 'del', vxlan)],
    [`the ifb ${ifb} of the tenant's stand-in is missing`, ip('link', 'del', ifb)],
    [`${ifb} is not a port of ${bridge}`, ip('link', 'set', ifb, 'nomaster')],
    [`${vxlan} is down`, ip('link', 'set', vxlan, 'down')],
    [`${bridge} has the address 10.9.9.9/24`, ip('address', 'add', '10.9.9.9/24', 'dev', bridge)],
    [`the bridge port option isolated of ${vxlan} is off`, ip('link', 'set', vxlan, 'type', 'bridge_slave', 'isolated', 'off')],
    [`${bridge} does not know that 10.1.1.5 has MAC ${port.mac}`, ip('neigh', 'del', '10.1.1.5', 'dev', bridge)],
    [`${ifb} does not have the MAC ${port.mac}`, () => void run('bridge', ['-n', node.netns, 'fdb', 'del', port.mac, 'dev', ifb, 'master'])],
    [`${vxlan} has UDP port 4790 instead of 24789`, () => {
      ip('link', 'del', vxlan)();
      ip('link', 'add', vxlan, 'master', bridge, 'type', 'vxlan', 'id', '1001', 'local', '192.0.2.1', 'dstport', '4790')();
    }],
  ];
  for (const [words, damage] of damages) {
    damage();
    t.ok((await node.datapath.check({ segment: blue, port, netnsFd: container.fd })).includes(words), `CHECK: ${words}`);
    const { repaired } = await repairAll(node, [toRepair(blue, port, container)]);
    t.ok(repaired.some((done) => done.startsWith(`${words}: `)), `repaired: ${words}\n${repaired.join('\n')}`);
    t.same(await node.datapath.check({ segment: blue, port, netnsFd: container.fd }), []);
    t.same(toldOf(node), wanted);
    t.same((await repairAll(node, [toRepair(blue, port, container)])).repaired, []);
  }
});

void t.test('what belongs to nothing is collected', { skip }, async (t) => {
  const node = await createNode(t, ovsEvpnKind);
  const [stays, goes] = [testPort(blue, 5), testPort(blue, 6)];
  await attach(node, createContainer(t), stays);
  const before = toldOf(node);
  await attach(node, createContainer(t), goes);
  await attach(node, createContainer(t), testPort(red, 5), red);
  run('ip', ['-n', node.netns, 'link', 'add', 'weft-sbx', 'type', 'bridge']);
  const words = await node.datapath.collect({ segments: [blue], ports: [stays] });
  t.same(words.filter((one) => one.includes('weft-s')).sort(), ['3 entries of the stand-in weft-sb1001', 'bridge weft-sb16777215', 'ifb weft-se16777215', 'vxlan weft-sx16777215']);
  t.same(toldOf(node), before);
  t.same(standInLinks(node), [bridge, 'weft-sbx', ifb, vxlan], 'somebody else’s link stays');
});

void t.test('no frame passes, neither of the tenant nor from outside', { skip }, async (t) => {
  const [node, far] = await createNodes(t, ovsEvpnKind);
  const [one, two] = [createContainer(t), createContainer(t)];
  for (const [index, container] of [one, two].entries()) await attach(node, container, testPort(blue, index + 5));
  // As a forger on the underlay would, who knows port and VNI: with a route to the VTEP and to the container behind it.
  for (const line of ['link add forged type vxlan id 1001 local 192.0.2.2 remote 192.0.2.1 dstport 24789', 'link set forged addrgenmode none up', 'address add 10.1.1.77/24 dev forged', 'route add 203.0.113.1 dev forged']) run('ip', ['-n', far.netns, ...line.split(' ')]);
  run('ip', ['-n', node.netns, 'address', 'add', '203.0.113.1/32', 'dev', 'lo']);
  const listen = async (): Promise<readonly Awaited<ReturnType<typeof startCapture>>[]> => Promise.all([vxlan, ifb, bridge].map((name) => startCapture(t, node.netns, name)));
  const attempt = (): readonly boolean[] => ['10.1.1.5', '203.0.113.1'].map((address) => isSilent(far, address));

  const closed = await listen();
  t.ok(canPing(one, '10.1.1.6'));
  t.ok(isSilent(one, '10.1.1.99'), 'which is asked for by broadcast');
  t.same(attempt(), [true, true]);
  for (const capture of closed) await capture.drain();
  t.same(closed.map(({ frames }) => frames.length), [0, 0, 0], 'nothing comes to any of the links');

  runIn(node.netns, 'nft', 'delete element inet weft segments { 24789 . 1001 << 8 }'.replace('1001 << 8', String(1001 << 8)));
  const open = await listen();
  t.same(attempt(), [true, true], 'without its element of the guard');
  for (const capture of open) await capture.drain();
  t.ok((open[0]?.frames.length ?? 0) > 0, 'it comes as far as the VXLAN device');
  t.equal(open[1]?.frames.length, 0, 'and no further than the bridge');
});
