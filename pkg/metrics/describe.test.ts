import t from 'tap';
import { metricNames } from './catalogue.ts';
import { describeNode, recordedNames, type DescribeOptions } from './describe.ts';
import type { EndpointSample, NodeSnapshot } from './snapshot.ts';
import { noTraffic, type Traffic } from './traffic.ts';

const traffic: Traffic = { receiveBytes: 1, receivePackets: 2, receiveDrops: 3, transmitBytes: 4, transmitPackets: 5, transmitDrops: 6 };
const endpoint: EndpointSample = { tenant: 'blue', network: 'pods', containerId: 'c1', interface: 'eth0', pod: 'shop/till-0', state: 'attached', createdAt: 1, linkName: 'weft-p1', linkIndex: 5, traffic };
const { pod: _pod, ...podless } = endpoint;
const { traffic: _traffic, ...linkless } = endpoint;
const paths = {
  isProbing: true, intervalMs: 2000, faults: ['a port is taken'],
  paths: [
    { vtep: '192.0.2.1', peer: '192.0.2.2', peerNode: 'node-2', state: 'whole', fullBytes: 1500, proof: { packetBytes: 1500, at: 1 } },
    { vtep: '192.0.2.1', peer: '192.0.2.3', state: 'narrow', fullBytes: 1500, narrow: { packetBytes: 1400, way: 'underlay', since: 1, isActedOn: true } },
    { vtep: '192.0.2.1', peer: '192.0.2.4', state: 'unanswered', fullBytes: 1500 },
    { vtep: '192.0.2.1', peer: '192.0.2.5', state: 'unknown', fullBytes: 0 },
  ],
} as const;
const full: NodeSnapshot = {
  status: {
    version: '1.2.3', pid: 1, startedAt: 1500, node: 'node-1', callsInFlight: 2, calls: {}, memoryBytes: 1e8, paths, configError: 'x', migrationFaults: ['m'],
    reconciler: { passes: 3, lastPassAt: 2500, lastPassMs: 20, repairs: [], openFaults: ['a', 'b'] },
  },
  cpuSeconds: 1.5, repairs: new Map([['guard', 2]]), ledgerFiles: new Map([['database', 4096]]), pendingDels: 1,
  sessions: [{ neighbor: '192.0.2.9', isUp: false, prefixesReceived: 7 }],
  measurements: [{ vtep: '192.0.2.1', peer: '192.0.2.2', way: 'underlay', totals: { sent: 10, lost: 2, roundTripMs: 4 }, recent: { sent: 1, lost: 0, roundTripMs: 1, roundTripMsMax: 2 } }],
  ledger: {
    endpoints: [endpoint, { ...podless, containerId: 'c2', tenant: 'red' }, { ...linkless, containerId: 'c3', state: 'adding' }],
    tenants: [{ tenant: 'blue', vni: 1001, datapath: 'ovs', encapsulation: 'geneve', controlPlane: 'evpn', overlayMtu: 1450, underlayMtu: 1500, endpointsMax: 1023, pools: [{ ranges: ['10.1.1.10-10.1.1.19', '10.1.2.0-10.1.2.9'], size: 20, free: -1 }] }],
    migrating: new Map([['waiting', 1]]),
  },
  tunnels: [{ device: 'weft-tabc', traffic }, { device: 'weft-vx1001', tenant: 'blue', traffic }],
  underlays: [{ device: 'eth0', traffic }],
};
const options: DescribeOptions = { endpointsMax: 10, tenantTraffic: new Map([['blue', noTraffic]]), lastScrapeSeconds: 0.004 };
const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

t.test('a node with everything: each metric that is looked at has a sample', async (t) => {
  const text = describeNode(full, options);
  const told = new Set(linesOf(text).map((line) => line.replace(/[ {].*$/, '').replace(/_(sum|count)$/, '')));
  t.same(metricNames.filter((name) => !told.has(name)), metricNames.filter((name) => recordedNames.has(name)));
  t.same([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name), metricNames.filter((name) => !recordedNames.has(name)), 'each once, in the order of the catalogue');
});

t.test('what they say', async (t) => {
  const lines = new Set(linesOf(describeNode(full, options)));
  for (const line of [
    'weft_configuration_valid 0', 'weft_faults{part="reconciler"} 2', 'weft_faults{part="control-plane"} 0', 'weft_faults{part="migration"} 1', 'weft_faults{part="path"} 2', 'process_start_time_seconds 1.5',
    'weft_endpoints{tenant="blue",state="attached"} 1', 'weft_endpoints{tenant="blue",state="adding"} 1', 'weft_endpoints{tenant="blue",state="deleting"} 0',
    'weft_addresses{tenant="blue",pool="10.1.1.10-10.1.1.19,10.1.2.0-10.1.2.9"} 20', 'weft_addresses_free{tenant="blue",pool="10.1.1.10-10.1.1.19,10.1.2.0-10.1.2.9"} 0',
    'weft_tenant_info{tenant="blue",vni="1001",datapath="ovs",encapsulation="geneve",control_plane="evpn"} 1',
    'weft_reconciler_last_pass_timestamp_seconds 2.5', 'weft_reconciler_last_pass_duration_seconds 0.02', 'weft_bgp_session_up{neighbor="192.0.2.9"} 0',
    'weft_path_info{vtep="192.0.2.1",peer="192.0.2.2",peer_node="node-2"} 1', 'weft_path_info{vtep="192.0.2.1",peer="192.0.2.3"} 1',
    'weft_path_answered{vtep="192.0.2.1",peer="192.0.2.3"} 1', 'weft_path_answered{vtep="192.0.2.1",peer="192.0.2.4"} 0',
    'weft_path_full_size{vtep="192.0.2.1",peer="192.0.2.2"} 1', 'weft_path_full_size{vtep="192.0.2.1",peer="192.0.2.3"} 0', 'weft_path_mtu_bytes{vtep="192.0.2.1",peer="192.0.2.3"} 1400',
    'weft_path_round_trip_seconds_sum{vtep="192.0.2.1",peer="192.0.2.2",way="underlay"} 0.004', 'weft_path_round_trip_seconds_count{vtep="192.0.2.1",peer="192.0.2.2",way="underlay"} 8',
    'weft_endpoint_receive_bytes_total{tenant="blue",network="pods",container_id="c1",interface="eth0",pod_namespace="shop",pod_name="till-0"} 1',
    'weft_endpoint_transmit_drops_total{tenant="red",network="pods",container_id="c2",interface="eth0"} 6', 'weft_endpoint_series_omitted 0',
    'weft_tunnel_receive_bytes_total{device="weft-tabc"} 1', 'weft_tunnel_transmit_packets_total{tenant="blue",device="weft-vx1001"} 5', 'weft_scrape_duration_seconds 0.004',
  ]) t.ok(lines.has(line), line);
  t.notOk([...lines].some((line) => line.startsWith('weft_path_full_size{vtep="192.0.2.1",peer="192.0.2.4"')), 'what is not known is not told');
});

t.test('endpoints have a limit', async (t) => {
  const lines = linesOf(describeNode(full, { ...options, endpointsMax: 1 }));
  t.equal(lines.filter((line) => line.startsWith('weft_endpoint_receive_bytes_total')).length, 1);
  t.ok(lines.includes('weft_endpoint_series_omitted 1'));
  t.ok(linesOf(describeNode(full, { ...options, endpointsMax: 0 })).includes('weft_endpoint_series_omitted 2'));
});

t.test('a ledger that cannot be read', async (t) => {
  const { ledger: _ledger, ...rest } = full;
  const lines = linesOf(describeNode(rest, options));
  t.ok(lines.includes('weft_ledger_readable 0'));
  t.notOk(lines.some((line) => /^weft_(endpoints|addresses|tenant_info|endpoint_receive)/.test(line)));
});
