import t from 'tap';
import { parseAddress, parseVni } from '../netaddr/netaddr.ts';
import type { DaemonStatus } from '../report/daemon-status.ts';
import { judgeAgreement } from './agreement.ts';
import { judgeConfiguration, type ConfigurationFacts } from './configuration.ts';
import { judgeConflicts, type VxlanDevice } from './conflicts.ts';
import { judgeDaemon, type DaemonFacts } from './daemon.ts';
import { quoted, type Finding } from './finding.ts';
import { judgeKernel, type KernelFacts } from './kernel.ts';
import { judgeOffloads } from './offloads.ts';
import type { PathsStatus, PathStatus } from '../report/paths.ts';
import { judgePeers } from './peers.ts';
import { judgeResources, type ResourceFacts } from './resources.ts';
import { judgeUnderlay, type UnderlayLink, type Vtep } from './underlay.ts';

const idsOf = (findings: readonly Finding[]): readonly string[] => findings.map(({ id }) => id);

const eth0: UnderlayLink = { index: 2, name: 'eth0', isUp: true, hasCarrier: true, mtu: 1500, reversePath: 0 };
const eth1: UnderlayLink = { ...eth0, index: 3, name: 'eth1' };
const peer = { address: parseAddress('192.0.2.2'), route: { link: eth0 } };
const vtep: Vtep = { address: parseAddress('192.0.2.1'), link: eth0, tenants: [{ tenant: 'blue', encapsulation: 'vxlan', overlayMtu: 1450 }], peers: [peer] };

void t.test('the underlay', (t) => {
  const of = (change: Partial<Vtep>): readonly string[] => idsOf(judgeUnderlay([{ ...vtep, ...change }]));
  t.same(of({}), []);
  t.same(of({ link: { ...eth0, isUp: false }, peers: [{ ...peer, route: undefined }] }), ['underlay-down'], 'of the routes that went with it nothing is said');
  t.same(of({ link: { ...eth0, hasCarrier: false } }), ['underlay-down']);
  t.same(judgeUnderlay([{ ...vtep, link: undefined }]).map(({ id, show }) => [id, show]), [['vtep-missing', 'ip address show to 192.0.2.1']]);
  t.same(of({ peers: [{ ...peer, route: undefined }] }), ['peer-unroutable']);
  t.same(of({ peers: [{ ...peer, route: { link: undefined } }] }), ['peer-unroutable'], 'a route without a link');
  t.same(of({ peers: [{ ...peer, route: { link: eth1 } }] }), ['peer-other-link']);
  t.same(of({ link: { ...eth0, reversePath: 1 }, peers: [{ ...peer, route: { link: eth1 } }] }), ['reverse-path']);
  t.same(of({ link: { ...eth0, reversePath: 2 }, peers: [{ ...peer, route: { link: eth1 } }] }), ['peer-other-link'], 'loose');
  t.same(of({ link: { ...eth0, reversePath: 1 } }), [], 'strict, and by the same link');
  t.same(of({ link: { ...eth0, mtu: 1499 }, peers: [{ ...peer, route: { link: { ...eth0, mtu: 1499 } } }] }), ['underlay-mtu'], 'one byte short, and said once');
  t.same(of({ peers: [{ ...peer, route: { link: eth0, mtu: 1499 } }] }), ['peer-mtu']);
  t.same(of({ peers: [{ ...peer, route: { link: eth0, mtu: 1500 } }] }), []);
  t.same(of({ peers: [{ ...peer, route: { link: { ...eth1, mtu: 1400 } } }] }), ['peer-other-link', 'peer-mtu']);
  const six: Vtep = { ...vtep, address: parseAddress('2001:db8::1'), link: { ...eth0, reversePath: 1 }, peers: [{ address: parseAddress('2001:db8::2'), route: { link: eth1 } }] };
  t.same(idsOf(judgeUnderlay([six])), ['underlay-mtu', 'peer-other-link'], 'IPv6 takes 70 bytes, and rp_filter is IPv4’s');
  t.end();
});

void t.test('the kernel', (t) => {
  const well: KernelFacts = {
    features: [{ name: 'vxlan', state: 'present', purpose: 'tunnels' }], missingFamilies: [], bridgeCalls: [], forwardDrops: ['ip filter FORWARD'], isIpv6Disabled: true, ipv6Users: [],
    state: { path: '/var/lib/weft', obstacle: undefined }, ledgerProblem: undefined, ledgerPath: '/var/lib/weft/ledger.db',
  };
  const of = (change: Partial<KernelFacts>): readonly string[] => idsOf(judgeKernel({ ...well, ...change }));
  t.same(of({}), [], 'a chain that drops is nothing to bridges without br_netfilter, nor IPv6 to who has none');
  t.same((['present', 'loadable', 'absent', 'unknown'] as const).map((state) => of({ features: [{ name: 'vxlan', state, purpose: 'tunnels' }] })), [[], ['kernel-module'], ['kernel-feature'], []]);
  t.same(of({ missingFamilies: undefined }), [], 'what could not be asked is not missing');
  t.same(of({ missingFamilies: ['bridge', 'netdev'] }), ['kernel-feature', 'kernel-feature']);
  t.same(of({ bridgeCalls: ['bridge-nf-call-iptables'] }), ['bridge-netfilter', 'forward-drop']);
  t.same(of({ ipv6Users: ['tenant blue'] }), ['ipv6-disabled']);
  t.same(of({ ledgerProblem: 'it is no database' }), ['ledger-unreadable']);
  t.same(of({ ledgerProblem: 'it is no database', state: { path: '/var/lib/weft', obstacle: 'EROFS' } }), ['state-unwritable'], 'of which the ledger’s is a part');
  t.end();
});

void t.test('the configuration', (t) => {
  const read = (path: string, ...types: readonly string[]): ConfigurationFacts['networks']['files'][number] => ({ path, content: { kind: 'read', types, refusals: [] } });
  const well: ConfigurationFacts = {
    nodeConfiguration: { path: '/etc/weft/weft.yaml', problem: undefined }, planProblems: [], networks: { directory: '/etc/cni/net.d', files: [read('/etc/cni/net.d/10-weft.conflist', 'weft', 'portmap')] },
    launcher: { path: '/opt/cni/bin/weft', obstacle: undefined }, executable: { path: '/usr/local/bin/weft', obstacle: undefined, version: '1.0.0' }, version: '1.0.0',
  };
  const of = (change: Partial<ConfigurationFacts>): readonly string[] => idsOf(judgeConfiguration({ ...well, ...change }));
  const files = (...list: ConfigurationFacts['networks']['files']): Pick<ConfigurationFacts, 'networks'> => ({ networks: { directory: '/etc/cni/net.d', files: list } });
  t.same(of({}), []);
  t.same(of(files()), ['conflist-none']);
  t.same(of(files(read('a', 'bridge'), read('b', 'weft'))), ['conflist-order']);
  t.same(of(files(read('a', 'weft'), read('b', 'bridge'))), []);
  const broken = (isOfWeft: boolean): ConfigurationFacts['networks']['files'][number] => ({ path: 'c', content: { kind: 'unreadable', problem: 'no JSON', isOfWeft } });
  t.same(judgeConfiguration({ ...well, ...files(read('a', 'weft'), broken(false), broken(true)) }).map(({ id, severity }) => `${id} ${severity}`), ['conflist-unreadable warning', 'conflist-unreadable error']);
  t.same(of({ launcher: { path: 'x', obstacle: 'is not there' }, executable: { path: 'y', obstacle: 'is not there' } }), ['plugin-missing', 'executable-missing']);
  t.same(of({ ...files(read('a', 'bridge')), launcher: { path: 'x', obstacle: 'is not there' } }), ['conflist-none'], 'nobody needs the plugin');
  t.same(of({ executable: { path: 'y', obstacle: undefined, version: '0.9.0' } }), ['executable-version']);
  t.same(of({ planProblems: [{ network: 'a', problem: 'no', isVtepUnknown: true }, { network: 'b', problem: 'no', isVtepUnknown: false }] }), ['vtep-unknown', 'conflist-refused']);
  t.end();
});

void t.test('the daemon', (t) => {
  const now = 10_000_000;
  const status: DaemonStatus = { version: '1.0.0', pid: 7, startedAt: now - 5_000_000, node: 'n', callsInFlight: 0, calls: {}, reconciler: { passes: 9, lastPassAt: now - 60_000, repairs: [], openFaults: [] }, memoryBytes: 1 };
  const of = (state: DaemonFacts['state'], needs: readonly string[] = []): readonly string[] => idsOf(judgeDaemon({ state, socket: '/run/weft/weft.sock', needs, version: '1.0.0', now }));
  const running = (change: Partial<DaemonStatus>): readonly string[] => of({ kind: 'running', status: { ...status, ...change } });
  t.same(of({ kind: 'absent' }), ['daemon-absent']);
  t.same(of({ kind: 'absent' }, ['migration']), ['daemon-needed']);
  t.same(of({ kind: 'faulty', problem: 'silence' }), ['daemon-silent']);
  t.same(running({}), []);
  t.same(running({ version: '0.9.0' }), ['daemon-version']);
  t.same(running({ configError: 'line 1' }), ['daemon-configuration']);
  t.same(running({ reconciler: { ...status.reconciler, lastPassAt: now - 16 * 60_000 } }), ['daemon-pass-late']);
  t.same(running({ startedAt: now - 1000, reconciler: { passes: 0, repairs: [], openFaults: [] } }), [], 'one that has just started');
  t.same(running({ reconciler: { ...status.reconciler, openFaults: ['a', 'b'] }, migrationFaults: ['c'], metricsFaults: ['d'] }), ['daemon-fault', 'daemon-fault', 'daemon-fault', 'daemon-fault']);
  t.same(running({ offloadFaults: ['d'] }), ['offload-found']);
  t.end();
});

void t.test('the paths to the peers', (t) => {
  const of = (report: PathsStatus | undefined): readonly string[] => idsOf(judgePeers({ peers: ['192.0.2.2'], report }));
  const probing: PathsStatus = { isProbing: true, intervalMs: 2000, faults: [], paths: [] };
  const whole: PathStatus = { vtep: '192.0.2.1', peer: '192.0.2.2', state: 'whole', fullBytes: 1500, proof: { packetBytes: 1500, at: 1 } };
  t.same(of(undefined), ['path-not-probed'], 'a daemon that does not know of paths, or none');
  t.same(of({ ...probing, isProbing: false }), ['path-not-probed']);
  t.same(of({ ...probing, paths: [whole] }), []);
  t.same(of({ ...probing, paths: [{ ...whole, state: 'unknown' }] }), [], 'not looked at yet');
  t.same(of({ ...probing, paths: [{ ...whole, state: 'unanswered' }] }), ['path-silent']);
  t.same(of({ ...probing, faults: ['a'] }), ['path-finding']);
  const report: PathsStatus = { ...probing, paths: [{ ...whole, state: 'narrow', narrow: { packetBytes: 1400, way: 'underlay', since: 1, isActedOn: true } }] };
  t.match(judgePeers({ peers: ['192.0.2.2'], report }), [{ id: 'path-narrow', show: /-M do -s 1472 192\.0\.2\.2$/ }]);
  t.same(judgePeers({ peers: [], report: undefined }), [], 'nobody to ask');
  t.end();
});

void t.test('agreement', (t) => {
  const [a, b] = [{ tenant: 'blue', vni: 1001, source: 'the ledger' }, { tenant: 'red', vni: 1002, source: 'weft.yaml' }];
  t.same(judgeAgreement({ claims: [a, b, { ...a, source: 'net.d' }], plans: [{ tenant: 'blue', changes: [] }] }), []);
  t.match(judgeAgreement({ claims: [a, { ...b, vni: 1001 }], plans: [] }), [{ id: 'vni-shared', what: "VNI 1001 is tenant blue's in the ledger and tenant red's in weft.yaml" }]);
  t.match(judgeAgreement({ claims: [a, { ...a, vni: 7, source: 'net.d' }], plans: [] }), [{ id: 'vni-differs', what: 'tenant blue has VNI 1001 in the ledger and VNI 7 in net.d' }]);
  t.same(idsOf(judgeAgreement({ claims: [], plans: [{ tenant: 'blue', refusal: 'no', changes: [] }, { tenant: 'red', changes: ['x', 'y'] }] })), ['plan-refused', 'plan-behind', 'plan-behind']);
  t.end();
});

void t.test('conflicts', (t) => {
  const segments = [{ tenant: 'blue', vni: parseVni(1001), vtepPort: 4789 }];
  const own: VxlanDevice = { name: 'weft-vx1001', vni: 1001, port: 4789, isUp: true };
  const of = (devices: readonly VxlanDevice[], ports: readonly number[] = [], datapath: { datapath?: 'ovs' } = {}): readonly string[] =>
    idsOf(judgeConflicts({ segments: segments.map((segment) => ({ ...segment, ...datapath })), devices, sockets: ports.map((port) => ({ port })) }));
  t.same(of([own], [4789, 53]), [], 'the socket is the kernel’s own');
  t.same(of([own, { name: 'flannel.1', vni: 1, port: 8472, isUp: true }, { name: 'vxlan.calico', vni: 4096, port: 4789, isUp: true }]), [], 'others beside it');
  t.same(of([{ ...own, name: 'weft-vxmine' }]), ['vxlan-foreign'], 'a name that only looks like weft’s');
  t.same(of([{ ...own, name: 'vx0', port: 4790 }, own]), [], 'the same VNI on another port');
  t.same(of([{ ...own, name: 'vxlan_sys_4789', vni: 0 }]), ['port-taken']);
  t.same(of([{ ...own, isUp: false }], [4789]), ['port-taken'], 'nobody but a process can have it');
  t.same(of([{ ...own, name: 'vxlan_sys_4789', vni: 0 }], [4789], { datapath: 'ovs' }), [], 'of a switch that is its own business');
  t.end();
});

void t.test('what runs out', (t) => {
  const mebibyte = 1024 * 1024;
  const well: ResourceFacts = { stateDirectory: '/var/lib/weft', freeBytes: 129 * mebibyte, freeInodes: 1000, walBytes: 64 * mebibyte, conntrack: { count: 89, max: 100 }, neighbours: [{ family: 4, count: 921, max: 1024 }] };
  const of = (change: Partial<ResourceFacts>): readonly string[] => idsOf(judgeResources({ ...well, ...change }));
  t.same(of({}), []);
  t.same(of({ freeBytes: undefined, freeInodes: undefined, conntrack: undefined, neighbours: [] }), [], 'what cannot be told');
  t.same([127, 3, 0].map((free) => of({ freeBytes: free * mebibyte })), [['disk-low'], ['disk-full'], ['disk-full']]);
  t.same([999, 0].map((freeInodes) => of({ freeInodes })), [['disk-low'], ['disk-full']]);
  t.same(of({ walBytes: 65 * mebibyte }), ['ledger-large']);
  t.same(of({ conntrack: { count: 90, max: 100 } }), ['conntrack-full']);
  t.same(of({ neighbours: [{ family: 6, count: 922, max: 1024 }] }), ['neighbours-full']);
  t.end();
});

void t.test('offloads', (t) => {
  const on = new Set(['tx-udp_tnl-segmentation', 'tx-checksum-ip-generic']);
  t.same(judgeOffloads({ link: 'ens192', driver: 'virtio_net', featuresOn: on }), []);
  t.match(judgeOffloads({ link: 'ens192', driver: 'vmxnet3', featuresOn: on }), [{ id: 'offload-trouble', fix: /ethtool -K ens192 tx-udp_tnl-segmentation off$/ }]);
  t.same(judgeOffloads({ link: 'ens192', driver: 'vmxnet3', featuresOn: new Set() }), []);
  t.end();
});

void t.test('words for the shell', (t) => {
  t.same(['/run/netns/a-b.c', 'eth0', 'a b', "it's", '$(x)'].map(quoted), ['/run/netns/a-b.c', 'eth0', "'a b'", "'it'\\''s'", "'$(x)'"]);
  t.end();
});
