import t from 'tap';
import { formatAddress, formatPrefix } from '../netaddr/netaddr.ts';
import { attribute, attributeNested, attributeU32 } from './codec.ts';
import { decodeRoute, tableMain } from './route.ts';
import { craftMessage } from './test-message.ts';

const [dst, oif, gateway, priority, table] = [1, 4, 5, 6, 15];
const ip6 = Buffer.from('20010db8000000000000000000000000', 'hex');

/** struct rtmsg: family, destination length, source length, TOS, table, protocol, scope, type, flags. */
function header(options: { family?: number; length?: number; table?: number; type?: number }): string {
  const bytes = [options.family ?? 2, options.length ?? 0, 0, 0, options.table ?? tableMain, 4, 0, options.type ?? 1, 0, 0, 0, 0];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

t.test('what a route is', async (t) => {
  const route = decodeRoute(craftMessage(header({ length: 24 }), attribute(dst, Uint8Array.of(10, 1, 1, 0)), attributeU32(oif, 7), attributeU32(priority, 100)));
  t.match(route, { index: 7, table: tableMain, isUnicast: true, priority: 100 });
  t.equal(route && formatPrefix(route.dst), '10.1.1.0/24');
  t.notOk('gateway' in (route ?? {}), 'a route on the link has no gateway');
});

t.test('default routes', async (t) => {
  const ip4 = decodeRoute(craftMessage(header({}), attribute(gateway, Uint8Array.of(10, 1, 1, 1)), attributeU32(oif, 7)));
  t.equal(ip4 && formatPrefix(ip4.dst), '0.0.0.0/0');
  t.equal(ip4?.gateway && formatAddress(ip4.gateway), '10.1.1.1');
  t.equal(ip4?.priority, 0);
  const through = decodeRoute(craftMessage(header({ family: 10 }), attribute(gateway, ip6)));
  t.equal(through && formatPrefix(through.dst), '::/0');
  t.notOk('index' in (through ?? {}), 'several ways have no one link');
});

t.test('what a route leads by', async (t) => {
  const hop = (index: number): Uint8Array => Buffer.from(`08000000${index.toString(16).padStart(2, '0')}000000`, 'hex');
  const [metrics, multipath, mtu, advmss] = [8, 9, 2, 8];
  t.match(decodeRoute(craftMessage(header({}), attribute(multipath, Buffer.concat([hop(7), hop(9)])))), { nextHops: [7, 9] });
  t.match(decodeRoute(craftMessage(header({}), attributeNested(metrics, [attributeU32(advmss, 1300), attributeU32(mtu, 1400)]))), { mtu: 1400 });
  t.same(Object.keys(decodeRoute(craftMessage(header({}), attributeNested(metrics, [attributeU32(advmss, 1300)]))) ?? {}), ['dst', 'table', 'isUnicast', 'priority'], 'other metrics say nothing');
  t.match(decodeRoute(craftMessage(header({}), attribute(multipath, Buffer.from('0000000007000000', 'hex')))), { nextHops: [7] }, 'a length that is none does not hang');
});

t.equal(decodeRoute(craftMessage(header({ table: 0 }), attributeU32(table, 1001)))?.table, 1001, 'a table whose number needs more than a byte');
t.equal(decodeRoute(craftMessage(header({ table: 255 })))?.table, 255);
for (const type of [2, 3, 5, 6, 7, 8]) t.equal(decodeRoute(craftMessage(header({ type })))?.isUnicast, false, `routes of type ${type} lead nowhere else`);
for (const family of [0, 7, 28, 128, 129]) t.equal(decodeRoute(craftMessage(header({ family }))), undefined, `family ${family} is none of ours`);
t.throws(() => decodeRoute(craftMessage('02')), RangeError, 'a message without its header');
t.throws(() => decodeRoute(craftMessage(header({}), attribute(dst, new Uint8Array(3)))), RangeError, 'a destination of three bytes');
