import t from 'tap';
import { parseAddress, parseInterfaceAddress } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { testSegment } from '../ledger/test-records.ts';
import { describeChange } from './replan.ts';

const { gateway: _none, ...plain } = testSegment({ peers: [] });
const peers = (...texts: readonly string[]): Segment => ({ ...plain, peers: texts.map((text) => parseAddress(text)) });
const gateway = (masquerade: boolean, ...texts: readonly string[]): Segment => ({ ...plain, gateway: { addresses: texts.map((text) => parseInterfaceAddress(text)), masquerade } });

t.test('describeChange() says what is new', (t) => {
  const rows: readonly (readonly [string, Segment, Segment, readonly string[]])[] = [
    ['the same', peers('192.0.2.2'), peers('192.0.2.2'), []],
    ['the same gateway', gateway(true, '10.1.1.1/24'), gateway(true, '10.1.1.1/24'), []],
    ['what does not follow the configuration', plain, { ...plain, underlayMtu: 9000, overlayMtu: 8950 }, []],
    ['the first peer', plain, peers('192.0.2.2'), ['the peers of tenant blue are now 192.0.2.2']],
    ['another peer', peers('192.0.2.2'), peers('192.0.2.2', '2001:db8::2'), ['the peers of tenant blue are now 192.0.2.2, 2001:db8::2']],
    ['no peer any more', peers('192.0.2.2'), plain, ['the peers of tenant blue are now none']],
    ['a gateway', plain, gateway(false, '10.1.1.1/24', 'fd00:1::1/64'), ['the gateway of tenant blue is now 10.1.1.1/24, fd00:1::1/64']],
    ['masquerading', gateway(false, '10.1.1.1/24'), gateway(true, '10.1.1.1/24'), ['the gateway of tenant blue is now 10.1.1.1/24, masqueraded']],
    ['no gateway any more', gateway(true, '10.1.1.1/24'), plain, ['the gateway of tenant blue is now none']],
    ['another length', gateway(true, '10.1.1.1/24'), gateway(true, '10.1.1.1/25'), ['the gateway of tenant blue is now 10.1.1.1/25, masqueraded']],
    ['limits', plain, { ...plain, bandwidth: { ingress: { rateBits: 1e8 } } }, ['what all containers of tenant blue receive has the limit 100000000 bit/s']],
    ['other limits', { ...plain, bandwidth: { ingress: { rateBits: 1e8 }, egress: { rateBits: 5e7 } } }, { ...plain, bandwidth: { egress: { rateBits: 5e7, burstBits: 1e6 } } }, ['what all containers of tenant blue receive has the limit none', 'what all containers of tenant blue send has the limit 50000000 bit/s, burst 1000000 bit']],
    ['both', peers('192.0.2.2'), gateway(false, '10.1.1.1/24'), ['the peers of tenant blue are now none', 'the gateway of tenant blue is now 10.1.1.1/24']],
  ];
  for (const [what, from, to, words] of rows) t.same(describeChange(from, to), words, what);
  t.end();
});
