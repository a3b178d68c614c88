import t from 'tap';
import { parseAddress, parseInterfaceAddress, parseMac, parseVni } from '../netaddr/netaddr.ts';
import { gatewayMac } from '../overlay/gateway-mac.ts';
import { blue, testPort } from './test-node.ts';
import { hasChosenMac, locationFrame, neighbourFrame, openingDatagram, openingFrame } from './announcement.ts';

const mac = parseMac('02:00:00:00:00:05');
const padding = (bytes: number): string => '00'.repeat(bytes);

t.equal(
  locationFrame(mac, gatewayMac(parseVni(1001))).toString('hex'),
  `0e77670003e9 020000000005 8035 0001 0800 06 04 0003 020000000005 00000000 020000000005 00000000 ${padding(18)}`.replaceAll(' ', ''),
  'a RARP request',
);
t.equal(
  neighbourFrame(mac, parseAddress('10.1.1.5')).toString('hex'),
  `ffffffffffff 020000000005 0806 0001 0800 06 04 0001 020000000005 0a010105 000000000000 0a010105 ${padding(18)}`.replaceAll(' ', ''),
  'an ARP announcement',
);
// Of the checksum tcpdump -vv says "icmp6 sum ok".
t.equal(neighbourFrame(mac, parseAddress('fd00:1::5')).toString('hex'), [
  '333300000001', '020000000005', '86dd', '60000000', '0020', '3a', 'ff', 'fd000001000000000000000000000005', 'ff020000000000000000000000000001',
  '88', '00', '5a8d', '20000000', 'fd000001000000000000000000000005', '0201', '020000000005',
].join(''), 'a neighbour advertisement');

for (const [encapsulation, header] of [[undefined, '08000000 fffc16 00'], ['geneve', '0000 6558 fffc16 00']] as const) {
  const datagram = openingDatagram(mac, { vni: 0xfffc16, ...(encapsulation === undefined ? {} : { encapsulation }) });
  t.equal(datagram.toString('hex'), `${header.replaceAll(' ', '')}${openingFrame(mac).toString('hex')}`, encapsulation ?? 'vxlan');
}

const addresses = [parseInterfaceAddress('10.1.1.5/24')];
t.equal(hasChosenMac(testPort(blue, 5, { addresses, mac: parseMac('02:77:0a:01:01:05') })), false, 'made from the address');
t.equal(hasChosenMac(testPort(blue, 5, { addresses })), true, 'another one');
t.equal(hasChosenMac(testPort(blue, 5, { addresses: [] })), true, 'a layer 2 attachment');
