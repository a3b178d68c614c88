import t from 'tap';
import { randomFrom, testSeed } from '../testing/random.ts';
import {
  attribute, attributeBe16, attributeBe32, attributeNested, attributeString, attributeU8, attributeU32,
  decodeAttributeList, decodeAttributes, decodeMessages, decodeString, encodeMessage, messageHeaderBytes,
} from './codec.ts';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

// Golden bytes: length and type in the machine's order, the value, padding to 4 bytes that the length does not count.
const encodings: readonly (readonly [what: string, bytes: Uint8Array, expected: string])[] = [
  ['no value', attribute(3, new Uint8Array()), '04000300'],
  ['one byte', attributeU8(7, 0xfe), '05000700fe000000'],
  ['two bytes in network order', attributeBe16(15, 4789), '06000f0012b50000'],
  ['four bytes', attributeU32(1, 0x01020304), '0800010004030201'],
  ['a negative number', attributeU32(1, -1), '08000100ffffffff'],
  ['four bytes in network order', attributeBe32(2, 0x01020304), '0800020001020304'],
  ['a negative number in network order', attributeBe32(1, -3), '08000100fffffffd'],
  ['a string', attributeString(3, 'eth0'), '090003006574683000000000'],
  ['an empty string', attributeString(3, ''), '0500030000000000'],
  ['nested', attributeNested(18, [attributeU8(1, 1), attributeU8(2, 2)]), '14001280' + '0500010001000000' + '0500020002000000'],
];
for (const [what, bytes, expected] of encodings) t.equal(hex(bytes), expected, what);

t.equal(decodeString(undefined), undefined);
t.equal(decodeString(Buffer.from('eth0\0')), 'eth0');
t.equal(decodeString(Buffer.from('eth0')), 'eth0', 'a string without its zero');
t.equal(decodeString(Buffer.from('eth0\0rubbish')), 'eth0', 'what is behind the zero is no part of it');
t.equal(decodeString(Buffer.alloc(0)), '');

t.test('attributes', async (t) => {
  const list = decodeAttributeList(Buffer.concat([attributeU8(1, 1), attributeString(2, 'é'), attributeU8(1, 3)]));
  t.same(list.map(({ type, value }) => [type, hex(value)]), [[1, '01'], [2, 'c3a900'], [1, '03']], 'in order, repetitions kept');
  t.same(decodeAttributes(Buffer.concat([attributeU8(1, 1), attributeU8(1, 3)])).get(1), Buffer.of(3), 'the last of a repeated type');
  t.same(decodeAttributes(Buffer.concat([Buffer.alloc(8), attributeU8(9, 4)]), 8).get(9), Buffer.of(4), 'behind a header');
  const nested = decodeAttributes(Buffer.from(attributeNested(18, [attributeNested(2, [attributeU8(1, 5)])])));
  t.same(decodeAttributes(decodeAttributes(nested.get(18) ?? Buffer.of()).get(2) ?? Buffer.of()).get(1), Buffer.of(5), 'nested twice, without the nested bit');
  t.same(decodeAttributes(Buffer.from('0800014001020304', 'hex')).get(1), Buffer.of(1, 2, 3, 4), 'without the byte order bit');
});

// What is malformed ends the list; what came before it counts.
const good = hex(attributeU8(1, 7));
const hostileAttributes: readonly (readonly [what: string, tail: string])[] = [
  ['nothing', ''], ['three bytes', '050002'], ['length 0', '0000020000000000'], ['length 3', '0300020000000000'],
  ['one byte too long', '0900020000000000'], ['65535 bytes too long', 'ffff020000000000'],
];
for (const [what, tail] of hostileAttributes) {
  const list = decodeAttributeList(Buffer.from(good + tail, 'hex'));
  t.same(list.map(({ type, value }) => [type, hex(value)]), [[1, '07']], `an attribute and then ${what}`);
}
t.same(decodeAttributeList(Buffer.from('0500010007', 'hex')).map(({ value }) => hex(value)), ['07'], 'the last attribute needs no padding');
t.same(decodeAttributeList(Buffer.alloc(0)), []);
t.same(decodeAttributeList(Buffer.alloc(4), 8), [], 'an offset behind the end');

t.test('messages', async (t) => {
  const first = encodeMessage({ type: 16, flags: 0x605, payload: Uint8Array.of(1, 2, 3, 4, 5) }, 0xfffffffe);
  t.equal(hex(first), '15000000' + '1000' + '0506' + 'feffffff' + '00000000' + '0102030405000000');
  const second = encodeMessage({ type: 3, flags: 0, payload: new Uint8Array() }, 2);
  t.equal(second.length, messageHeaderBytes);
  t.same(decodeMessages(Buffer.concat([first, second])), [
    { type: 16, flags: 0x605, sequence: 0xfffffffe, portId: 0, payload: Buffer.of(1, 2, 3, 4, 5) },
    { type: 3, flags: 0, sequence: 2, portId: 0, payload: Buffer.of() },
  ]);
  t.same(decodeMessages(Buffer.alloc(0)), []);
  t.same(decodeMessages(Buffer.concat([second, Buffer.alloc(messageHeaderBytes - 1)])).length, 1, 'less than a header is padding');
});

t.test('a message is a copy of its datagram', async (t) => {
  const datagram = encodeMessage({ type: 1, flags: 0, payload: Uint8Array.of(1, 2, 3, 4) }, 1);
  const [message] = decodeMessages(datagram);
  datagram.fill(0xff);
  t.same(message?.payload, Buffer.of(1, 2, 3, 4), 'the receive buffer is used again');
});

for (const length of [0, 1, 15, 17, 36, 0xffffffff]) {
  const datagram = encodeMessage({ type: 1, flags: 0, payload: new Uint8Array() }, 1);
  datagram.writeUInt32LE(length, 0);
  t.throws(() => decodeMessages(datagram), new RangeError(`Netlink message length must fit its datagram: current value is ${length}`));
}

t.test('random bytes end the decoding, and what is decoded lies within them', async (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  let decoded = 0;
  for (let round = 0; round < 5000; round += 1) {
    const bytes = Buffer.from(Array.from({ length: random(64) }, () => random(random(2) === 0 ? 12 : 256)));
    const total = decodeAttributeList(bytes).reduce((sum, { value }) => sum + 4 + value.length, 0);
    if (total > bytes.length) t.fail(`attributes of ${total} bytes in ${hex(bytes)}`);
    decoded += total;
  }
  t.ok(decoded > 0, 'some were decoded');
});
