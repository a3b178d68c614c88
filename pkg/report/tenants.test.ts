import t from 'tap';
import { testIdentity } from '../ledger/test-records.ts';
import { parseAddress, parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { renderTenants, reportTenants } from './tenants.ts';
import { nodeConf, nodeWith, segmentOf, testAllocation, testNode, testRecord } from './test-nodes.ts';

const plugin = (ipam: unknown): string => JSON.stringify({ cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001, ipam });
const tenAddresses = { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.19' }]] };

t.test('a tenant with endpoints', async (t) => {
  const node = nodeWith({
    segments: [segmentOf('blue', 1001)],
    attachments: [testRecord(1, { conf: plugin(tenAddresses) }), testRecord(2, { conf: plugin(tenAddresses) })],
    allocations: [testAllocation(1, '10.1.1.10'), testAllocation(2, '10.1.1.11'), testAllocation(2, '10.1.1.200')],
    identities: [testIdentity('held', { addresses: [parseInterfaceAddress('10.1.1.10/24')] }), testIdentity('kept', { addresses: [parseInterfaceAddress('10.1.1.19/24')] })],
  });
  t.strictSame(reportTenants(node), [{
    tenant: 'blue', vni: 1001, isConfigured: false, endpoints: 2, endpointsMax: 1022,
    pools: [{ ranges: ['10.1.1.10-10.1.1.19'], size: 10, free: 7 }],
    isPresent: true, vtepAddress: '192.0.2.1', vtepPort: 4789, mtu: 1450, underlayMtu: 1500, peers: ['192.0.2.2', '192.0.2.3'],
    gateway: ['10.1.1.1/24'], isMasqueraded: true, datapath: 'bridge', encapsulation: 'vxlan', bridge: 'weft-br1001', vxlan: 'weft-vx1001',
  }], 'an address that is held and kept counts once, one outside of the ranges not at all');
  t.equal(renderTenants(reportTenants(node)), [
    'TENANT  VNI   DATAPATH  ENDPOINTS  VTEP       PORT  MTU   GATEWAY      PEERS',
    'blue    1001  bridge    2/1022     192.0.2.1  4789  1450  10.1.1.1/24  192.0.2.2, 192.0.2.3',
    '                                                          masqueraded',
    '',
  ].join('\n'));
});

t.test('tenants of the node configuration', async (t) => {
  const conf = nodeConf('tenants: [{name: green, vni: 7, ipam: {type: weft, ranges: [[{subnet: 10.0.0.0/29}], [{subnet: "fd00::/64"}]]}}, {name: blue, vni: 1001}, {name: open}]');
  const node = nodeWith({ segments: [segmentOf('red', 1002), segmentOf('blue', 1001)] }, { configuration: { kind: 'valid', conf } });
  const reports = reportTenants(node);
  t.same(reports.map(({ tenant, vni, isPresent, isConfigured }) => [tenant, vni, isPresent, isConfigured]), [
    ['blue', 1001, true, true], ['green', 7, false, true], ['open', null, false, true], ['red', 1002, true, false],
  ]);
  t.match(reports[1], { vtepAddress: null, vtepPort: null, mtu: null, peers: [], gateway: [], bridge: null, endpoints: 0 });
  t.same(reports[1]?.pools, [
    { ranges: ['10.0.0.1-10.0.0.6'], size: 5, free: 5 },
    { ranges: ['fd00::1-fd00::ffff:ffff:ffff:ffff'], size: 2 ** 64, free: 2 ** 64 },
  ], 'the gateway is in the range, and is not free');
  t.match(renderTenants(reports), /^open +- +- +0\/1022 +- +- +- +- +-$/m);
  t.same(reportTenants({ ...node, configuration: { kind: 'invalid', problem: 'x' } }).map(({ tenant }) => tenant), ['blue', 'red'], 'one that cannot be read has none');
});

t.test('a tenant on Open vSwitch has no links of its own', async (t) => {
  const { vni, segment } = segmentOf('blue', 1001);
  const [report] = reportTenants(nodeWith({ segments: [{ vni, segment: { ...segment, datapath: 'ovs', encapsulation: 'geneve' } }] }));
  t.match(report, { datapath: 'ovs', encapsulation: 'geneve', bridge: null, vxlan: null });
  t.match(renderTenants([report as NonNullable<typeof report>]), /^blue +1001 +ovs /m);
});

t.test('where the addresses come from', async (t) => {
  const conf = nodeConf('tenants: [{name: blue, vni: 1001, ipam: {type: weft, ranges: [[{subnet: 10.9.0.0/24, rangeStart: 10.9.0.10, rangeEnd: 10.9.0.12}]]}}]');
  const ofConf = [{ ranges: ['10.9.0.10-10.9.0.12'], size: 3, free: 3 }];
  const rows: readonly (readonly [name: string, plugin: string, pools: readonly unknown[]])[] = [
    ["the plugin's configuration", plugin(tenAddresses), [{ ranges: ['10.1.1.10-10.1.1.19'], size: 10, free: 10 }]],
    ["the node's, where the plugin's says nothing", plugin(undefined), ofConf],
    ['another IPAM plugin', plugin({ type: 'host-local', ranges: [] }), []],
    ['nowhere', plugin({}), []],
    ['a configuration that this weft refuses', plugin({ type: 'weft', ranges: 'x' }), ofConf],
    ['something else', '[]', ofConf],
    ['no JSON', '{', ofConf],
  ];
  for (const [name, text, pools] of rows) {
    const node = nodeWith({ segments: [segmentOf('blue', 1001)], attachments: [testRecord(1, { conf: text })] }, { configuration: { kind: 'valid', conf } });
    t.strictSame(reportTenants(node)[0]?.pools, pools, name);
  }
});

t.test('the latest configuration of each network counts', async (t) => {
  const of = (network: string, n: number, last: number): ReturnType<typeof testRecord> => testRecord(n, {
    key: { network, containerId: `c${n}`, ifName: 'eth0' }, conf: plugin({ type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: `10.1.1.${last}` }]] }),
  });
  const node = nodeWith({ segments: [segmentOf('blue', 1001)], attachments: [of('a', 1, 11), of('a', 2, 12), of('b', 3, 12), of('c', 4, 13)] });
  t.same(reportTenants(node)[0]?.pools.map(({ ranges }) => ranges), [['10.1.1.10-10.1.1.12'], ['10.1.1.10-10.1.1.13']], 'and equal ones are one');
});

t.test('many peers, long names', async (t) => {
  const peers = Array.from({ length: 100 }, (_, index) => parseAddress(`192.0.2.${index + 2}`));
  const node = nodeWith({ segments: [segmentOf('t'.repeat(200), 16_777_215, { peers })] });
  const lines = renderTenants(reportTenants(node)).trimEnd().split('\n');
  t.ok(lines.length > 10 && lines.every((line) => line.length < 160), `${lines.length} lines, the longest of ${Math.max(...lines.map(({ length }) => length))}`);
  t.equal(reportTenants(node)[0]?.peers.length, 100);
});

t.equal(renderTenants(reportTenants(testNode())), 'no tenants\n');
