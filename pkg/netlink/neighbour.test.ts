import t from 'tap';
import { formatAddress } from '../netaddr/netaddr.ts';
import { attribute, attributeU32 } from './codec.ts';
import { decodeFdb, floodMac } from './neighbour.ts';
import { craftMessage } from './test-message.ts';

const [dst, linkAddress, master] = [1, 2, 9];
const mac = Uint8Array.of(2, 0, 0, 0, 0, 5);

/** struct ndmsg: family, padding, index, state, flags, type. */
function header(state: number): string {
  return `07 000000 07000000 ${state.toString(16).padStart(2, '0')}00 00 00`;
}

t.same(decodeFdb(craftMessage(header(0x40), attribute(linkAddress, mac), attributeU32(master, 9))), { index: 7, mac: '02:00:00:00:00:05', isStatic: true, master: 9 }, "a bridge's entry");
t.equal(decodeFdb(craftMessage(header(0x80), attribute(linkAddress, mac)))?.isStatic, true, 'permanent');
t.equal(decodeFdb(craftMessage(header(0x02), attribute(linkAddress, mac)))?.isStatic, false, 'learned');

t.test("entries of a VXLAN device's flood list", async (t) => {
  for (const [bytes, text] of [[Uint8Array.of(192, 0, 2, 2), '192.0.2.2'], [Buffer.from('20010db8000000000000000000000002', 'hex'), '2001:db8::2']] as const) {
    const entry = decodeFdb(craftMessage(header(0xc0), attribute(linkAddress, new Uint8Array(6)), attribute(dst, bytes)));
    t.equal(entry?.mac, floodMac);
    t.equal(entry?.vtep && formatAddress(entry.vtep), text);
    t.notOk('master' in (entry ?? {}));
  }
});

for (const bytes of [0, 5, 7, 20]) t.equal(decodeFdb(craftMessage(header(0x80), attribute(linkAddress, new Uint8Array(bytes)))), undefined, `a link layer address of ${bytes} bytes is no MAC`);
t.equal(decodeFdb(craftMessage(header(0x80))), undefined, 'an entry without an address');
t.throws(() => decodeFdb(craftMessage(header(0x80), attribute(linkAddress, mac), attribute(dst, new Uint8Array(3)))), RangeError, 'a VTEP of three bytes');
