import t from 'tap';
import { parseVni, vniMax } from '../netaddr/netaddr.ts';
import { describeSpareConflict, hasSpare, hasStandIn, sparePort, spareVni, type SpareParty } from './spare.ts';

function party(tenant: string, vni: number, rest: Partial<SpareParty> = {}): SpareParty {
  return { tenant, vni: parseVni(vni), vtepPort: 4789, ...rest };
}

t.same([1, 1001, vniMax].map(spareVni), [vniMax - 1, 16_776_214, 0], 'the highest one has 0, which is nobody’s');
t.same([{}, { controlPlane: 'evpn' }, { controlPlane: 'evpn', datapath: 'ovs' }, { datapath: 'ovs' }].map((segment) => hasSpare(segment as SpareParty)), [false, true, false, false]);

t.same([{}, { controlPlane: 'evpn' }, { controlPlane: 'evpn', datapath: 'ovs' }, { datapath: 'ovs' }].map((segment) => hasStandIn(segment as SpareParty)), [false, false, true, false]);

const evpn = { controlPlane: 'evpn' } as const;
const [blue, opposite] = [1001, spareVni(1001)] as const;
const inWay = (vni: number, other: number, tenant: string): string => `vni must not be ${vni}: it and the VNI ${other} of tenant ${tenant} add up to 16777215, and one's spare tunnel would have the other's VNI`;
const portKept = 'vtep.port must not be 24789, which is kept for the spare tunnels of tenants with controlPlane evpn';

const rows: readonly { readonly what: string; readonly wanted: SpareParty; readonly others: readonly SpareParty[]; readonly said: string | undefined }[] = [
  { what: 'alone', wanted: party('blue', blue, evpn), others: [], said: undefined },
  { what: 'beside itself', wanted: party('blue', blue, evpn), others: [party('blue', blue, evpn)], said: undefined },
  { what: 'beside others', wanted: party('blue', blue, evpn), others: [party('red', 1002, evpn), party('green', opposite - 1)], said: undefined },
  { what: 'opposite a static one', wanted: party('blue', blue, evpn), others: [party('red', opposite)], said: inWay(blue, opposite, 'red') },
  { what: 'a static one opposite', wanted: party('red', opposite), others: [party('blue', blue, evpn)], said: inWay(opposite, blue, 'blue') },
  { what: 'both', wanted: party('red', opposite, evpn), others: [party('blue', blue, evpn)], said: inWay(opposite, blue, 'blue') },
  { what: 'both static', wanted: party('red', opposite), others: [party('blue', blue)], said: undefined },
  { what: 'opposite Open vSwitch', wanted: party('blue', blue, evpn), others: [party('red', opposite, { datapath: 'ovs' })], said: undefined },
  { what: 'Open vSwitch opposite', wanted: party('red', opposite, { datapath: 'ovs' }), others: [party('blue', blue, evpn)], said: undefined },
  { what: 'opposite a stand-in', wanted: party('blue', blue, evpn), others: [party('red', opposite, { ...evpn, datapath: 'ovs' })], said: inWay(blue, opposite, 'red') },
  { what: 'a stand-in opposite', wanted: party('red', opposite, { ...evpn, datapath: 'ovs' }), others: [party('blue', blue, evpn)], said: inWay(opposite, blue, 'blue') },
  { what: 'a stand-in opposite a static one, and another stand-in', wanted: party('red', opposite, { ...evpn, datapath: 'ovs' }), others: [party('blue', blue), party('green', 1002, { ...evpn, datapath: 'ovs' })], said: undefined },
  { what: 'two stand-ins opposite', wanted: party('red', opposite, { ...evpn, datapath: 'ovs' }), others: [party('blue', blue, { ...evpn, datapath: 'ovs' })], said: undefined },
  { what: 'a stand-in’s port', wanted: party('blue', blue, { ...evpn, datapath: 'ovs', vtepPort: sparePort }), others: [], said: portKept },
  { what: 'the port, on Open vSwitch', wanted: party('red', 1002, { datapath: 'ovs', vtepPort: sparePort }), others: [party('blue', blue, { ...evpn, datapath: 'ovs' })], said: portKept },
  { what: 'its port', wanted: party('blue', blue, { ...evpn, vtepPort: sparePort }), others: [], said: portKept },
  { what: 'the port, static', wanted: party('red', 1002, { vtepPort: sparePort }), others: [party('blue', blue, evpn)], said: portKept },
  { what: 'the port, where nobody needs it', wanted: party('red', 1002, { vtepPort: sparePort }), others: [party('blue', blue)], said: undefined },
  { what: 'the port taken', wanted: party('blue', blue, evpn), others: [party('red', 1002, { vtepPort: sparePort })], said: 'controlPlane cannot be evpn on this node: tenant red has UDP port 24789, which spare tunnels need' },
];
for (const { what, wanted, others, said } of rows) t.equal(describeSpareConflict(wanted, others), said, what);
