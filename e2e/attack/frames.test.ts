/** The frames are read back by tcpdump: what it calls a wrong checksum or a truncated option would be no attack. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import {
  arpPacket, ethernet, etherTypes, fragmentedUdpPacket, genevePayload, linkLocalOf, neighbourAdvertisement, neighbourDiscovery,
  neighbourSolicitation, redirect, routerAdvertisement, udpPacket, vxlanPayload,
} from './frames.ts';

const skip = skipUnless({ tools: ['tcpdump'] });
const header = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const ipv4 = { src: '10.1.1.10', dst: '10.1.1.11' };
const ipv6 = { src: 'fe80::1', dst: 'ff02::1' };
const marker = 'wt000001';

const inner = ethernet({ ...header, type: etherTypes.ipv4 }, udpPacket(ipv4, Buffer.from(marker)));

const rows: readonly { readonly name: string; readonly frame: Buffer; readonly want: RegExp }[] = [
  { name: 'UDP over IPv4', frame: inner, want: /10\.1\.1\.10\.40000 > 10\.1\.1\.11\.9: \[udp sum ok\] UDP, length 8/ },
  {
    name: 'UDP over IPv6',
    frame: ethernet({ ...header, type: etherTypes.ipv6 }, udpPacket({ src: 'fd00:1::10', dst: 'fd00:1::11' }, Buffer.from('odd'))),
    want: /fd00:1::10\.40000 > fd00:1::11\.9: \[udp sum ok\]/,
  },
  {
    name: 'IPv4 options',
    frame: ethernet({ ...header, type: etherTypes.ipv4 }, udpPacket(ipv4, Buffer.from(marker), { withIpOptions: true })),
    want: /options \(NOP.*\[udp sum ok\]/s,
  },
  {
    name: 'VXLAN',
    frame: ethernet({ ...header, type: etherTypes.ipv4 }, udpPacket(ipv4, vxlanPayload(16777215, inner), { port: 4789 })),
    want: /\[udp sum ok\] VXLAN.*vni 16777215.*10\.1\.1\.10\.40000/s,
  },
  {
    name: 'Geneve',
    frame: ethernet({ ...header, type: etherTypes.ipv4 }, udpPacket(ipv4, genevePayload(16777215, inner), { port: 6081 })),
    want: /\[udp sum ok\] Geneve.*vni 0xffffff.*10\.1\.1\.10\.40000/s,
  },
  {
    name: 'tags',
    frame: ethernet({ ...header, type: etherTypes.ipv4, tags: [{ type: 'serviceVlan', id: 7 }, { type: 'vlan', id: 1001 }] }, udpPacket(ipv4, Buffer.from(marker))),
    want: /802\.1Q-QinQ.*vlan 7, .*802\.1Q.*vlan 1001, .*IPv4/,
  },
  {
    name: 'ARP reply',
    frame: ethernet({ ...header, type: etherTypes.arp }, arpPacket({ operation: 'reply', senderMac: header.src, senderIp: '10.1.1.1', targetIp: '10.1.1.2' }, marker)),
    want: /Reply 10\.1\.1\.1 is-at 02:00:00:00:00:01/,
  },
  { name: 'solicitation', frame: nd(neighbourSolicitation('fd00:1::11', header.src)), want: /icmp6 sum ok.*neighbor solicitation.*who has fd00:1::11.*source link-address option.*02:00:00:00:00:01/s },
  { name: 'advertisement', frame: nd(neighbourAdvertisement('fd00:1::11', header.src)), want: /icmp6 sum ok.*neighbor advertisement.*tgt is fd00:1::11, Flags \[override\].*02:00:00:00:00:01/s },
  { name: 'router advertisement', frame: nd(routerAdvertisement(header.src)), want: /icmp6 sum ok.*router advertisement.*router lifetime 1800s.*02:00:00:00:00:01/s },
  { name: 'redirect', frame: nd(redirect('fe80::2', 'fd00:1::11', header.src)), want: /icmp6 sum ok.*redirect.*fd00:1::11 to fe80::2/s },
  { name: 'behind hop-by-hop', frame: nd(routerAdvertisement(header.src), 'hopByHop'), want: /HBH.*icmp6 sum ok.*router advertisement/s },
  { name: 'behind destination options', frame: nd(neighbourAdvertisement('fd00:1::11'), 'destinationOptions'), want: /DSTOPT.*icmp6 sum ok.*neighbor advertisement/s },
  { name: 'in an atomic fragment', frame: nd(neighbourAdvertisement('fd00:1::11'), 'fragment'), want: /frag .*neighbor advertisement/s },
];

for (const { name, frame, want } of rows) {
  t.test(`${name} is what tcpdump reads`, { skip }, async (t) => {
    t.match(dissect([frame]), want);
    t.ok(frame.length >= 60);
  });
}

t.test('fragmentedUdpPacket() cuts in two', { skip }, async (t) => {
  const packets = fragmentedUdpPacket(ipv4, 4789, vxlanPayload(1002, inner));
  const text = dissect(packets.map((packet) => ethernet({ ...header, type: etherTypes.ipv4 }, packet)));
  t.match(text, /offset 0, flags \[\+\].*\n.*10\.1\.1\.10\.40000 > 10\.1\.1\.11\.4789/);
  t.match(text, /offset 16, flags \[none\]/);
});

t.test('linkLocalOf() follows RFC 4291 appendix A', async (t) => {
  t.equal(linkLocalOf('34:56:78:9a:bc:de'), 'fe80::3656:78ff:fe9a:bcde');
});

function nd(message: Buffer, extension?: 'hopByHop' | 'destinationOptions' | 'fragment'): Buffer {
  return ethernet({ ...header, type: etherTypes.ipv6 }, neighbourDiscovery(ipv6, message, marker, extension));
}

/** What tcpdump makes of the frames. */
function dissect(frames: readonly Buffer[]): string {
  const fileHeader = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');
  const records = frames.flatMap((frame) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  const input = Buffer.concat([fileHeader, ...records]);
  return execFileSync('tcpdump', ['-r', '-', '-n', '-vvv', '-e'], { input, encoding: 'utf8', stdio: 'pipe', timeout: 10_000 });
}
