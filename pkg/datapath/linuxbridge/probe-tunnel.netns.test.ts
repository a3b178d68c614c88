/** Probe tunnels on a real kernel: what they are made of, who can reach them, and what becomes of them. */
import t from 'tap';
import { macBytes, parseAddress, parseMac, type Mac } from '../../netaddr/netaddr.ts';
import { probeTunnels, type ProbeTunnel } from '../../overlay/probe.ts';
import { run, runIn } from '../../testing/command.ts';
import { findLink, readFdb } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { blue, createContainer, createNode, createNodes, observeNode, red, removeSegment, testPort, type TestNode } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { linuxBridgeProbeTunnels } from './probe-tunnel.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft'] });
const other = parseAddress('192.0.2.9');

function onlyTunnel(...parties: Parameters<typeof probeTunnels>[0]): ProbeTunnel {
  const [tunnel, ...more] = probeTunnels(parties);
  if (tunnel === undefined || more.length > 0) throw new Error('one tunnel is expected');
  return tunnel;
}

function hasInGuard({ netns }: TestNode, set: string, element: string): boolean {
  return runIn(netns, 'nft', 'list', 'set', 'inet', 'weft', set).replace(/\s+/g, ' ').includes(element);
}

function received({ netns }: TestNode, name: string): number {
  return (JSON.parse(run('ip', ['-n', netns, '-s', '-j', 'link', 'show', name])) as readonly { readonly stats64: { readonly rx: { readonly packets: number } } }[])[0]?.stats64.rx.packets ?? -1;
}

void t.test('made, kept, given other peers, and gone with the last tenant', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const port = testPort(blue, 5);
  const before = observeNode(node);
  await node.datapath.attach({ segment: blue, port, netnsFd: container.fd });
  const probes = linuxBridgeProbeTunnels(node.kernel);
  const tunnel = onlyTunnel(blue);
  const { index } = probes.ensure(tunnel);
  t.match(findLink(node.netns, tunnel.name), { ifindex: index, mtu: 1500, address: '02:77:c0:00:02:01', ifalias: 'weft probes', linkinfo: { info_data: { id: 16777215, local: '192.0.2.1', port: 4789, learning: false, df: 'set' } } });
  t.ok(findLink(node.netns, tunnel.name)?.flags.includes('UP'));
  t.match(readFdb(node.netns, tunnel.name), [{ mac: '02:77:c0:00:02:02', dst: '192.0.2.2', state: 'static' }]);
  t.ok(hasInGuard(node, 'vteps4', '192.0.2.2 . 4789 . 0xffffff00'));
  t.equal(probes.ensure(tunnel).index, index, 'it is adopted as it is');
  t.same(probes.namesOf(blue.vtepAddress).sort(), [tunnel.name, 'weft-vx1001']);
  t.same(await node.datapath.collect({ segments: [blue], ports: [port] }), [], 'and is no garbage');
  t.ok(hasInGuard(node, 'vteps4', '192.0.2.2 . 4789 . 0xffffff00'));

  t.equal(probes.ensure(onlyTunnel({ ...blue, peers: [other] })).index, index);
  t.match(readFdb(node.netns, tunnel.name).map(({ dst }) => dst), ['192.0.2.9']);
  t.notOk(hasInGuard(node, 'vteps4', '192.0.2.2 . 4789 . 0xffffff00'), 'a node that is no peer any more is shut out');
  runIn(node.netns, 'nft', 'flush', 'set', 'inet', 'weft', 'segments');
  run('ip', ['-n', node.netns, 'link', 'set', tunnel.name, 'down', 'mtu', '1400']);
  t.equal(probes.ensure(tunnel).index, index);
  t.ok(hasInGuard(node, 'segments', '4789 . 0xffffff00'), 'damage is mended');
  t.equal(findLink(node.netns, tunnel.name)?.mtu, 1500);

  await node.datapath.detach(port);
  await removeSegment(node.datapath, { segment: blue, remaining: [] });
  t.same(observeNode(node), before);
});

void t.test('what a daemon that was killed has left is garbage when nobody needs it', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const [port, probes] = [testPort(blue, 5), linuxBridgeProbeTunnels(node.kernel)];
  await node.datapath.attach({ segment: blue, port, netnsFd: container.fd });
  const before = observeNode(node);
  const elsewhere = onlyTunnel({ ...blue, vtepPort: 4790 });
  probes.ensure(elsewhere);
  t.same(await node.datapath.collect({ segments: [blue], ports: [port] }), [], 'that is a probe\'s affair, and nothing that a tenant\'s operator is to hear of');
  t.same(observeNode(node), before);
  probes.ensure(elsewhere);
  await probes.removeOthers([]);
  t.same(observeNode(node), before);
  await removeSegment(node.datapath, { segment: blue, remaining: [], ports: [port] });
});

void t.test('a tenant that has the VNI for itself comes first', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const probes = linuxBridgeProbeTunnels(node.kernel);
  await node.datapath.attach({ segment: { ...blue, peers: [other] }, port: testPort(blue, 5), netnsFd: container.fd });
  const tunnel = onlyTunnel({ ...blue, peers: [other] });
  probes.ensure(tunnel);
  const second = createContainer(t);
  await node.datapath.attach({ segment: red, port: testPort(red, 6), netnsFd: second.fd });
  t.equal(findLink(node.netns, tunnel.name), undefined);
  t.ok(findLink(node.netns, 'weft-vx16777215'));
  t.notOk(hasInGuard(node, 'vteps4', '192.0.2.9 . 4789 . 0xffffff00'), 'the other tenant’s peers do not get into it');
  t.ok(hasInGuard(node, 'vteps4', '192.0.2.2 . 4789 . 0xffffff00'), 'its own do');
  t.throws(() => probes.ensure(tunnel), { code: 'foreignObject' });
});

void t.test('nobody but a peer gets in, and nothing gets into the host', { skip }, async (t) => {
  const [first, second] = await createNodes(t, linuxBridgeDatapath);
  const container = createContainer(t);
  await first.datapath.attach({ segment: blue, port: testPort(blue, 5), netnsFd: container.fd });
  const tunnel = onlyTunnel(blue);
  linuxBridgeProbeTunnels(first.kernel).ensure(tunnel);
  const inner = echoTo(parseMac('02:77:c0:00:02:01'));
  const send = (): string => runIn(second.netns, process.execPath, '--eval', sender, Buffer.concat([Buffer.from('08000000ffffff00', 'hex'), inner]).toString('hex'));
  send();
  t.equal(received(first, tunnel.name), 1, 'control: a peer does');
  run('ip', ['-n', second.netns, 'address', 'del', '192.0.2.2/24', 'dev', 'u0']);
  run('ip', ['-n', second.netns, 'address', 'add', '192.0.2.66/24', 'dev', 'u0']);
  send();
  t.equal(received(first, tunnel.name), 1, 'a stranger does not');
  t.match(runIn(first.netns, 'nft', 'list', 'chain', 'inet', 'weft', 'prerouting'), /iifname "weft-s\*" counter packets 1 /, 'what a peer has sent went to nobody');
});

const sender = "const [hex] = process.argv.slice(1); const socket = require('node:dgram').createSocket('udp4'); socket.send(Buffer.from(hex, 'hex'), 4789, '192.0.2.1', () => socket.close());";

/** Ethernet, and an IPv4 packet of an echo request to an address of the host. */
function echoTo(mac: Mac): Buffer {
  const header = Buffer.from('45000054000040004001b6a5c0000202c0000201', 'hex');
  return Buffer.concat([macBytes(mac), Buffer.from('0277c00002020800', 'hex'), header, Buffer.from('0800000000010001', 'hex'), Buffer.alloc(56)]);
}
