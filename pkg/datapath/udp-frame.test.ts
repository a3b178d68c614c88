import t from 'tap';
import { parseAddress, parseMac } from '../netaddr/netaddr.ts';
import { udpFrame } from './udp-frame.ts';

const link = { from: parseMac('02:00:00:00:00:01'), to: parseMac('02:00:00:00:00:02') };

// Of both tcpdump -vv says that their checksums are right ("udp sum ok", and nothing against the header's).
t.equal(
  udpFrame(link, { from: { address: parseAddress('192.0.2.1'), port: 49152 }, to: { address: parseAddress('192.0.2.2'), port: 4789 } }, Buffer.from('four')).toString('hex'),
  '020000000002 020000000001 0800 45 00 0020 0000 0000 40 11 f6c9 c0000201 c0000202 c000 12b5 000c 0000 666f7572'.replaceAll(' ', ''),
);
t.equal(
  udpFrame(link, { from: { address: parseAddress('2001:db8::1'), port: 49152 }, to: { address: parseAddress('2001:db8::2'), port: 4789 } }, Buffer.from('odd')).toString('hex'),
  '020000000002 020000000001 86dd 60000000 000b 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002 c000 12b5 000b fe48 6f6464'.replaceAll(' ', ''),
);
