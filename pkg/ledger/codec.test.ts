import t from 'tap';
import { compareAddresses, formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { addressFromKey, addressKey } from './codec.ts';

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
