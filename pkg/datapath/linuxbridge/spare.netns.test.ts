/** The spare tunnel: what it is made of, that it carries what zebra takes away, and that it is no way in. */
import t from 'tap';
import { macBytes, parseAddress, parseMac, vniMax, type Mac } from '../../netaddr/netaddr.ts';
import { bridgeName, spareName, sparePortName, vxlanName } from '../../overlay/names.ts';
import { nextTurn } from '../../sys/timer.ts';
import { startCapture } from '../../testing/capture.ts';
import { run, runIn } from '../../testing/command.ts';
import { findLink, ipJson, readAddresses, readFdb, type ObservedLink } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { neighbourFrame } from '../announcement.ts';
import { blue, canPing, createContainer, createNode, removeSegment, testPort } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { readNeighbours, readPermanent, wipeAsZebra, withEvpn } from './test-evpn.ts';
import { createEvpnNodes, startPings, type EvpnNode } from './test-evpn-scene.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc', 'tcpdump'] });
const segment = withEvpn(blue);
const [bridge, vxlan, tunnel, port] = [bridgeName(blue.vni), vxlanName(blue.vni), spareName(blue.vni), sparePortName(blue.vni)];

void t.test('a segment with a control plane has a spare tunnel', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  await node.datapath.attach({ segment, port: testPort(segment, 5), netnsFd: container.fd });
  t.match(findLink(node.netns, tunnel), { mtu: 1500, ifalias: 'weft tenant blue VNI 1001', linkinfo: { info_kind: 'vxlan', info_data: { id: vniMax - 1001, local: '192.0.2.1', port: 24789, learning: false } } });
  t.equal(findLink(node.netns, tunnel)?.master, undefined);
  t.match(findLink(node.netns, port), {
    mtu: 1500, master: bridge, ifalias: 'weft tenant blue VNI 1001', linkinfo: { info_kind: 'ifb', info_slave_data: { flood: true, mcast_flood: false, bcast_flood: false, learning: false, isolated: true } },
  });
  t.match(findLink(node.netns, vxlan)?.linkinfo?.info_slave_data, { flood: false, neigh_suppress: true, isolated: true, learning: false });
  t.match(findLink(node.netns, testPort(segment, 5).hostIf)?.linkinfo?.info_slave_data, { neigh_suppress: false, isolated: false });
  t.match(findLink(node.netns, bridge), { mtu: 1450 });
  const actions = JSON.parse(run('tc', ['-n', node.netns, '-j', 'filter', 'show', 'dev', port, 'egress'])) as readonly { readonly options?: { readonly actions?: readonly unknown[] } }[];
  t.match(actions.flatMap(({ options }) => options?.actions ?? []), [{ kind: 'mirred', mirred_action: 'redirect', direction: 'egress', to_dev: tunnel }]);
  for (const name of [tunnel, port]) {
    t.match(ipJson<readonly (ObservedLink & { readonly inet6_addr_gen_mode: string })[]>(node.netns, '-d', 'link', 'show', name), [{ inet6_addr_gen_mode: 'none' }]);
    for (const flag of ['UP', 'NOARP']) t.ok(findLink(node.netns, name)?.flags.includes(flag), `${name} is ${flag}`);
    t.same(readAddresses(node.netns, name), []);
  }
  t.same(readPermanent(node.netns, bridge), ['10.1.1.5 02:00:00:00:00:05', 'fd00:1::5 02:00:00:00:00:05']);
  await removeSegment(node.datapath, { segment, remaining: [], ports: [testPort(segment, 5)] });
  t.same(ipJson<readonly ObservedLink[]>(node.netns, 'link', 'show').map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-')), []);
});

/** Entries of remote VTEPs at a VXLAN device. */
function remoteEntries({ node }: EvpnNode, device: string): readonly string[] {
  return readFdb(node.netns, device).filter(({ dst }) => dst !== undefined).map(({ mac, dst = '' }) => `${mac} ${dst}`);
}

function sentBy({ node }: EvpnNode, device: string): number {
  const [link] = ipJson<readonly { readonly stats64: { readonly tx: { readonly packets: number } } }[]>(node.netns, '-s', 'link', 'show', device);
  return link?.stats64.tx.packets ?? 0;
}

for (const family of [4, 6] as const) {
  void t.test(`over IPv${family}: zebra takes everything away, on both nodes, under a thousand pings in a second`, { skip }, async (t) => {
    const nodes = await createEvpnNodes(t, family);
    for (const address of ['10.1.1.6', 'fd00:1::6']) {
      const pings = startPings(t, nodes[0].container, { address, count: 2000 });
      for (const [at, each] of nodes.entries()) {
        await pings.until(500 * (at + 1));
        wipeAsZebra(each.node.netns, each.segment);
        t.notOk(remoteEntries(each, vxlan).some((entry) => entry.startsWith('00:00:00:00:00:00')), 'flood list and all');
      }
      const before = nodes.map((each) => sentBy(each, tunnel));
      t.same(await pings.ended, { sent: 2000, received: 2000 }, `${address}: none is lost`);
      for (const [at, each] of nodes.entries()) t.ok(sentBy(each, tunnel) > (before[at] ?? 0) + 500, 'the spare tunnel has carried them');
      for (const { node, remotes, segment: own, remote } of nodes) {
        t.same(node.datapath.repairSegment(own).failed, []);
        remotes.restoreRemotes(own, [remote]);
      }
      const restored = sentBy(nodes[0], tunnel);
      t.same(await startPings(t, nodes[0].container, { address, count: 100 }).ended, { sent: 100, received: 100 }, 'put back');
      t.equal(sentBy(nodes[0], tunnel), restored, 'it has no more to do when they are put back');
    }
  });
}

void t.test('endpoints that nobody has told of yet, and known ones of which no request reaches the underlay', { skip }, async (t) => {
  const [first, second] = await createEvpnNodes(t);
  const underlay = await startCapture(t, first.node.netns, 'u0');
  t.ok(canPing(first.container, '10.1.1.6'));
  t.ok(canPing(first.container, 'fd00:1::6'));
  await underlay.drain();
  const request = Buffer.from([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
  t.equal(underlay.count(request), 0, 'ARP is answered on the node');
  t.equal(underlay.count(Buffer.from([0x33, 0x33, 0xff, 0, 0, 6])), 0, 'and so are neighbour solicitations');
  const third = createContainer(t);
  await second.node.datapath.attach({ segment: second.segment, port: testPort(segment, 7), netnsFd: third.fd });
  t.ok(canPing(third, '10.1.1.5'), 'a new one reaches those that are known');
  t.ok(canPing(first.container, '10.1.1.7'), 'and is reached');
  t.ok(remoteEntries(first, tunnel).includes('00:00:00:00:00:00 192.0.2.2'));
});

void t.test('a remote MAC is held at one place, and moves', { skip }, async (t) => {
  const [first] = await createEvpnNodes(t);
  first.remotes.holdRemotes(first.segment, [{ ...first.remote, vtep: parseAddress('192.0.2.99') }]);
  t.same(remoteEntries(first, tunnel).filter((entry) => !entry.startsWith('00:00')), ['02:00:00:00:00:06 192.0.2.99']);
});

void t.test('what comes out of the tunnel never goes back into it', { skip }, async (t) => {
  const [first, second] = await createEvpnNodes(t);
  // Each of the nodes takes a MAC to be at the other one's.
  const lost = parseMac('02:00:00:00:00:77');
  for (const { remotes, segment: own, remote } of [first, second]) remotes.holdRemotes(own, [{ ...remote, mac: lost, addresses: [] }]);
  const underlay = await startCapture(t, second.node.netns, 'u0');
  first.node.kernel.sendFrame(findLink(first.node.netns, bridge)?.ifindex ?? 0, frameTo(lost, 'round-and-round'));
  t.ok(await underlay.waitFor((capture) => capture.count('round-and-round') > 0, 5000), 'it is sent once');
  t.ok(canPing(first.container, '10.1.1.6'));
  await underlay.drain();
  t.equal(underlay.count('round-and-round'), 1, 'and not again');
});

/** A frame of no protocol that a host knows. */
function frameTo(mac: Mac, text: string): Buffer {
  return Buffer.concat([macBytes(mac), macBytes(parseMac('02:00:00:00:00:05')), Buffer.from([0x88, 0xb5]), Buffer.from(text.padEnd(46))]);
}

/** VXLAN in UDP, as the kernel's own send() makes it. */
async function sendVxlan(from: EvpnNode, { to, vni, inner }: { readonly to: string; readonly vni: number; readonly inner: Buffer }): Promise<void> {
  const header = Buffer.alloc(8);
  header.writeUInt8(0x08, 0);
  header.writeUIntBE(vni, 4, 3);
  runIn(from.node.netns, process.execPath, '--eval', sender, to, Buffer.concat([header, inner]).toString('hex'));
}

const sender = `const [to, hex] = process.argv.slice(1); const socket = require('node:dgram').createSocket('udp4'); socket.send(Buffer.from(hex, 'hex'), 24789, to, () => socket.close());`;

void t.test('nobody gets anything by the spare tunnel’s port, not even a known VTEP', { skip }, async (t) => {
  const [first, second] = await createEvpnNodes(t);
  const [atTunnel, atBridge, atContainer] = [await startCapture(t, first.node.netns, tunnel), await startCapture(t, first.node.netns, bridge), await startCapture(t, first.container.netns, 'eth0')];
  run('ip', ['-n', first.node.netns, 'link', 'set', 'lo', 'up']);
  const inner = frameTo(parseMac('02:00:00:00:00:05'), 'out-of-nowhere');
  for (const vni of [vniMax - 1001, 1001, 0]) {
    await sendVxlan(second, { to: '192.0.2.1', vni, inner });
    await sendVxlan(first, { to: '192.0.2.1', vni, inner });
  }
  const dropped = (): number => Number(/counter packets (\d+)[^\n]*drop\n\t}\s*}?\s*$/.exec(runIn(first.node.netns, 'nft', 'list', 'chain', 'inet', 'weft', 'from_vtep'))?.[1] ?? 0);
  for (const deadline = performance.now() + 5000; dropped() < 2 && performance.now() < deadline;) await nextTurn();
  t.equal(dropped(), 2, 'one of the VTEP, one of the host itself; the others have no device');
  for (const [where, capture] of [['tunnel', atTunnel], ['bridge', atBridge], ['container', atContainer]] as const) {
    await capture.drain();
    t.equal(capture.count('out-of-nowhere'), 0, where);
  }
});

void t.test('what the spare tunnel receives all the same enters nothing', { skip }, async (t) => {
  const [first, second] = await createEvpnNodes(t);
  runIn(first.node.netns, 'nft', 'flush', 'set', 'inet', 'weft', 'segments');
  const [atTunnel, atUnderlay] = [await startCapture(t, first.node.netns, tunnel), await startCapture(t, second.node.netns, 'u0')];
  const mac = parseMac(findLink(first.node.netns, tunnel)?.address ?? '');
  await sendVxlan(second, { to: '192.0.2.1', vni: vniMax - 1001, inner: neighbourFrame(parseMac('02:00:00:00:00:06'), parseAddress('192.0.2.1')) });
  await sendVxlan(second, { to: '192.0.2.1', vni: vniMax - 1001, inner: echoRequest(mac) });
  t.ok(await atTunnel.waitFor((capture) => capture.frames.length >= 2, 5000), 'it gets there');
  t.ok(canPing(second.container, '10.1.1.5'));
  await atUnderlay.drain();
  t.equal(atUnderlay.count('who-is-there', { exceptFrom: macOf(second) }), 0, 'and is not answered');
  t.same(readNeighbours(first.node.netns, tunnel).filter(({ dst }) => dst.startsWith('192.')), [], 'nor learned');
});

function macOf({ node }: EvpnNode): string {
  return findLink(node.netns, 'u0')?.address ?? '';
}

/** From 192.0.2.2 to 192.0.2.1, IPv4 without options (RFC 791 §3.1) and ICMP (RFC 792). */
function echoRequest(to: Mac): Buffer {
  const icmp = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]), Buffer.from('who-is-there')]);
  icmp.writeUInt16BE(checksum(icmp), 2);
  const ip = Buffer.from([0x45, 0, 0, 20 + icmp.length, 0, 1, 0, 0, 64, 1, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1]);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([macBytes(to), macBytes(parseMac('02:00:00:00:00:06')), Buffer.from([0x08, 0x00]), ip, icmp]);
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
