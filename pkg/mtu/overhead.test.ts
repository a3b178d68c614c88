import t from 'tap';
import { ipv4MinimumMtuBytes, ipv6MinimumMtuBytes, overheadBytes, overlayMtuBytes } from './overhead.ts';

t.equal(overheadBytes('vxlan', 4), 50, 'RFC 7348 over IPv4');
t.equal(overheadBytes('vxlan', 6), 70, 'RFC 7348 over IPv6');
t.equal(overheadBytes('geneve', 4), 50, 'RFC 8926 without options over IPv4');
t.equal(overheadBytes('geneve', 6), 70, 'RFC 8926 without options over IPv6');

const rows: readonly (readonly [underlayMtu: number, family: 4 | 6, overlayMtu: number])[] = [
  [1500, 4, 1450], [1500, 6, 1430], [9000, 4, 8950], [9000, 6, 8930], [1550, 4, 1500], [1570, 6, 1500], [118, 4, ipv4MinimumMtuBytes], [1350, 6, ipv6MinimumMtuBytes],
];
for (const encapsulation of ['vxlan', 'geneve'] as const) {
  for (const [underlayMtu, underlay, overlayMtu] of rows) {
    t.equal(overlayMtuBytes(underlayMtu, { encapsulation, underlay }), overlayMtu, `${encapsulation}, ${underlayMtu} bytes over IPv${underlay}`);
  }
}
