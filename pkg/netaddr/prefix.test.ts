import t from 'tap';
import {
  firstAddress,
  formatAddress,
  formatInterfaceAddress,
  formatPrefix,
  lastAddress,
  parseAddress,
  parseInterfaceAddress,
  parsePrefix,
  prefixContains,
  prefixOf,
  prefixesOverlap,
} from './netaddr.ts';

const subnets: readonly (readonly [string, string, string, string])[] = [
  ['10.1.1.0/24', '10.1.1.0/24', '10.1.1.0', '10.1.1.255'],
  ['0.0.0.0/0', '0.0.0.0/0', '0.0.0.0', '255.255.255.255'],
  ['10.1.1.4/31', '10.1.1.4/31', '10.1.1.4', '10.1.1.5'],
  ['10.1.1.5/32', '10.1.1.5/32', '10.1.1.5', '10.1.1.5'],
  ['::/0', '::/0', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['2001:DB8:0::/64', '2001:db8::/64', '2001:db8::', '2001:db8::ffff:ffff:ffff:ffff'],
  ['::1/128', '::1/128', '::1', '::1'],
];

for (const [text, canonical, first, last] of subnets) {
  const prefix = parsePrefix(text);
  t.equal(formatPrefix(prefix), canonical, text);
  t.equal(formatAddress(firstAddress(prefix)), first, `first address of ${text}`);
  t.equal(formatAddress(lastAddress(prefix)), last, `last address of ${text}`);
}

const refused: readonly string[] = [
  '', '/', '/24', '10.1.1.0', '10.1.1.0/', '10.1.1.0/33', '10.1.1.0/024', '10.1.1.0/+24', '10.1.1.0/-1', '10.1.1.0/ 24', '10.1.1.0/24 ', ' 10.1.1.0/24', '10.1.1.0 /24',
  '10.1.1.0/24/24', '10.1.1.0/24\n', '10.1.1.0/0x18', '10.1.1.0/2e1', '10.1.1.0/24.0', '10.1.1.0/255.255.255.0', '10.1.1/24', '010.1.1.0/24', '10.1.1.0//24',
  '::/129', '::/064', '::/1000', 'fe80::%eth0/64', 'fe80::/64%eth0',
];

for (const text of refused) {
  t.throws(() => parsePrefix(text), SyntaxError, `subnet ${JSON.stringify(text)} is refused`);
  t.throws(() => parseInterfaceAddress(text), SyntaxError, `address ${JSON.stringify(text)} is refused`);
}

t.throws(() => parsePrefix('10.1.1.5/24', 'ranges[0][0].subnet'), {
  name: 'RangeError',
  message: 'ranges[0][0].subnet must be a subnet without host bits, such as 10.1.1.0/24: current value is "10.1.1.5/24"',
});
t.throws(() => parsePrefix('2001:db8::1/64'), { message: /such as 2001:db8::\/64:/ });
t.throws(() => parsePrefix('10.1.1.5/0'), { message: /such as 0\.0\.0\.0\/0:/ });
t.throws(() => parsePrefix('10.1.1.0'), { message: 'subnet must be a subnet like 10.1.1.0/24 or 2001:db8::/64: current value is "10.1.1.0"' });

t.equal(formatInterfaceAddress(parseInterfaceAddress('10.1.1.5/24')), '10.1.1.5/24', 'host bits are kept');
t.equal(formatInterfaceAddress(parseInterfaceAddress('2001:DB8::5/64')), '2001:db8::5/64');
t.equal(formatPrefix(prefixOf(parseInterfaceAddress('10.1.1.133/25'))), '10.1.1.128/25');
t.equal(formatPrefix(prefixOf(parseInterfaceAddress('::1/0'))), '::/0');

const containment: readonly (readonly [string, string, boolean])[] = [
  ['10.1.1.0/24', '10.1.1.0', true],
  ['10.1.1.0/24', '10.1.1.255', true],
  ['10.1.1.0/24', '10.1.2.0', false],
  ['10.1.1.0/24', '10.1.0.255', false],
  ['10.1.1.7/32', '10.1.1.7', true],
  ['10.1.1.7/32', '10.1.1.6', false],
  ['0.0.0.0/0', '203.0.113.1', true],
  ['0.0.0.0/0', '::1', false],
  ['::/0', '10.1.1.1', false],
  ['2001:db8::/64', '2001:db8::ffff:0:0:1', true],
  ['2001:db8::/64', '2001:db8:0:1::', false],
];
for (const [prefix, address, expected] of containment) {
  t.equal(prefixContains(parsePrefix(prefix), parseAddress(address)), expected, `${prefix} ${expected ? 'has' : 'has not'} ${address}`);
}

const overlap: readonly (readonly [string, string, boolean])[] = [
  ['10.1.1.0/24', '10.1.1.0/24', true],
  ['10.1.0.0/16', '10.1.1.0/24', true],
  ['10.1.1.0/24', '10.1.1.0/25', true],
  ['10.1.1.0/25', '10.1.1.128/25', false],
  ['10.1.1.0/24', '10.1.2.0/24', false],
  ['0.0.0.0/0', '::/0', false],
  ['::/0', '2001:db8::/64', true],
];
for (const [a, b, expected] of overlap) {
  t.equal(prefixesOverlap(parsePrefix(a), parsePrefix(b)), expected, `${a} and ${b}`);
  t.equal(prefixesOverlap(parsePrefix(b), parsePrefix(a)), expected, `${b} and ${a}`);
}
