import t from 'tap';
import type { EvpnConf } from '../config/control-plane.ts';
import type { EvpnRoute } from '../frr/bgp-tables.ts';
import { parseAddress, parseInterfaceAddress, parseMac, parseVni } from '../netaddr/netaddr.ts';
import type { AttachmentPort, RemoteEndpoint, Segment } from '../overlay/model.ts';
import { renderEvpn } from '../report/evpn.ts';
import { reportEvpn, type TenantView } from './view.ts';

const conf: EvpnConf = { type: 'evpn', as: 65000, neighbors: [], timers: { keepaliveSeconds: 3, holdSeconds: 9, connectSeconds: 1 }, managed: true, runDirectory: '/var/run/frr', retainSeconds: 120 };
const [vtep1, vtep2, vtep3] = [1, 2, 3].map((n) => parseAddress(`192.0.2.${n}`)) as [Segment['vtepAddress'], Segment['vtepAddress'], Segment['vtepAddress']];
const vni = parseVni(1001);
const segment: Segment = { tenant: 'blue', vni, controlPlane: 'evpn', vtepAddress: vtep1, vtepPort: 4789, underlayMtu: 1500, overlayMtu: 1450, peers: [vtep2] };
const macOf = (n: number): RemoteEndpoint['mac'] => parseMac(`02:77:0a:01:01:0${n}`);
const port = (n: number): AttachmentPort => ({ vni, hostIf: `weft-p${n}`, containerIf: 'eth0', mac: macOf(n), addresses: [parseInterfaceAddress(`10.1.1.${n}/24`)], routes: [], mtu: 1450, alias: '' });
const remote = (n: number, vtep = vtep2): RemoteEndpoint => ({ mac: macOf(n), vtep, addresses: [parseAddress(`10.1.1.${n}`)] });

type Common = Pick<EvpnRoute, 'rd' | 'vni' | 'nextHop' | 'origin' | 'isBest' | 'sequence'>;
const common = (nextHop: Segment['vtepAddress']): Common => ({ rd: '1:2', vni, nextHop, isBest: true, sequence: 0, origin: nextHop === vtep1 ? { kind: 'own' } : { kind: 'received', from: '192.0.2.2' } });
const vtepRoute = (nextHop: Segment['vtepAddress']): EvpnRoute => ({ ...common(nextHop), kind: 'vtep', originator: nextHop });
const routesOf = (n: number, nextHop: Segment['vtepAddress']): EvpnRoute[] => [
  { ...common(nextHop), kind: 'endpoint', mac: macOf(n) },
  { ...common(nextHop), kind: 'endpoint', mac: macOf(n), address: parseAddress(`10.1.1.${n}`) },
];

const tenant: TenantView = { segment, ports: [port(5)], seen: { held: [remote(6)], present: [remote(6)] } };
const routes = [vtepRoute(vtep1), vtepRoute(vtep2), ...routesOf(5, vtep1), ...routesOf(6, vtep2)];

function disagreements(changes: Partial<TenantView>, others = routes): readonly string[] {
  return reportEvpn({ conf, faults: [], frr: { sessions: [], routes: others }, tenants: [{ ...tenant, ...changes }] }).disagreements;
}

void t.test('where all agree', async (t) => {
  const report = reportEvpn({ conf, faults: [], frr: { sessions: [], routes }, tenants: [tenant] });
  t.same(report.disagreements, []);
  t.same(report.tenants, [{ tenant: 'blue', vni: 1001, vteps: ['192.0.2.2'], lost: [], advertised: 1, received: 1 }]);
  t.same(report.endpoints, [
    { tenant: 'blue', vni: 1001, mac: macOf(5), addresses: ['10.1.1.5'], vtep: null, isInBgp: true, isInKernel: true },
    { tenant: 'blue', vni: 1001, mac: macOf(6), addresses: ['10.1.1.6'], vtep: '192.0.2.2', isInBgp: true, isInKernel: true },
  ]);
});

void t.test('where they do not', async (t) => {
  t.same(disagreements({ ports: [port(5), port(7)] }), ['tenant blue: 02:77:0a:01:01:07 is attached here and not advertised']);
  t.same(disagreements({}, routes.filter((route) => !(route.kind === 'endpoint' && route.mac === macOf(5) && route.address !== undefined))), ['tenant blue: 10.1.1.5 of 02:77:0a:01:01:05 is not advertised']);
  t.same(disagreements({ ports: [] }), ['tenant blue: 02:77:0a:01:01:05 is advertised and belongs to no container here']);
  t.same(disagreements({ seen: { held: [remote(6)], present: [] } }), ['tenant blue: 02:77:0a:01:01:06 is at VTEP 192.0.2.2 as BGP says, and in the kernel nowhere']);
  t.same(disagreements({ seen: { held: [], present: [remote(6, vtep3)] } }), ['tenant blue: 02:77:0a:01:01:06 is at VTEP 192.0.2.2 as BGP says, and in the kernel at 192.0.2.3']);
  t.same(disagreements({ seen: { held: [remote(6)], present: [{ ...remote(6), addresses: [] }] } }), ['tenant blue: 10.1.1.6 is an address of 02:77:0a:01:01:06 as BGP says, and the kernel does not know it']);
  t.same(disagreements({ seen: { held: [remote(6), remote(8)], present: [remote(6)] } }), ['tenant blue: the kernel has 02:77:0a:01:01:08 at VTEP 192.0.2.2, of which BGP says nothing']);
});

void t.test('what a lost VTEP had is kept on purpose, and of FRR that is away nothing disagrees', async (t) => {
  const own = routes.filter(({ nextHop }) => nextHop === vtep1);
  t.same(disagreements({}, own), []);
  const away = reportEvpn({ conf, faults: ['zebra of FRR does not run'], frr: undefined, tenants: [tenant] });
  t.same(away.disagreements, []);
  t.match(renderEvpn(away), /^1 to look at: AS 65000, FRR in \/var\/run\/frr is configured by weft\n {2}zebra of FRR does not run\n\nno sessions\n\nTENANT +VNI/);
});

void t.test('for people', async (t) => {
  const session = { name: '192.0.2.2', as: 65000, state: 'Established', isUp: true, sinceMs: 90_000, prefixesReceived: 3, prefixesSent: 4, establishedCount: 1 };
  const down = { name: '192.0.2.3', as: 65001, state: 'Active', isUp: false, prefixesReceived: 0, prefixesSent: 0, establishedCount: 0, reason: 'Bad Peer AS' };
  t.equal(renderEvpn(reportEvpn({ conf: { ...conf, managed: false }, faults: [], frr: { sessions: [session, down], routes }, tenants: [tenant] })), `\
well: AS 65000, FRR in /var/run/frr is the operator's to configure

NEIGHBOR   AS     STATE        SINCE  RECEIVED  SENT  PROBLEM
192.0.2.2  65000  Established  90s    3         4     -
192.0.2.3  65001  Active       -      0         0     Bad Peer AS

TENANT  VNI   ADVERTISED  RECEIVED  VTEPS
blue    1001  1           1         192.0.2.2

TENANT  MAC                ADDRESSES  AT         BGP  KERNEL
blue    02:77:0a:01:01:05  10.1.1.5   here       yes  yes
blue    02:77:0a:01:01:06  10.1.1.6   192.0.2.2  yes  yes
`);
});
