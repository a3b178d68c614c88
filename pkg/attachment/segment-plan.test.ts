import t from 'tap';
import { noEndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf, type NetConf } from '../config/net-conf.ts';
import { parseNodeConf } from '../config/node-conf.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import { decodeSegment, encodeSegment } from '../ledger/codec.ts';
import { formatAddress, formatInterfaceAddress, parseAddress, parseVni } from '../netaddr/netaddr.ts';
import type { PathKnowledge } from '../mtu/path-knowledge.ts';
import type { Segment } from '../overlay/model.ts';
import { describeConflict, describeGatewayConflict, describeMtuMisfit, keepFoundPeers, keepMtus, planSegment, requireFreePort, requireRelay } from './segment-plan.ts';

function confOf(fields: Readonly<Record<string, unknown>>): NetConf {
  const json = { cniVersion: '1.1.0', name: 'blue', type: 'weft', vni: 1001, ...fields };
  return parseNetConf(json, { node: emptyNodeConf, args: noEndpointArgs });
}

const underlay4 = { vtepAddress: parseAddress('192.0.2.1'), mtu: 1500 };
const underlay6 = { vtepAddress: parseAddress('2001:db8::1'), mtu: 1500 };

const ovs = { datapath: 'ovs' };
const geneve = { ...ovs, encapsulation: 'geneve' };

t.test('planSegment() derives the MTU from the underlay', (t) => {
  const rows = [
    { name: 'IPv4', underlay: underlay4, fields: {}, mtu: 1450 },
    { name: 'IPv6', underlay: underlay6, fields: {}, mtu: 1430 },
    { name: 'jumbo frames', underlay: { ...underlay4, mtu: 9000 }, fields: {}, mtu: 8950 },
    { name: 'less than there is room for', underlay: underlay4, fields: { mtu: 1400 }, mtu: 1400 },
    { name: 'just what there is room for', underlay: underlay4, fields: { mtu: 1450 }, mtu: 1450 },
    { name: 'Geneve over IPv4', underlay: underlay4, fields: geneve, mtu: 1450 },
    { name: 'Geneve over IPv6', underlay: underlay6, fields: geneve, mtu: 1430 },
  ];
  for (const { name, underlay, fields, mtu } of rows) t.equal(planSegment(confOf(fields), underlay).overlayMtu, mtu, name);
  t.end();
});

t.test('planSegment() uses what fits where the administrator wants to be warned only', (t) => {
  const [small, large, warned] = [confOf({ mtu: 1400 }), confOf({ mtu: 1451 }), confOf({ mtu: 1451, mtuPolicy: 'warn' })];
  t.match(planSegment(warned, underlay4), { overlayMtu: 1450, underlayMtu: 1500 });
  t.match(describeMtuMisfit(warned, underlay4), /mtu must be at most 1450/);
  t.equal(describeMtuMisfit(small, underlay4), undefined);
  t.equal(describeMtuMisfit(confOf({}), underlay4), undefined);
  t.throws(() => planSegment(large, underlay4), { code: 'invalidConfiguration' }, 'to refuse is the default');
  t.end();
});

t.test('planSegment() gives containers no more than gets to the peers, and the tunnel what the link has', (t) => {
  const peers = [parseAddress('192.0.2.2')];
  const asked: unknown[] = [];
  const path = (bytes: number | undefined): PathKnowledge => ({
    narrowest(peers) {
      asked.push(peers);
      return bytes;
    },
  });
  const plan = (bytes: number | undefined, fields = {}): Segment => planSegment(confOf({ peers: ['192.0.2.2'], ...fields }), { ...underlay4, linkMtu: 9000 }, { path: path(bytes) });
  t.match(plan(1400), { overlayMtu: 1350, underlayMtu: 9000 });
  t.match(plan(undefined), { overlayMtu: 1450, underlayMtu: 9000 });
  t.match(plan(9000), { overlayMtu: 1450 }, 'the underlay itself is narrower');
  t.match(plan(1400, { mtu: 1300 }), { overlayMtu: 1300 });
  t.match(plan(1400, { mtu: 1450 }), { overlayMtu: 1350 }, 'what fits the underlay is not refused for the path');
  t.match(plan(60), { overlayMtu: 68 }, 'a finding that cannot be');
  t.ok(asked.every((list) => JSON.stringify(list, (_key, value: unknown) => String(value)) === JSON.stringify(peers, (_key, value: unknown) => String(value))), 'of the peers of the tenant');
  t.end();
});

t.test('keepMtus() leaves a tenant in use as it is, and gives a newcomer what always fits', (t) => {
  const [small, large] = [planSegment(confOf({}), underlay4), planSegment(confOf({}), { ...underlay4, mtu: 9000 })];
  t.same(keepMtus(small, large), { segment: large, mtu: 1450 }, 'while it is lowered');
  t.same(keepMtus(large, small), { segment: small, mtu: 1450 }, 'while it is raised');
  t.match(keepMtus(planSegment(confOf({ peers: ['192.0.2.7'] }), underlay4), large), { segment: { peers: [parseAddress('192.0.2.7')], underlayMtu: 9000 } }, 'the rest is as wanted');
  t.end();
});

t.test('planSegment() refuses what cannot work, and says what can', (t) => {
  const rows = [
    { name: 'an MTU too large by one', underlay: underlay4, fields: { mtu: 1451 }, message: /mtu must be at most 1450.*1500.*50.*1451/ },
    { name: 'an MTU too large for IPv6', underlay: underlay6, fields: { mtu: 1450 }, message: /mtu must be at most 1430/ },
    { name: 'an underlay without room', underlay: { ...underlay4, mtu: 100 }, fields: {}, message: /must leave room for VXLAN: 100 does not/ },
    { name: 'an underlay without room for Geneve', underlay: { ...underlay4, mtu: 100 }, fields: geneve, message: /must leave room for Geneve: 100 does not/ },
    { name: 'an MTU too large for Geneve', underlay: underlay4, fields: { ...geneve, mtu: 1451 }, message: /mtu must be at most 1450, which is the underlay's 1500 less Geneve's 50: current value is 1451/ },
    { name: 'peers of the other family', underlay: underlay6, fields: { peers: ['192.0.2.2'] }, message: /peers must be of the VTEP's family, IPv6: 192\.0\.2\.2/ },
  ];
  for (const { name, underlay, fields, message } of rows) {
    t.throws(() => planSegment(confOf(fields), underlay), { code: 'invalidConfiguration', message }, name);
  }
  t.end();
});

t.test('planSegment() leaves the own address out of the peers, whoever wrote it there', (t) => {
  const segment = planSegment(confOf({ peers: ['192.0.2.1', '192.0.2.2'] }), underlay4);
  t.same(segment.peers.map(formatAddress), ['192.0.2.2']);
  t.equal(segment.gateway, undefined);
  t.end();
});

t.test('planSegment() says how the tenant is wired, and nothing where it is as ever', (t) => {
  for (const fields of [{}, { datapath: 'bridge', encapsulation: 'vxlan' }]) {
    const keys = Object.keys(planSegment(confOf(fields), underlay4));
    t.same(keys, ['tenant', 'vni', 'vtepAddress', 'vtepPort', 'underlayMtu', 'overlayMtu', 'peers'], 'no key that an earlier version does not write');
  }
  const onlyOvs = planSegment(confOf({ ...ovs, encapsulation: 'vxlan' }), underlay4);
  t.match(onlyOvs, { datapath: 'ovs', vtepPort: 4789 });
  t.notOk('encapsulation' in onlyOvs);
  t.match(planSegment(confOf(geneve), underlay4), { datapath: 'ovs', encapsulation: 'geneve', vtepPort: 6081 });
  t.match(planSegment(confOf({ ...geneve, vtep: { port: 6082 } }), underlay4), { vtepPort: 6082 });
  t.end();
});

t.test('planSegment() has the order of the ledger: ADD compares the two as text', (t) => {
  for (const fields of [{}, ovs, geneve]) {
    const segment = planSegment(confOf({ ...fields, isGateway: true, ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24' }]] } }), underlay4);
    t.same(Object.keys(decodeSegment({ vni: segment.vni, segment: encodeSegment(segment) }).segment), Object.keys(segment), JSON.stringify(fields));
  }
  t.end();
});

t.test('planSegment() gives the bridge each gateway once', (t) => {
  const ranges = [
    [{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.19' }, { subnet: '10.1.1.0/24', rangeStart: '10.1.1.30', rangeEnd: '10.1.1.39' }, { subnet: '10.1.2.0/24', gateway: '10.1.2.254' }],
    [{ subnet: 'fd00:1::/64' }],
  ];
  const segment = planSegment(confOf({ isGateway: true, ipMasq: true, ipam: { type: 'weft', ranges } }), underlay4);
  t.same(segment.gateway?.addresses.map(formatInterfaceAddress), ['10.1.1.1/24', '10.1.2.254/24', 'fd00:1::1/64']);
  t.equal(segment.gateway?.masquerade, true);
  t.end();
});

t.test('requireRelay() finds the tenant whose VNI would be needed', (t) => {
  const planned = (tenant: string, vni: number): ReturnType<typeof planSegment> => planSegment(confOf({ name: tenant, vni }), underlay4);
  const blue = planned('blue', 1001);
  t.doesNotThrow(() => requireRelay(blue, [blue, planned('red', 1002)]));
  t.throws(() => requireRelay(blue, [blue, planned('red', 16_776_214)]), { code: 'invalidConfiguration', message: /frames are relayed with VNI 16776214, which is tenant red's/ });
  t.throws(() => requireRelay(planned('red', 16_777_215), []), { code: 'invalidConfiguration', message: /vni must not be 16777215/ });
  t.end();
});

t.test('requireFreePort() finds the tenant that hears what comes to the port', (t) => {
  const planned = (tenant: string, vni: number, keys: Parameters<typeof confOf>[0] = {}): ReturnType<typeof planSegment> => planSegment(confOf({ name: tenant, vni, ...keys }), underlay4);
  const blue = planned('blue', 1001);
  t.doesNotThrow(() => requireFreePort(planned('red', 1002), [blue]), 'tenants that are wired alike share it');
  t.doesNotThrow(() => requireFreePort(planned('blue', 1001, { datapath: 'ovs' }), [blue]), 'its own other wiring is another matter');
  t.doesNotThrow(() => requireFreePort(planned('red', 1002, { datapath: 'ovs', vtep: { port: 4790 } }), [blue]));
  t.throws(() => requireFreePort(planned('red', 1002, { datapath: 'ovs' }), [blue]), { code: 'invalidConfiguration', message: /^UDP port 4789 is taken on this node by tenant blue with datapath bridge and encapsulation vxlan: tenant red with datapath ovs/ });
  t.throws(() => requireFreePort(planned('red', 1002, { datapath: 'ovs', encapsulation: 'geneve', vtep: { port: 4789 } }), [planned('green', 1003, { datapath: 'ovs' })]), { code: 'invalidConfiguration', message: /tenant green/ });
  t.end();
});

t.test('describeGatewayConflict() finds the tenant that has the subnet', (t) => {
  const gateway = (name: string, vni: number, subnet: string): ReturnType<typeof planSegment> => planSegment(confOf({ name, vni, isGateway: true, ipam: { type: 'weft', ranges: [[{ subnet }]] } }), underlay4);
  const others = [gateway('red', 1002, '10.1.0.0/16'), planSegment(confOf({ name: 'green', vni: 1003, ipam: { type: 'weft', ranges: [[{ subnet: '10.2.0.0/16' }]] } }), underlay4)];
  t.match(describeGatewayConflict(gateway('blue', 1001, '10.1.1.0/24'), others), /10\.1\.1\.0\/24 of tenant blue .*tenant red has one/);
  t.equal(describeGatewayConflict(gateway('blue', 1001, '10.2.0.0/16'), others), undefined, 'a tenant without a gateway may have the same subnet');
  t.equal(describeGatewayConflict(gateway('red', 1002, '10.1.0.0/16'), others), undefined, 'its own is no conflict');
  t.equal(describeGatewayConflict(planSegment(confOf({}), underlay4), others), undefined, 'nor is having none');
  t.end();
});

t.test('describeConflict() tells a change from a contradiction', (t) => {
  const present = planSegment(confOf({ peers: ['192.0.2.2'] }), underlay4);
  t.equal(describeConflict(planSegment(confOf({ peers: ['192.0.2.3'], mtu: 1400 }), underlay4), present), undefined, 'peers and MTU may change');
  t.match(describeConflict(planSegment(confOf({ tenant: 'red' }), underlay4), present), /VNI 1001 belongs to tenant blue/);
  t.match(describeConflict(planSegment(confOf({ vni: 1002 }), underlay4), present), /tenant blue has VNI 1001 on this node, not 1002/);
  t.match(describeConflict(planSegment(confOf({}), { ...underlay4, vtepAddress: parseAddress('192.0.2.9') }), present), /uses the VTEP 192\.0\.2\.1/);
  t.match(describeConflict(planSegment(confOf({ vtep: { port: 8472 } }), underlay4), present), /uses UDP port 4789 on this node, not 8472/);
  t.end();
});

t.test('describeConflict() keeps a tenant to one datapath and one encapsulation', (t) => {
  const [onBridges, onOvs, inGeneve] = [{}, ovs, geneve].map((fields) => planSegment(confOf(fields), underlay4)) as [Segment, Segment, Segment];
  t.equal(describeConflict(onOvs, onBridges), 'tenant blue uses datapath bridge on this node, not ovs');
  t.equal(describeConflict(onBridges, onOvs), 'tenant blue uses datapath ovs on this node, not bridge');
  t.equal(describeConflict(inGeneve, onOvs), 'tenant blue uses encapsulation vxlan on this node, not geneve');
  t.equal(describeConflict(onOvs, inGeneve), 'tenant blue uses encapsulation geneve on this node, not vxlan');
  t.equal(describeConflict(inGeneve, planSegment(confOf({ ...geneve, peers: ['192.0.2.2'] }), underlay4)), undefined);
  t.equal(describeConflict(planSegment(confOf({ datapath: 'bridge' }), underlay4), onBridges), undefined, 'the default in words is no change');
  t.end();
});

t.test('with EVPN the peers are those that were found, and the rest is the configuration’s', (t) => {
  const node = parseNodeConf('controlPlane: {type: evpn, as: 65000, neighbors: [{address: 192.0.2.9}]}', 'weft.yaml');
  const plan = (fields: object = {}): Segment => planSegment(parseNetConf({ cniVersion: '1.1.0', name: 'blue', type: 'weft', vni: 1001, ...fields }, { node, args: noEndpointArgs }), underlay4);
  t.match(plan(), { controlPlane: 'evpn', peers: [] });
  t.same(decodeSegment({ vni: plan().vni, segment: encodeSegment(plan()) }).segment, plan(), 'the ledger keeps it');
  const present = { ...plan(), peers: [parseAddress('192.0.2.2')] };
  t.match(keepFoundPeers(plan({ mtu: 1400 }), present), { overlayMtu: 1400, peers: present.peers });
  const listed = planSegment(confOf({ peers: ['192.0.2.3'] }), underlay4);
  t.equal(keepFoundPeers(listed, listed), listed, 'a static list stays what the configuration says');
  t.equal(describeConflict(plan(), listed), 'tenant blue uses controlPlane static on this node, not evpn');
  t.throws(() => requireFreePort(plan(), [{ ...listed, tenant: 'red', vni: parseVni(16_776_214) }]), { code: 'invalidConfiguration', message: /add up to 16777215/ });
  t.end();
});
