import t from 'tap';
import { formatAddress, parseAddress, parseMac } from '../netaddr/netaddr.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { findLink, ipJson, readLinks, type ObservedLink } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { addBridge, addVeth, addVxlan, decodeLink, delLink, delLinkGroup, getLink, getLinkByIndex, listLinks, setLink, setNoLinkLocal, type Link, type LinkChange, type VxlanOptions } from './link.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { openNetlinkIn, withNetns } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });
const mac = parseMac('0e:77:67:00:00:01');

interface Lab {
  readonly netns: string;
  readonly socket: NetlinkSocket;
  /** Index of the bridge br0. */
  readonly bridge: number;
}

function makeLab(scope: TeardownScope): Lab {
  const netns = createNetns(scope, 'link');
  const socket = openNetlinkIn(scope, netns);
  socket.request([addBridge({ name: 'br0', mac, mtu: 1450 })]);
  return { netns, socket, bridge: findLink(netns, 'br0')?.ifindex ?? 0 };
}

function readLink({ socket }: Lab, name: string): Link | undefined {
  const message = socket.request([getLink(name)])[0]?.[0];
  return message === undefined ? undefined : decodeLink(message);
}

void t.test('addBridge()', { skip }, async (t) => {
  const lab = makeLab(t);
  t.match(findLink(lab.netns, 'br0'), {
    address: mac, mtu: 1450, linkinfo: { info_kind: 'bridge', info_data: { forward_delay: 0, stp_state: 0, mcast_snooping: 0 } },
  });
  t.notOk(findLink(lab.netns, 'br0')?.flags.includes('UP'), 'it is made down');
  t.throws(() => lab.socket.request([addBridge({ name: 'br0', mac, mtu: 1450 })]), { errnoCode: 'EEXIST', message: /^Cannot add bridge br0: .*EEXIST/ });
  t.throws(() => lab.socket.request([addBridge({ name: 'x'.repeat(16), mac, mtu: 1450 })]), { code: 'kernelRefused' }, 'a name of 16 characters');
});

const vxlanOf = (bridge: number): VxlanOptions => ({ name: 'vx0', vni: 16777215, local: parseAddress('192.0.2.1'), port: 4789, mtu: 1500, learning: true, master: bridge });

void t.test('addVxlan() over IPv4', { skip }, async (t) => {
  const lab = makeLab(t);
  lab.socket.request([addVxlan(vxlanOf(lab.bridge))]);
  const data = { id: 16777215, local: '192.0.2.1', port: 4789, learning: true, udp_csum: false };
  t.match(findLink(lab.netns, 'vx0'), { mtu: 1500, master: 'br0', linkinfo: { info_kind: 'vxlan', info_data: data } });
  const link = readLink(lab, 'vx0');
  t.match(link, { name: 'vx0', mtu: 1500, kind: 'vxlan', isUp: false, master: lab.bridge, vxlan: { vni: 16777215, port: 4789, learning: true } });
  t.equal(link?.vxlan?.local && formatAddress(link.vxlan.local), '192.0.2.1');
  t.throws(() => lab.socket.request([addVxlan({ ...vxlanOf(lab.bridge), name: 'vx1' })]), { code: 'kernelRefused', errnoCode: 'EEXIST' }, 'the VNI is taken on this port');
});

void t.test('addVxlan() over IPv6', { skip }, async (t) => {
  const lab = makeLab(t);
  lab.socket.request([addVxlan({ ...vxlanOf(lab.bridge), local: parseAddress('2001:db8::1'), port: 14789, mtu: 9000, learning: false })]);
  const data = { id: 16777215, local6: '2001:db8::1', port: 14789, learning: false };
  const found = findLink(lab.netns, 'vx0');
  t.match(found, { mtu: 9000, linkinfo: { info_data: data } });
  t.not(found?.linkinfo?.info_data?.['udp_zero_csum6_tx'], true, 'the UDP checksum is kept');
  const link = readLink(lab, 'vx0');
  t.equal(link?.vxlan?.local && formatAddress(link.vxlan.local), '2001:db8::1');
  t.equal(link?.vxlan?.learning, false);
});

void t.test('addVeth() makes the peer in its namespace under its name', { skip }, async (t) => {
  const lab = makeLab(t);
  const container = createNetns(t, 'container');
  const veth = (name: string, peerName: string): unknown =>
    withNetns(container, (netnsFd) => lab.socket.request([addVeth({ name, mtu: 1450, master: lab.bridge, peer: { name: peerName, mac: parseMac('02:00:00:00:00:05'), netnsFd } })]));
  veth('p1', 'eth0');
  t.match(findLink(lab.netns, 'p1'), { mtu: 1450, master: 'br0', linkinfo: { info_kind: 'veth' } });
  const peer = findLink(container, 'eth0');
  t.match(peer, { mtu: 1450, address: '02:00:00:00:00:05', linkinfo: { info_kind: 'veth' } });
  t.notOk(peer?.flags.includes('UP'), 'the peer is made down');
  t.equal(readLinks(container).length, 2, 'nothing else but loopback is in the container');
  t.throws(() => veth('p1', 'eth1'), { code: 'kernelRefused', errnoCode: 'EEXIST' }, 'the host name is taken');
  t.throws(() => veth('p2', 'eth0'), { code: 'kernelRefused', errnoCode: 'EEXIST' }, 'the container name is taken');
  t.same(readLinks(lab.netns).map((link) => link.ifname).sort(), ['br0', 'lo', 'p1'], 'a refused pair leaves no end behind');
  lab.socket.request([delLink('p1')]);
  t.equal(findLink(container, 'eth0'), undefined, 'both ends go together');
});

const longAlias = 'é'.repeat(127);
const changes: readonly (readonly [what: string, change: LinkChange, expected: object])[] = [
  ['up', { isUp: true }, { flags: /UP/ }],
  ['mtu', { mtu: 1400 }, { mtu: 1400 }],
  ['alias', { alias: longAlias }, { ifalias: longAlias }],
  ['port settings', { port: { learning: false, unicastFlood: false } }, { linkinfo: { info_slave_data: { learning: false, flood: false } } }],
  ['port settings, the other way', { port: { learning: true, unicastFlood: true } }, { linkinfo: { info_slave_data: { learning: true, flood: true } } }],
  ['several at once', { isUp: false, mtu: 1300, alias: 'a' }, { mtu: 1300, ifalias: 'a' }],
];

void t.test('setLink() changes just what it names', { skip }, async (t) => {
  const lab = makeLab(t);
  withNetns(lab.netns, (netnsFd) => lab.socket.request([addVeth({ name: 'p1', mtu: 1450, master: lab.bridge, peer: { name: 'p2', mac, netnsFd } })]));
  for (const [what, change, expected] of changes) {
    lab.socket.request([setLink('p1', change)]);
    const link = findLink(lab.netns, 'p1');
    t.match({ ...link, flags: link?.flags.join(' ') }, expected, what);
    t.equal(link?.master, 'br0', 'it stays in its bridge');
  }
  t.notOk(findLink(lab.netns, 'p1')?.flags.includes('UP'), 'down again');
  lab.socket.request([addBridge({ name: 'br1', mac, mtu: 1450 }), setLink('p1', { master: 0 })]);
  t.equal(findLink(lab.netns, 'p1')?.master, undefined, 'no bridge');
  lab.socket.request([setLink('p1', { master: findLink(lab.netns, 'br1')?.ifindex ?? 0 })]);
  t.equal(findLink(lab.netns, 'p1')?.master, 'br1');
});

void t.test('setNoLinkLocal() keeps a link from link-local IPv6', { skip }, async (t) => {
  const lab = makeLab(t);
  lab.socket.request([setNoLinkLocal('br0'), setLink('br0', { isUp: true })]);
  const [link] = ipJson<readonly (ObservedLink & { readonly inet6_addr_gen_mode: string })[]>(lab.netns, '-d', 'link', 'show', 'br0');
  t.equal(link?.inet6_addr_gen_mode, 'none');
  t.same(ipJson(lab.netns, '-6', 'addr', 'show', 'dev', 'br0'), [], 'no address');
});

void t.test('getLink(), getLinkByIndex(), listLinks(), delLink()', { skip }, async (t) => {
  const lab = makeLab(t);
  lab.socket.request([addVxlan(vxlanOf(lab.bridge)), setLink('br0', { alias: 'für blau', isUp: true })]);
  t.match(readLink(lab, 'br0'), { index: lab.bridge, name: 'br0', isUp: true, mtu: findLink(lab.netns, 'br0')?.mtu ?? 0, mac, kind: 'bridge', alias: 'für blau' });
  const byIndex = lab.socket.request([getLinkByIndex(lab.bridge)])[0]?.[0];
  t.equal(byIndex && decodeLink(byIndex).name, 'br0');
  t.throws(() => readLink(lab, 'none'), { errnoCode: 'ENODEV', message: /^Cannot read link none: no such device \(ENODEV\)/i });
  t.throws(() => lab.socket.request([getLinkByIndex(9999)]), { errnoCode: 'ENODEV', message: /^Cannot read link number 9999/ });

  const all = lab.socket.dump(listLinks()).map(decodeLink);
  t.same(all.map(({ index, name, mtu }) => ({ index, name, mtu })), readLinks(lab.netns).map((link) => ({ index: link.ifindex, name: link.ifname, mtu: link.mtu })), 'as `ip link` lists them');
  t.same(lab.socket.dump(listLinks({ master: lab.bridge })).map((message) => decodeLink(message).name), ['vx0'], 'ports of a bridge only');

  lab.socket.request([delLink('vx0')]);
  t.same(readLinks(lab.netns).map((link) => link.ifname), ['lo', 'br0']);
  t.throws(() => lab.socket.request([delLink('vx0')]), { errnoCode: 'ENODEV', message: /^Cannot delete link vx0/ });
});

void t.test('delLinkGroup() deletes what is in the group, and nothing else', { skip }, async (t) => {
  const { netns, socket } = makeLab(t);
  socket.request(['br1', 'br2'].map((name) => addBridge({ name, mac, mtu: 1450 })));
  socket.request(['br0', 'br2'].map((name) => setLink(name, { group: 0x77656674 })));
  const message = socket.request([getLink('br2')])[0]?.[0];
  t.equal(message && decodeLink(message).group, 0x77656674);
  socket.request([delLinkGroup(0x77656674)]);
  t.same(readLinks(netns).map((link) => link.ifname), ['lo', 'br1']);
  t.throws(() => socket.request([delLinkGroup(0x77656674)]), { code: 'kernelRefused', errnoCode: 'ENODEV' }, 'an empty group');
});
