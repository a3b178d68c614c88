import t from 'tap';
import { formatAddress } from '../netaddr/netaddr.ts';
import { attribute, attributeBe16, attributeNested, attributeString, attributeU8, attributeU32 } from './codec.ts';
import { decodeLink, isLinkGone } from './link.ts';
import { craftMessage } from './test-message.ts';

// struct ifinfomsg: family, padding, device type, index, flags, changed flags.
const header = '00 00 0100 07000000 43100000 00000000';
const headerDown = '00 00 0100 07000000 02100000 00000000';
const [ifName, mtu, master, linkInfo, ifAlias, address] = [3, 4, 10, 18, 20, 1];
const name = attributeString(ifName, 'weft-vx1');

t.same(decodeLink(craftMessage(header, name, attributeU32(mtu, 1500))), { index: 7, name: 'weft-vx1', isUp: true, mtu: 1500 }, 'what is absent is no property');
t.equal(decodeLink(craftMessage(headerDown, name)).isUp, false);
t.same(
  decodeLink(craftMessage(header, name, attributeU32(mtu, 65535), attributeU32(master, 9), attributeString(ifAlias, 'für blau'), attribute(address, Uint8Array.of(2, 0, 0, 0, 0, 255)))),
  { index: 7, name: 'weft-vx1', isUp: true, mtu: 65535, master: 9, alias: 'für blau', mac: '02:00:00:00:00:ff' },
);
t.equal(decodeLink(craftMessage(header, name, attributeU32(37, 0))).linkNetnsid, 0, 'the first namespace has the id 0');
t.equal(decodeLink(craftMessage(header, name, attributeU32(37, -1))).linkNetnsid, -1, 'one that has no id here');

t.ok(isLinkGone({ ...craftMessage(header, name), type: 17 }));
t.notOk(isLinkGone({ ...craftMessage(header, name), type: 16 }), 'RTM_NEWLINK');
t.notOk(isLinkGone({ ...craftMessage(header.replace('00', '07'), name), type: 17 }), 'a port that left its bridge');

for (const bytes of [0, 4, 8, 20]) {
  t.notOk('mac' in decodeLink(craftMessage(header, name, attribute(address, new Uint8Array(bytes)))), `a link layer address of ${bytes} bytes is no MAC (tunnels, InfiniBand)`);
}

function vxlanLink(...data: readonly Uint8Array[]): ReturnType<typeof decodeLink> {
  return decodeLink(craftMessage(header, name, attributeNested(linkInfo, [attributeString(1, 'vxlan'), attributeNested(2, data)])));
}

t.test('VXLAN settings', async (t) => {
  const ip4 = vxlanLink(attributeU32(1, 16777215), attribute(4, Uint8Array.of(192, 0, 2, 1)), attributeU8(7, 1), attributeBe16(15, 4789));
  t.match(ip4.vxlan, { vni: 16777215, port: 4789, learning: true });
  t.equal(ip4.vxlan?.local && formatAddress(ip4.vxlan.local), '192.0.2.1');
  const ip6 = vxlanLink(attributeU32(1, 1), attribute(17, Buffer.from('20010db8000000000000000000000001', 'hex')), attributeU8(7, 0), attributeBe16(15, 65535));
  t.match(ip6.vxlan, { vni: 1, port: 65535, learning: false });
  t.equal(ip6.vxlan?.local && formatAddress(ip6.vxlan.local), '2001:db8::1');
  t.same(vxlanLink().vxlan, { vni: 0, port: 0, learning: false }, 'a device that takes its VNI from the routing');
  t.equal(vxlanLink().kind, 'vxlan');
});

t.test('the data of another kind is not taken for VXLAN settings', async (t) => {
  const link = decodeLink(craftMessage(header, name, attributeNested(linkInfo, [attributeString(1, 'bridge'), attributeNested(2, [attributeU32(1, 200)])])));
  t.equal(link.kind, 'bridge');
  t.notOk('vxlan' in link);
});

t.throws(() => decodeLink(craftMessage('00 00 0100')), RangeError, 'a message without its header');
t.throws(() => decodeLink(craftMessage(header, name, attribute(mtu, Uint8Array.of(1, 2)))), RangeError, 'an MTU of two bytes');
