import t from 'tap';
import type { EvpnRoute } from '../frr/bgp-tables.ts';
import type { ZebraVni } from '../frr/zebra-tables.ts';
import { formatAddress, parseAddress, parseVni } from '../netaddr/netaddr.ts';
import { describeIgnorance, missingVteps } from './zebra-check.ts';

const zebraVni = (vni: number, ...vteps: readonly string[]): ZebraVni => ({ vni: parseVni(vni), vxlanInterface: `weft-vx${vni}`, vtep: parseAddress('192.0.2.1'), remoteVteps: vteps.map((text) => parseAddress(text)), macCount: 0, neighbourCount: 0 });
const route = (vni: number, vtep: string, changes: Partial<EvpnRoute> = {}): EvpnRoute => ({
  kind: 'vtep', rd: '1:1', vni: parseVni(vni), nextHop: parseAddress(vtep), originator: parseAddress(vtep), origin: { kind: 'received', from: vtep }, isBest: true, sequence: 0, ...changes,
} as EvpnRoute);

const rows: readonly (readonly [what: string, vnis: readonly ZebraVni[], routes: readonly EvpnRoute[], missing: string])[] = [
  ['all is known', [zebraVni(1001, '192.0.2.2')], [route(1001, '192.0.2.2')], ''],
  ['zebra has started anew', [zebraVni(1001), zebraVni(1002)], [route(1001, '192.0.2.2'), route(1002, '192.0.2.3')], '1001 192.0.2.2,1002 192.0.2.3'],
  ['one of two', [zebraVni(1001, '192.0.2.3')], [route(1001, '192.0.2.2'), route(1001, '192.0.2.3')], '1001 192.0.2.2'],
  ['a VNI that is not on this node', [zebraVni(1001)], [route(1002, '192.0.2.2')], ''],
  ['its own route', [zebraVni(1001)], [route(1001, '192.0.2.1', { origin: { kind: 'own' } })], ''],
  ['a route that does not count (yet)', [zebraVni(1001)], [route(1001, '192.0.2.2', { isBest: false })], ''],
  ['nothing at all', [], [], ''],
];
for (const [what, vnis, routes, missing] of rows) {
  t.equal(missingVteps(vnis, routes).map(({ vni, vtep }) => `${vni} ${formatAddress(vtep)}`).join(), missing, what);
}

const own = route(1001, '192.0.2.1', { origin: { kind: 'own' } });
const vnis = [parseVni(1001)];
t.equal(describeIgnorance({ vnis, tables: [zebraVni(1001)], routes: [own] }), undefined, 'its own VNI');
t.match(describeIgnorance({ vnis: [], tables: [], routes: [own] }), /^bgpd of FRR announces VNI 1001, which zebra has not found on this node: bgpd has to begin again/, 'a VNI that went while zebra was away');
t.match(describeIgnorance({ vnis, tables: [zebraVni(1002)], routes: [] }), /^zebra of FRR has not found VNI 1001 on this node: /, 'a VNI that another device had until now');
t.match(describeIgnorance({ vnis, tables: [zebraVni(1001)], routes: [own, route(1001, '192.0.2.2')] }), /^zebra of FRR does not know of VTEP 192\.0\.2\.2 in VNI 1001, which bgpd knows: /);
