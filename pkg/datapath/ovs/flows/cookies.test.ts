import t from 'tap';
import { parseVni, vniMax } from '../../../netaddr/netaddr.ts';
import { cookieOf, flowsOf, flowsOfTenant, flowsOfWeft, ownerOf, type FlowOwner, type FlowSelector } from './cookies.ts';

const [blue, red] = [parseVni(1001), parseVni(vniMax)];
const owners: readonly FlowOwner[] = [
  { kind: 'node' },
  ...[blue, red].flatMap((vni): FlowOwner[] => [{ kind: 'segment', vni }, { kind: 'port', vni, ofport: 1 }, { kind: 'port', vni, ofport: 0xfeff }, { kind: 'remotes', vni }, { kind: 'learned', vni }]),
];

function selected({ cookie, cookieMask }: FlowSelector): readonly FlowOwner[] {
  return owners.filter((owner) => (cookieOf(owner) & cookieMask) === (cookie & cookieMask));
}

t.equal(cookieOf({ kind: 'node' }), 0x7765_6600_0000_0000n, 'the letters "wef"');
t.equal(cookieOf({ kind: 'port', vni: blue, ofport: 101 }), 0x7765_6600_03e9_0065n);
t.equal(cookieOf({ kind: 'remotes', vni: red }), 0x7765_66ff_ffff_ffffn, '64 bits at most');

for (const owner of owners) {
  t.same(ownerOf(cookieOf(owner)), owner);
  t.same(selected(flowsOf(owner)), [owner], 'selects its own flows only');
}
t.same(selected(flowsOfTenant(blue)), owners.filter((owner) => owner.kind !== 'node' && owner.vni === blue));
t.same(selected(flowsOfWeft), owners);

t.test('what is not weft\'s has no owner', async (t) => {
  for (const cookie of [0n, 0x7765_6500_0000_0000n, 0x7765_6600_0000_0001n, 0x7765_6600_03e9_ff00n, (1n << 64n) - 1n]) t.equal(ownerOf(cookie), undefined, cookie.toString(16));
});

t.test('a port is one that an interface can have', async (t) => {
  for (const ofport of [0, -1, 1.5, 0xff00, 0xfffffffe, Number.NaN]) t.throws(() => cookieOf({ kind: 'port', vni: blue, ofport }), { message: `ofport must be a whole number from 1 to 65279: current value is ${ofport}` });
});
