/** The guard at the source with real packets: what a container sends, and which of it another container of its tenant receives. */
import t from 'tap';
import { parseMac, parseVni, type Mac } from '../../../netaddr/netaddr.ts';
import { startCapture } from '../../../testing/capture.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { addressOption, arp, broadcast, discoveryBody, frame, icmp6, ip6, udp4, type Ether } from './test-frames.ts';
import { createHub, createSwitchNode, type Container } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'bridge', 'nft', 'tcpdump'] });
const blue = parseVni(1001);

const [own, other, receiver] = ['02:00:00:00:00:01', '02:00:00:00:00:03', '02:00:00:00:00:02'].map((mac) => parseMac(mac)) as [Mac, Mac, Mac];
const [own4, other4, receiver4] = ['10.0.0.1', '10.0.0.3', '10.0.0.2'] as const;
const [own6, other6, receiver6] = ['fd00::1', 'fd00::3', 'fd00::2'] as const;
const ownLinkLocal = 'fe80::ff:fe00:1';
const otherLinkLocal = 'fe80::ff:fe00:3';
const allNodes = 'ff02::1';
const types = { ip4: 0x0800, arp: 0x0806, rarp: 0x8035, ip6: 0x86dd } as const;

/** A frame and whether it may pass. */
interface Row {
  readonly name: string;
  readonly passes: boolean;
  readonly type: number;
  readonly payload: Uint8Array;
  readonly ether?: Partial<Ether>;
}

const request = { operation: 1, senderMac: own, senderAddress: own4, targetAddress: '10.0.0.99' } as const;
const [sourceOption, lyingSource] = [addressOption(1, own), addressOption(1, other)] as const;
const [targetOption, lyingTarget] = [addressOption(2, own), addressOption(2, other)] as const;
const nonce = Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6);
const lengthless = Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0);
/** A destination options header of padding (RFC 8200 §4.6) with ICMPv6 behind it. */
const behindOptions = { nextHeader: 60, bytes: Uint8Array.of(58, 0, 1, 4, 0, 0, 0, 0) } as const;

function solicitation(from: string, target: string, ...options: readonly Uint8Array[]): Uint8Array {
  return icmp6(from, receiver6, { type: 135, body: discoveryBody(target, ...options) });
}

function advertisement(from: string, target: string, ...options: readonly Uint8Array[]): Uint8Array {
  return icmp6(from, receiver6, { type: 136, body: discoveryBody(target, ...options) });
}

function other6Message(from: string, type: number): Uint8Array {
  return icmp6(from, allNodes, { type, body: Buffer.alloc(36) });
}

const rowsOfAny: readonly Row[] = [
  { name: 'a spoofed MAC', passes: false, type: types.ip4, payload: udp4(own4, receiver4), ether: { from: other } },
  { name: 'the MAC of all', passes: false, type: types.ip4, payload: udp4(own4, receiver4), ether: { from: broadcast } },
  { name: 'a VLAN tag', passes: false, type: 0x8100, payload: Buffer.concat([Uint8Array.of(0, 5, 8, 0), udp4(own4, receiver4)]) },
  { name: 'a priority tag', passes: false, type: 0x8100, payload: Buffer.concat([Uint8Array.of(0x20, 0, 8, 0), udp4(own4, receiver4)]) },
  { name: 'two tags', passes: false, type: 0x88a8, payload: Buffer.concat([Uint8Array.of(0, 5, 0x81, 0, 0, 6, 8, 0), udp4(own4, receiver4)]) },
  { name: 'a frame between bridges', passes: false, type: types.ip4, payload: udp4(own4, receiver4), ether: { to: parseMac('01:80:c2:00:00:00') } },
  { name: 'LLDP', passes: false, type: types.ip4, payload: udp4(own4, receiver4), ether: { to: parseMac('01:80:c2:00:00:0e') } },
  { name: 'a protocol without addresses', passes: false, type: 0x88b5, payload: Buffer.alloc(46) },
  { name: 'MPLS', passes: false, type: 0x8847, payload: Buffer.concat([Uint8Array.of(0, 0, 0x11, 64), udp4(own4, receiver4)]) },
  { name: 'ARP with a spoofed MAC', passes: false, type: types.arp, payload: arp({ ...request, senderMac: other }) },
  { name: 'ARP of another format', passes: false, type: types.arp, payload: Buffer.concat([Uint8Array.of(0, 6), arp(request).subarray(2)]) },
  { name: 'half an ARP packet', passes: false, type: types.arp, payload: Uint8Array.of(0, 1, 8, 0, 6, 4) },
  { name: 'RARP with a spoofed MAC', passes: false, type: types.rarp, payload: arp({ operation: 3, senderMac: other, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }) },
  { name: 'RARP', passes: true, type: types.rarp, payload: arp({ operation: 3, senderMac: own, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), ether: { to: broadcast } },
  { name: 'IPv4', passes: true, type: types.ip4, payload: udp4(own4, receiver4) },
  { name: 'IPv6', passes: true, type: types.ip6, payload: ip6(own6, receiver6, 59, Buffer.alloc(8)) },
  { name: 'ARP', passes: true, type: types.arp, payload: arp(request) },
];

const rowsOfGuarded: readonly Row[] = [
  { name: 'IPv4 from another address', passes: false, type: types.ip4, payload: udp4(other4, receiver4) },
  { name: 'IPv4 from none', passes: false, type: types.ip4, payload: udp4('0.0.0.0', '255.255.255.255', { port: 67 }), ether: { to: broadcast } },
  { name: 'half an IPv4 header', passes: false, type: types.ip4, payload: udp4(own4, receiver4).subarray(0, 12) },
  { name: 'an ARP request of another', passes: false, type: types.arp, payload: arp({ ...request, senderAddress: other4 }) },
  { name: 'an ARP reply for another', passes: false, type: types.arp, payload: arp({ ...request, operation: 2, senderAddress: other4 }) },
  { name: 'an ARP reply', passes: true, type: types.arp, payload: arp({ ...request, operation: 2 }) },
  { name: 'an ARP probe', passes: true, type: types.arp, payload: arp({ ...request, senderAddress: '0.0.0.0' }) },
  { name: 'an ARP announcement', passes: true, type: types.arp, payload: arp({ ...request, targetAddress: own4 }), ether: { to: broadcast } },
  { name: 'IPv6 from another address', passes: false, type: types.ip6, payload: ip6(other6, receiver6, 59, Buffer.alloc(8)) },
  { name: 'IPv6 from another link-local address', passes: false, type: types.ip6, payload: ip6(otherLinkLocal, receiver6, 59, Buffer.alloc(8)) },
  { name: 'IPv6 from none', passes: false, type: types.ip6, payload: ip6('::', receiver6, 59, Buffer.alloc(8)) },
  { name: 'IPv6 from the own link-local address', passes: true, type: types.ip6, payload: ip6(ownLinkLocal, receiver6, 59, Buffer.alloc(8)) },
  { name: 'an echo request', passes: true, type: types.ip6, payload: icmp6(own6, receiver6, { type: 128, body: Buffer.alloc(8) }) },
  { name: 'an echo request of another', passes: false, type: types.ip6, payload: icmp6(other6, receiver6, { type: 128, body: Buffer.alloc(8) }) },
  { name: 'an echo request from none', passes: false, type: types.ip6, payload: icmp6('::', receiver6, { type: 128, body: Buffer.alloc(8) }) },
  { name: 'listener reports before an address is known', passes: true, type: types.ip6, payload: other6Message('::', 143) },
  { name: 'older listener reports', passes: true, type: types.ip6, payload: other6Message('::', 131) },
  { name: 'a listener report of another', passes: false, type: types.ip6, payload: other6Message(otherLinkLocal, 143) },
  { name: 'a router solicitation', passes: false, type: types.ip6, payload: other6Message(ownLinkLocal, 133) },
  { name: 'a router advertisement', passes: false, type: types.ip6, payload: other6Message(ownLinkLocal, 134) },
  { name: 'a redirect', passes: false, type: types.ip6, payload: other6Message(ownLinkLocal, 137) },
];

const rowsOfDiscovery: readonly Row[] = [
  { name: 'a solicitation', passes: true, type: types.ip6, payload: solicitation(own6, receiver6) },
  { name: 'with the own MAC', passes: true, type: types.ip6, payload: solicitation(own6, receiver6, sourceOption) },
  { name: 'from the link-local address', passes: true, type: types.ip6, payload: solicitation(ownLinkLocal, receiver6, sourceOption) },
  { name: 'with a nonce', passes: true, type: types.ip6, payload: solicitation(own6, receiver6, nonce, sourceOption) },
  { name: 'with another MAC', passes: false, type: types.ip6, payload: solicitation(own6, receiver6, lyingSource) },
  { name: 'with another MAC behind a nonce', passes: false, type: types.ip6, payload: solicitation(own6, receiver6, nonce, lyingSource) },
  { name: 'with another MAC behind the own', passes: false, type: types.ip6, payload: solicitation(own6, receiver6, sourceOption, lyingSource) },
  { name: 'with another MAC before the own', passes: false, type: types.ip6, payload: solicitation(own6, receiver6, lyingSource, sourceOption) },
  // Whose receiver discards it as a whole (RFC 4861 §4.6).
  { name: 'with another MAC behind an option without length', passes: true, type: types.ip6, payload: solicitation(own6, receiver6, lengthless, lyingSource) },
  { name: 'with another MAC behind an extension header', passes: false, type: types.ip6, payload: icmp6(own6, receiver6, { type: 135, body: discoveryBody(receiver6, lyingSource), before: behindOptions }) },
  { name: 'cut off', passes: false, type: types.ip6, payload: icmp6(own6, receiver6, { type: 135, body: discoveryBody(receiver6).subarray(0, 12) }) },
  { name: 'of another', passes: false, type: types.ip6, payload: solicitation(other6, receiver6, sourceOption) },
  { name: 'of another code', passes: false, type: types.ip6, payload: icmp6(own6, receiver6, { type: 135, code: 1, body: discoveryBody(receiver6, lyingSource) }) },
  { name: 'for the own address, before it is used', passes: true, type: types.ip6, payload: solicitation('::', own6) },
  { name: 'for the own address with a nonce', passes: true, type: types.ip6, payload: solicitation('::', own6, nonce) },
  { name: 'for the link-local address', passes: true, type: types.ip6, payload: solicitation('::', ownLinkLocal) },
  { name: 'for another address from none', passes: false, type: types.ip6, payload: solicitation('::', other6) },
  { name: 'from none with a MAC', passes: false, type: types.ip6, payload: solicitation('::', own6, lyingSource) },
  { name: 'an advertisement', passes: true, type: types.ip6, payload: advertisement(own6, own6) },
  { name: 'with the own MAC', passes: true, type: types.ip6, payload: advertisement(own6, own6, targetOption) },
  { name: 'from the link-local address', passes: true, type: types.ip6, payload: advertisement(ownLinkLocal, own6, targetOption) },
  { name: 'with another MAC', passes: false, type: types.ip6, payload: advertisement(own6, own6, lyingTarget) },
  { name: 'with another MAC behind the own', passes: false, type: types.ip6, payload: advertisement(own6, own6, targetOption, lyingTarget) },
  { name: 'for another target', passes: false, type: types.ip6, payload: advertisement(own6, other6, targetOption) },
  { name: 'for another target without a MAC', passes: false, type: types.ip6, payload: advertisement(own6, other6) },
  { name: 'for no target', passes: false, type: types.ip6, payload: advertisement(own6, '::', targetOption) },
  { name: 'of another', passes: false, type: types.ip6, payload: advertisement(other6, own6, targetOption) },
  { name: 'from none', passes: false, type: types.ip6, payload: advertisement('::', own6, targetOption) },
];

/** Of a layer 2 attachment, whose addresses nobody knows. */
const rowsOfOpen: readonly Row[] = [
  { name: 'IPv4 from any address', passes: true, type: types.ip4, payload: udp4(other4, receiver4) },
  { name: 'IPv4 from none', passes: true, type: types.ip4, payload: udp4('0.0.0.0', '255.255.255.255', { port: 67 }), ether: { to: broadcast } },
  { name: 'ARP for any address', passes: true, type: types.arp, payload: arp({ ...request, operation: 2, senderAddress: other4 }) },
  { name: 'IPv6 from any address', passes: true, type: types.ip6, payload: ip6(other6, receiver6, 59, Buffer.alloc(8)) },
  { name: 'an advertisement for any address', passes: true, type: types.ip6, payload: advertisement(other6, other6, targetOption) },
  { name: 'a router advertisement', passes: true, type: types.ip6, payload: other6Message(otherLinkLocal, 134) },
];

const scenes = [
  { name: 'a container', addresses: [`${own4}/24`, `${own6}/64`], rows: [...rowsOfAny, ...rowsOfGuarded, ...rowsOfDiscovery] },
  { name: 'a layer 2 attachment', addresses: [], rows: [...rowsOfAny, ...rowsOfOpen] },
] as const;

/** The frames of the rows, each with its own marker. */
function send(container: Container, rows: readonly Row[], markerOf: (index: number) => string): void {
  container.send(...rows.map(({ type, payload, ether }, index) => frame({ to: receiver, from: own, ...ether }, type, payload, markerOf(index))));
}

const markerOf = (index: number): string => `weft-row-${String(index).padStart(3, '0')}`;

for (const { name, addresses, rows } of scenes) {
  void t.test(`${name} sends as itself only`, { skip }, async (t) => {
    const node = await createSwitchNode(t, createHub(t), 1);
    const network = await node.addTenant(blue, []);
    const receives = await startCapture(t, (await node.attach(network, { number: 2 })).netns, 'eth0');
    const sender = node.addContainer({ vni: blue, number: 1, addresses });
    send(sender, rows, () => 'before it has flows');
    await node.bring(network, sender);
    node.settle();
    send(sender, rows, markerOf);
    // Frames of one port are handled in their order: what comes before the last has come, or will never.
    sender.send(frame({ to: receiver, from: own }, types.ip4, udp4(own4, receiver4), 'the last'));
    t.ok(await receives.waitFor((capture) => capture.count('the last') === 1, 10_000));
    await receives.drain();
    for (const [index, row] of rows.entries()) t.equal(receives.count(markerOf(index)), row.passes ? 1 : 0, row.name);
    t.equal(receives.count('before it has flows'), 0, 'a port without flows is closed');
  });
}
