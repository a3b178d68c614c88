import t from 'tap';
import { formatInterfaceAddress } from '../netaddr/netaddr.ts';
import { decodeAddress } from './address.ts';
import { attribute } from './codec.ts';
import { craftMessage } from './test-message.ts';

const [address, local, label] = [1, 2, 3];
const ip6 = Buffer.from('20010db8000000000000000000000005', 'hex');

/** struct ifaddrmsg: family, prefix length, flags, scope, index. */
function header(length: number, scope: number, family = 2): string {
  return [family, length, 0x80, scope, 7, 0, 0, 0].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function decoded(...message: Parameters<typeof craftMessage>): string | undefined {
  const found = decodeAddress(craftMessage(...message));
  return found && `${found.index} ${formatInterfaceAddress(found.address)} ${found.scope}`;
}

t.equal(decoded(header(24, 0), attribute(address, Uint8Array.of(10, 1, 1, 5)), attribute(local, Uint8Array.of(10, 1, 1, 5))), '7 10.1.1.5/24 global');
t.equal(decoded(header(64, 0, 10), attribute(address, ip6)), '7 2001:db8::5/64 global', 'IPv6 has no local address of its own');
t.equal(decoded(header(32, 0), attribute(address, Uint8Array.of(10, 0, 0, 2)), attribute(local, Uint8Array.of(10, 0, 0, 1))), '7 10.0.0.1/32 global', 'the near end of a point-to-point link');
t.equal(decoded(header(0, 0), attribute(local, new Uint8Array(4))), '7 0.0.0.0/0 global');

const scopes: readonly (readonly [number, string])[] = [[0, 'global'], [253, 'link'], [254, 'host'], [200, 'other'], [255, 'other']];
for (const [number, scope] of scopes) t.equal(decoded(header(8, number), attribute(local, Uint8Array.of(127, 0, 0, 1))), `7 127.0.0.1/8 ${scope}`);

t.equal(decoded(header(24, 0), attribute(label, Buffer.from('eth0\0'))), undefined, 'no address at all');
for (const bytes of [0, 3, 5, 8, 15, 17]) t.equal(decoded(header(24, 0), attribute(local, new Uint8Array(bytes))), undefined, `an address of ${bytes} bytes is of another family`);
t.equal(decoded('02'), undefined, 'a message without its header');
