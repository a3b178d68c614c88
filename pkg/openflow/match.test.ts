import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { addressFromBytes, macFromBytes, parseAddress, parseMac, parsePrefix } from '../netaddr/netaddr.ts';
import { randomFrom, testSeed, type RandomSource } from '../testing/random.ts';
import { encodeFieldHeader, encodeFieldValue, fieldBytes, fieldOfHeader, decodeFieldHeader, fieldShapes, type FieldName, type FieldValue } from './field.ts';
import { decodeMatch, encodeMatch, etherTypes, ipProtocols, untagged, withinPrefix, type Match } from './match.ts';

const seed = testSeed();
t.comment(`WEFT_TEST_SEED=${seed}`);

const mac = parseMac('02:00:00:00:00:01');
const hex = (match: Match): string => encodeMatch(match).toString('hex');

/** OpenFlow 1.3.5 §7.2.3.7 and nicira-ext.h of Open vSwitch give these numbers: OXM_OF_*, NXM_NX_*, NXM_OF_VLAN_TCI. */
const headers: readonly (readonly [FieldName, number])[] = [
  ['inPort', 0x80000004], ['metadata', 0x80000408], ['ethDst', 0x80000606], ['ethSrc', 0x80000806], ['ethType', 0x80000a02], ['vlanVid', 0x80000c02], ['vlanPcp', 0x80000e01],
  ['ipProto', 0x80001401], ['ipv4Src', 0x80001604], ['ipv4Dst', 0x80001804], ['tcpSrc', 0x80001a02], ['udpDst', 0x80002002], ['arpOp', 0x80002a02], ['arpSpa', 0x80002c04],
  ['arpTpa', 0x80002e04], ['arpSha', 0x80003006], ['arpTha', 0x80003206], ['ipv6Src', 0x80003410], ['ipv6Dst', 0x80003610], ['icmpv6Type', 0x80003a01], ['ndTarget', 0x80003e10],
  ['ndSll', 0x80004006], ['ndTll', 0x80004206], ['tunnelId', 0x80004c08], ['reg0', 0x00010004], ['reg7', 0x00010e04], ['tunnelIpv4Src', 0x00013e04], ['tunnelIpv4Dst', 0x00014004],
  ['tunnelIpv6Src', 0x0001da10], ['tunnelIpv6Dst', 0x0001dc10], ['vlanTci', 0x00000802], ['ndReserved', 0x10000204], ['ndOptionsType', 0x10000401],
];
for (const [name, header] of headers) t.equal(encodeFieldHeader(name), header, name);
t.equal(encodeFieldHeader('arpOp', { isOlder: true }), 0x00001e02);
t.equal(encodeFieldHeader('metadata', { isOlder: true }), 0x80000408, 'that has no older one');
t.equal(encodeFieldHeader('ipv4Src', { hasMask: true }), 0x80001708);

for (const name of Object.keys(fieldShapes) as FieldName[]) {
  for (const options of [{}, { hasMask: true }, { isOlder: true }]) t.equal(fieldOfHeader(decodeFieldHeader(encodeFieldHeader(name, options))), name, `${name} is known by its headers`);
  t.equal(fieldOfHeader(decodeFieldHeader(encodeFieldHeader(name) + 1)), undefined, `${name} of another length is not known`);
}

t.test('golden bytes', (t) => {
  t.equal(hex({}), '0001000400000000', 'everything: a header and its padding');
  t.equal(hex({ inPort: 101 }), '0001000c800000040000006500000000');
  t.equal(hex({ ethType: etherTypes.arp, arpOp: 1 }), '0001001080000a02080680002a020001', 'no padding where none is needed');
  t.equal(hex({ ipv4Src: withinPrefix(parsePrefix('10.0.0.0/8')) }), '00010010800017080a000000ff000000');
  t.equal(hex({ vlanVid: untagged }), '0001000c80000d040000100000000000');
  t.equal(hex({ tunnelIpv4Src: parseAddress('172.30.0.2') }), '0001000c00013e04ac1e000200000000');
  t.end();
});

t.test('what is the same has the same bytes', (t) => {
  const same: readonly (readonly [string, Match, Match])[] = [
    ['whatever the order', { ipProto: ipProtocols.udp, ethType: etherTypes.ipv4, inPort: 1, reg0: 1 }, { reg0: 1, inPort: 1, ethType: etherTypes.ipv4, ipProto: ipProtocols.udp }],
    ['bits outside of the mask', { metadata: { value: 0xffffn, mask: 0xffn } }, { metadata: { value: 0xffn, mask: 0xffn } }],
    ['a mask of ones', { ethSrc: { value: mac, mask: parseMac('ff:ff:ff:ff:ff:ff') } }, { ethSrc: mac }],
    ['a mask of ones of 13 bits', { vlanVid: { value: 0x1005, mask: 0x1fff } }, { vlanVid: 0x1005 }],
    ['a mask of zeros', { inPort: 1, reg0: { value: 5, mask: 0 } }, { inPort: 1 }],
    ['a prefix of all bits', { ipv4Src: withinPrefix(parsePrefix('10.0.0.1/32')) }, { ipv4Src: parseAddress('10.0.0.1') }],
    ['a prefix of none', { ipv6Src: withinPrefix(parsePrefix('::/0')) }, {}],
    ['no tag', { vlanTci: { value: 0, mask: 0x1000 } }, { vlanVid: untagged }],
    ['a tag', { vlanTci: 0x7005 }, { vlanVid: 0x1005, vlanPcp: 3 }],
  ];
  for (const [name, a, b] of same) t.equal(hex(a), hex(b), name);
  t.not(hex({ reg0: 0 }), hex({}), 'that something is zero is a condition');
  t.equal(hex({ ethType: etherTypes.ipv4, ipProto: 17, udpDst: 53, reg0: 1 }), '0001001d' + '80000a020800' + '8000140111' + '800020020035' + '0001000400000001' + '000000', 'dependencies stand first');
  t.end();
});

t.test('a value that does not fit is refused', (t) => {
  const bad: readonly Match[] = [
    { inPort: -1 }, { inPort: 2 ** 32 }, { inPort: 1.5 }, { vlanVid: 0x2000 }, { ipProto: 256 }, { metadata: 1n << 64n }, { metadata: -1n },
    { ipv4Src: parseAddress('::1') }, { ipv6Src: parseAddress('1.2.3.4') }, { inPort: 1n as never }, { metadata: 1 as never }, { ethSrc: 1 as never },
  ];
  for (const match of bad) t.throws(() => encodeMatch(match), RangeError, Object.keys(match)[0] as string);
  t.throws(() => encodeMatch({ vlanVid: 0x2000 }), { message: 'vlanVid must be a value of 13 bits, of kind number: current value is 8192' });
  t.end();
});

t.test('bytes that are no match are refused', (t) => {
  for (const bad of ['', '0001', '0000000400000000', '0001000300000000', '00010010800000040000', '0001000a80000004000000', '0001000880000004', '000100148000000400000065800000ff00000000']) {
    t.throws(() => decodeMatch(Buffer.from(bad, 'hex')), RangeError, bad);
  }
  t.end();
});

t.test('a field that is not known is kept as bytes, and takes part in the comparison', (t) => {
  const trackedConnection = '0001d3080000000100000001';
  const bytes = `00010018${'8000000400000065'}${trackedConnection}`;
  const { match, end } = decodeMatch(Buffer.from(`${bytes}ffff`, 'hex'));
  t.same(match, { inPort: 101, unknown: [{ header: 0x0001d308, bytes: '0000000100000001' }] });
  t.equal(end, 24);
  t.equal(hex(match), bytes);
  t.end();
});

t.test('whatever is encoded is decoded', (t) => {
  const random = randomFrom(seed);
  for (let round = 0; round < 2000; round++) {
    const match = randomMatch(random);
    const bytes = encodeMatch(match);
    const decoded = decodeMatch(Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(5)]), 3);
    if (decoded.end !== 3 + bytes.length) t.fail(`${bytes.toString('hex')} ends at ${decoded.end}`);
    if (hex(decoded.match) !== bytes.toString('hex')) t.fail(`${bytes.toString('hex')} does not read back`);
    const whole = Object.entries(match).filter(([, value]) => typeof value !== 'object' || !('mask' in value));
    const isSame = whole.every(([name, value]) => isDeepStrictEqual(decoded.match[name as FieldName], value));
    if (!isSame) t.fail(`${bytes.toString('hex')} has other values`);
  }
  t.pass('all read back');
  t.end();
});

function randomMatch(random: RandomSource): Match {
  const names = (Object.keys(fieldShapes) as FieldName[]).filter((name) => name !== 'vlanTci' && random(5) === 0);
  return Object.fromEntries(names.map((name) => [name, random(2) === 0 ? randomValue(name, random) : { value: randomValue(name, random), mask: randomValue(name, random) }])) as Match;
}

function randomValue(name: FieldName, random: RandomSource): FieldValue {
  const { kind, bits } = fieldShapes[name];
  const bytes = Buffer.from(Array.from({ length: fieldBytes(name) }, () => (random(4) === 0 ? 0xff : random(256))));
  if (kind === 'mac') return macFromBytes(bytes);
  if (kind === 'address') return addressFromBytes(bytes);
  if (kind === 'wide') return bytes.readBigUInt64BE();
  const value = bytes.readUIntBE(0, bytes.length) % 2 ** bits;
  return Buffer.from(encodeFieldValue(name, value)).readUIntBE(0, bytes.length);
}
