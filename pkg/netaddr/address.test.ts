import net from 'node:net';
import t from 'tap';
import { addAddress, addressBytes, addressFromBytes, addressesEqual, compareAddresses, formatAddress, isUnicastAddress, parseAddress } from './netaddr.ts';
import { randomFrom, testSeed, type RandomSource } from '../testing/random.ts';

const seed = testSeed();
t.comment(`WEFT_TEST_SEED=${seed}`);

const canonical: readonly (readonly [string, string])[] = [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.0.200.1', '10.0.200.1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['2001:DB8::ABCD', '2001:db8::abcd'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
  ['::ffff:102:304', '::ffff:1.2.3.4'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
];

for (const [text, expected] of canonical) {
  t.equal(formatAddress(parseAddress(text)), expected, `${text} is ${expected}`);
  t.same(parseAddress(expected), parseAddress(text), `${expected} reads back`);
}

t.same(parseAddress('10.1.1.5'), { family: 4, value: 0x0a010105n });
t.same(parseAddress('::ffff:1.2.3.4'), { family: 6, value: 0xffff01020304n }, 'an IPv4-mapped address is an IPv6 address');

const refused: readonly string[] = [
  '', ' ', '.', '...', '1.2.3', '1.2.3.4.5', '1..2.3', '.1.2.3', '1.2.3.', '256.1.1.1', '1.2.3.999', '1.2.3.1000',
  '0x10.1.1.1', '010.1.1.1', '00.0.0.0', '1.2.3.04', '1e1.2.3.4', '+1.2.3.4', '-1.2.3.4', ' 1.2.3.4', '1.2.3.4 ', '1.2.3.4\n', '1.2.3.4/24', '16909060', '１.2.3.4',
  ':', ':::', '1', '1:2', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '1::2::3', ':1::', '1:::2', '::1:', '1:2:3:4:5:6:7:',
  '12345::', 'g::', '0x1::', '::+1', ':: 1', ' ::1', '::1 ', '::1\n', 'fe80::1%eth0', 'fe80::1%0', '::1/128', '[::1]',
  '1.2.3.4::', '::1.2.3.4:1', '::1.2.3', '::1.2.3.256', '::01.2.3.4', '1:2:3:4:5:6:7:1.2.3.4', '1.2.3.4:5', '::ffff:0x1.2.3.4',
  'localhost', 'null', 'a'.repeat(100_000), ':'.repeat(100_000),
];

for (const text of refused) t.throws(() => parseAddress(text), SyntaxError, `${JSON.stringify(text.slice(0, 40))} is refused`);

t.throws(() => parseAddress('1..2.3', 'vtep.address'), {
  message: 'vtep.address must be an IPv4 address like 192.0.2.1 or an IPv6 address like 2001:db8::1: current value is "1..2.3"',
});
t.throws(() => parseAddress('9'.repeat(1000)), { message: /"9{79}…$/ }, 'a long value is shortened');

t.same(addressBytes(parseAddress('192.0.2.1')), Uint8Array.of(192, 0, 2, 1));
t.same(addressBytes(parseAddress('ff00::1')), Uint8Array.of(255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
for (const length of [0, 3, 5, 15, 17]) t.throws(() => addressFromBytes(new Uint8Array(length)), RangeError, `${length} bytes are no address`);

t.ok(addressesEqual(parseAddress('::1'), parseAddress('0::1')));
t.notOk(addressesEqual(parseAddress('0.0.0.1'), parseAddress('::1')), 'the same value in the other family');
t.notOk(addressesEqual(parseAddress('::1'), parseAddress('::2')));

const sorted = ['0.0.0.0', '9.0.0.0', '10.0.0.0', '255.255.255.255', '::', '::1', 'ff00::'].map((text) => parseAddress(text));
t.same(sorted.toReversed().sort(compareAddresses), sorted, 'IPv4 first, then by value');
t.equal(compareAddresses(parseAddress('::1'), parseAddress('::1')), 0);

t.equal(formatAddress(addAddress(parseAddress('10.0.0.255'), 1n)), '10.0.1.0');
t.equal(formatAddress(addAddress(parseAddress('2001:db8::'), -1n)), '2001:db7:ffff:ffff:ffff:ffff:ffff:ffff');
t.throws(() => addAddress(parseAddress('255.255.255.255'), 1n), RangeError);
t.throws(() => addAddress(parseAddress('::'), -1n), RangeError);

const unicast = ['1.0.0.0', '10.1.1.1', '223.255.255.255', '::1', 'fe80::1', '2001:db8::1'];
const otherwise = ['0.0.0.0', '0.1.2.3', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255', '::', 'ff02::1'];
for (const text of unicast) t.ok(isUnicastAddress(parseAddress(text)), `${text} is unicast`);
for (const text of otherwise) t.notOk(isUnicastAddress(parseAddress(text)), `${text} is not unicast`);

/** IPv4 texts are made of the first six. */
const pieces = ['0', '1', '01', '9', '25', '255', '256', 'ab', 'ffff', '12345', '1.2.3.4', '10.0.0.0'];

t.test('parseAddress() takes what inet_pton takes, but no zone ids', (t) => {
  const random = randomFrom(seed);
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    const text = randomText(random);
    const expected = net.isIP(text);
    if (expected !== 0) accepted++;
    if (familyOf(text) !== expected) t.fail(`${JSON.stringify(text)} read as family ${familyOf(text)}, not ${expected}`);
  }
  t.ok(accepted > 1000, `${accepted} of the random texts were addresses`);
  t.end();
});

t.test('formatAddress() is undone by parseAddress() and by the bytes', (t) => {
  const random = randomFrom(seed);
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: random(2) === 0 ? 4 : 16 }, () => (random(2) === 0 ? 0 : random(256)));
    const address = addressFromBytes(bytes);
    const text = formatAddress(address);
    if (!addressesEqual(parseAddress(text), address)) t.fail(`${text} does not read back`);
    if (Buffer.compare(addressBytes(address), bytes) !== 0) t.fail(`${text} does not have its bytes`);
    // URL writes IPv6 addresses as RFC 5952 says, but for the mixed notation of its section 5.
    if (address.family === 6 && !text.includes('.') && new URL(`http://[${text}]/`).hostname !== `[${text}]`) t.fail(`${text} is not canonical`);
  }
  t.pass('all read back');
  t.end();
});

function familyOf(text: string): number {
  try {
    return parseAddress(text).family;
  } catch {
    return 0;
  }
}

/** Texts near to addresses: mostly the right number of pieces, sometimes with one character changed. */
function randomText(random: RandomSource): string {
  const separator = random(3) === 0 ? '.' : ':';
  const count = separator === '.' ? 3 + random(3) : 2 + random(8);
  const parts = Array.from({ length: count }, () => (random(12) === 0 && separator === ':' ? '' : (pieces[random(separator === '.' ? 6 : pieces.length)] ?? '')));
  if (separator === ':' && random(2) === 0) parts[random(count)] = '';
  const text = parts.join(separator);
  if (random(8) !== 0) return text;
  const position = random(text.length + 1);
  return `${text.slice(0, position)}${'.:/ x0'.charAt(random(6))}${text.slice(position + random(2))}`;
}
