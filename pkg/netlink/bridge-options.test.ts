import t from 'tap';
import { decodeBridgeOptions, decodePortOptions, encodeBridgeOptions, encodePortOptions } from './bridge-options.ts';
import { attribute, attributeNested, attributeString, attributeU32, attributeU8 } from './codec.ts';
import { decodeLink, setLink } from './link.ts';
import { craftMessage } from './test-message.ts';

const join = (parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);

// `ip link set B type bridge stp_state 1 mcast_snooping 0`: IFLA_BR_STP_STATE is of four bytes, IFLA_BR_MCAST_SNOOPING of one.
t.equal(join(encodeBridgeOptions({ stp: true, multicastSnooping: false })).toString('hex'), '0800050001000000' + '0500170000000000');
// `bridge link set dev P learning off isolated on`
t.equal(join(encodePortOptions({ learning: false, isolated: true })).toString('hex'), '0500080000000000' + '0500210001000000');
t.same(encodePortOptions({}), []);

t.same(decodeBridgeOptions(join([attributeU32(5, 2), attributeU8(23, 1)])), { stp: true, multicastSnooping: true }, 'a spanning tree kept by a daemon is one too');
t.same(decodeBridgeOptions(Buffer.alloc(0)), {}, 'what the kernel does not say is absent');
t.same(decodePortOptions(join([attributeU8(8, 0), attributeU8(9, 1), attributeU8(99, 1)])), { learning: false, unicastFlood: true });
t.same(decodePortOptions(join([attributeU32(8, 1), attribute(9, new Uint8Array(0))])), {}, 'of another size it is something else');

const header = '00 00 0100 07000000 c3100000 00000000';
const [linkInfo, afSpec] = [18, 26];
t.test('of a link', async (t) => {
  const slave = (kind: string): Uint8Array => attributeNested(linkInfo, [attributeString(1, 'veth'), attributeString(4, kind), attributeNested(5, [attributeU8(8, 1)])]);
  const mode = (value: number): Uint8Array => attributeNested(afSpec, [attributeNested(10, [attributeU8(8, value)])]);
  t.match(decodeLink(craftMessage(header, slave('bridge'), mode(1))), { isArpOff: true, hasLinkLocal: false, port: { learning: true } });
  t.notOk('port' in decodeLink(craftMessage(header, slave('bond'))), 'a bond numbers its own options');
  t.equal(decodeLink(craftMessage(header, mode(0))).hasLinkLocal, true);
  t.equal(decodeLink(craftMessage(header)).hasLinkLocal, undefined, 'a kernel without IPv6');
  t.notOk('isArpOff' in decodeLink(craftMessage('00 00 0100 07000000 43100000 00000000')));
});

t.test('in a request', async (t) => {
  const bytes = (change: Parameters<typeof setLink>[1]): string => Buffer.from(setLink('b', change).payload).toString('latin1');
  t.match(bytes({ bridge: { stp: false } }), /bridge\0/);
  t.match(bytes({ vxlanLearning: true }), /vxlan\0/);
  t.notMatch(bytes({ mtu: 1500 }), /bridge|vxlan/);
});
