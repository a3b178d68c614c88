import t from 'tap';
import { eui64LinkLocal, formatAddress, isUnicastMac, macBytes, macFromAddress, macFromBytes, parseAddress, parseMac } from './netaddr.ts';

t.equal(parseMac('02:00:5E:10:00:0f'), '02:00:5e:10:00:0f', 'lower case');

const refused: readonly string[] = [
  '', '02:00:5e:10:00', '02:00:5e:10:00:01:02', '02-00-5e-10-00-01', '0200.5e10.0001', '02005e100001', '2:0:5e:10:0:1', '02:00:5e:10:00:0g',
  ' 02:00:5e:10:00:01', '02:00:5e:10:00:01 ', '02:00:5e:10:00:01\n', '02::5e:10:00:01', '02:00:5e:10:00:', '0x:00:5e:10:00:01', '+2:00:5e:10:00:01',
];
for (const text of refused) t.throws(() => parseMac(text), SyntaxError, `${JSON.stringify(text)} is refused`);
t.throws(() => parseMac('x', 'MAC'), { message: 'MAC must be a MAC address like 02:00:5e:10:00:01: current value is "x"' });

t.same(macBytes(parseMac('0a:77:ff:00:80:01')), Uint8Array.of(0x0a, 0x77, 0xff, 0, 0x80, 1));
t.equal(macFromBytes(Uint8Array.of(0x0a, 0x77, 0xff, 0, 0x80, 1)), '0a:77:ff:00:80:01');
for (const length of [0, 5, 7]) t.throws(() => macFromBytes(new Uint8Array(length)), RangeError, `${length} bytes are no MAC`);

for (const text of ['02:00:00:00:00:00', '00:00:00:00:00:01', 'fe:ff:ff:ff:ff:ff']) t.ok(isUnicastMac(parseMac(text)), `${text} is unicast`);
for (const text of ['00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '33:33:00:00:00:01', '03:00:00:00:00:01']) {
  t.notOk(isUnicastMac(parseMac(text)), `${text} is not unicast`);
}

// RFC 4291 appendix A's own example, and what `ip -6 address` shows for a veth with the second MAC.
t.equal(formatAddress(eui64LinkLocal(parseMac('34:56:78:9a:bc:de'))), 'fe80::3656:78ff:fe9a:bcde');
t.equal(formatAddress(eui64LinkLocal(parseMac('02:77:0a:01:01:05'))), 'fe80::77:aff:fe01:105');

t.equal(macFromAddress(parseAddress('10.1.1.5')), '02:77:0a:01:01:05');
t.equal(macFromAddress(parseAddress('255.255.255.255')), '02:77:ff:ff:ff:ff');
t.match(macFromAddress(parseAddress('2001:db8::5')), /^0a:77:/);
t.equal(macFromAddress(parseAddress('2001:db8::5')), macFromAddress(parseAddress('2001:0db8:0::5')), 'the same for the same address');
// FNV-1a of 16 zero bytes: the offset basis times the prime to the 16th, modulo 2^32.
t.equal(macFromAddress(parseAddress('::')), macFromBytes(zeroAddressMac()));

const ipv6Macs = new Set(Array.from({ length: 5000 }, (_, index) => macFromAddress({ family: 6, value: (0x20010db8n << 96n) | BigInt(index) })));
t.equal(ipv6Macs.size, 5000, 'neighbouring IPv6 addresses have MACs of their own');
t.ok([...ipv6Macs].every(isUnicastMac));

function zeroAddressMac(): Uint8Array {
  const hash = (0x811c9dc5n * 0x01000193n ** 16n) % (1n << 32n);
  return Uint8Array.of(0x0a, 0x77, ...Buffer.from(hash.toString(16).padStart(8, '0'), 'hex'));
}
