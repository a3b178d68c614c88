import t from 'tap';
import { compareAddresses, formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { addressFromKey, addressKey, decodeAttachment, decodeSegment, encodeAttachment, encodeSegment } from './codec.ts';
import type { Fields } from './fields.ts';
import { blueVni, testAttachment, testSegment } from './test-records.ts';

/** In the order of family and value. */
const ascending = [
  '0.0.0.0', '0.0.0.9', '0.0.0.10', '0.0.1.0', '9.255.255.255', '10.0.0.0', '127.255.255.255', '128.0.0.0', '255.255.255.255',
  '::', '::9', '::ffff:1.2.3.4', '1::', '2001:db8::ff', '2001:db8::100', '7fff::', '8000::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
];

t.test('address keys sort as the addresses do and give them back', async (t) => {
  const addresses = ascending.map((text) => parseAddress(text));
  const keys = addresses.map(addressKey);
  t.strictSame([...keys].reverse().sort(Buffer.compare), keys);
  t.strictSame(keys.map(addressFromKey), addresses);
  t.strictSame([...addresses].sort(compareAddresses).map(formatAddress), addresses.map(formatAddress), 'as compareAddresses() says');
});

t.test('addressFromKey() refuses what is no key', async (t) => {
  for (const hex of ['', '04', '06', '0a010101', '060a010101', '040a01010101', `04${'00'.repeat(16)}`, `06${'00'.repeat(15)}`]) {
    t.throws(() => addressFromKey(Buffer.from(hex, 'hex')), Error, hex);
  }
});

/** The row of a segment whose JSON has these fields as well. */
function segmentRow(fields: Fields = {}): Fields {
  return { vni: blueVni, segment: JSON.stringify({ ...JSON.parse(encodeSegment(testSegment())), ...fields }) };
}

/** The row of an attachment whose port's JSON has these fields as well. */
function attachmentRow(fields: Fields = {}): Fields {
  const columns = encodeAttachment(testAttachment(1));
  return { ...columns, seq: 1, port: JSON.stringify({ ...JSON.parse(String(columns.port)), ...fields }) };
}

t.test('datapath, encapsulation, control plane and limits are kept, and what is written without them is as before', async (t) => {
  const wired: readonly Partial<Segment>[] = [{}, { datapath: 'ovs' }, { datapath: 'ovs', encapsulation: 'geneve' }, { controlPlane: 'evpn' }, { datapath: 'ovs', controlPlane: 'evpn' }, { bandwidth: { ingress: { rateBits: 1e8, burstBits: 1e6 }, egress: { rateBits: 5e7 } } }, { bandwidth: { egress: { rateBits: 1e12 } } }];
  for (const overrides of wired) {
    const segment = testSegment(overrides);
    t.strictSame(decodeSegment({ vni: blueVni, segment: encodeSegment(segment) }).segment, segment, JSON.stringify(overrides));
  }
  t.notMatch(encodeSegment(testSegment()), /datapath|encapsulation|controlPlane|bandwidth/);
  const { port } = testAttachment(1);
  t.strictSame(decodeAttachment(attachmentRow()).port, port);
  t.strictSame(decodeAttachment({ ...encodeAttachment(testAttachment(1, { port: { ...port, datapath: 'ovs' } })), seq: 1 }).port, { ...port, datapath: 'ovs' });
});

t.test('what a container had chosen for its MTU is kept, and nothing where it had chosen none', async (t) => {
  const port = { ...testAttachment(1).port, ownMtu: 1300 };
  t.strictSame(decodeAttachment({ ...encodeAttachment(testAttachment(1, { port })), seq: 1 }).port, port);
  t.notMatch(encodeAttachment(testAttachment(1)).port, /ownMtu/);
  t.throws(() => decodeAttachment(attachmentRow({ ownMtu: 'small' })), { name: 'SyntaxError', message: /ownMtu must be a whole number/ });
});

t.test("an attachment's part in a migration is kept", async (t) => {
  const { port } = testAttachment(1);
  for (const phase of ['relaying', 'departed', 'left', 'waiting', 'arrived'] as const) {
    const moving = { ...port, migration: { id: 'a1', phase, other: parseAddress('2001:db8::2'), since: 1_700_000_000_000 } };
    t.strictSame(decodeAttachment({ ...encodeAttachment(testAttachment(1, { port: moving })), seq: 1 }).port, moving);
  }
  t.notMatch(encodeAttachment(testAttachment(1)).port, /migration/);
  const migration = { id: 'a1', phase: 'beaming', other: '192.0.2.2', since: 1 };
  t.throws(() => decodeAttachment(attachmentRow({ migration })), { name: 'SyntaxError', message: 'phase must be one of relaying, departed, left, waiting, arrived: current value is beaming' });
  t.throws(() => decodeAttachment(attachmentRow({ migration: { ...migration, phase: 'left', other: 'b' } })), Error, 'and so is no address');
});

t.test('a datapath, an encapsulation or a control plane of a newer version is refused', async (t) => {
  t.throws(() => decodeSegment(segmentRow({ datapath: 'ebpf' })), { name: 'SyntaxError', message: 'datapath must be ovs or absent: current value is ebpf' });
  t.throws(() => decodeSegment(segmentRow({ encapsulation: 'gre' })), { name: 'SyntaxError', message: 'encapsulation must be geneve or absent: current value is gre' });
  t.throws(() => decodeSegment(segmentRow({ controlPlane: 'ospf' })), { name: 'SyntaxError', message: 'controlPlane must be evpn or absent: current value is ospf' });
  t.throws(() => decodeSegment(segmentRow({ datapath: 7 })), { name: 'SyntaxError', message: 'datapath must be text: current value is 7' });
  t.throws(() => decodeAttachment(attachmentRow({ datapath: 'ebpf' })), { name: 'SyntaxError', message: 'datapath must be ovs or absent: current value is ebpf' });
});
