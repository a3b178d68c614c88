import t from 'tap';
import { parseNodeConf } from '../config/node-conf.ts';
import type { DaemonStatus } from './daemon-status.ts';
import type { DaemonState, NodeState } from './node-state.ts';
import { reportStatus, type StatusReport } from './status.ts';
import { renderStatus } from './status-text.ts';
import { nodeWith, recordsMadeAt, segmentOf, testAllocation, testNode, testRecord } from './test-nodes.ts';

const hourMs = 3_600_000;
const daemonStatus: DaemonStatus = {
  version: '0.1.0', pid: 42, startedAt: recordsMadeAt, node: 'node-1', configPath: '/etc/weft/weft.yaml', callsInFlight: 1, memoryBytes: 70 * 1024 * 1024,
  calls: { ADD: { ok: 12, failed: 1 }, DEL: { ok: 3, failed: 0 } },
  reconciler: { passes: 12, lastPassAt: recordsMadeAt + hourMs - 3000, lastPassMs: 4.4, repairs: [{ at: recordsMadeAt, what: 'the bridge weft-br1001 was gone: made anew' }], openFaults: [] },
};
const running: DaemonState = { kind: 'running', status: daemonStatus };

function statusOf(node: NodeState, daemon: DaemonState = running): StatusReport {
  return reportStatus({ node, daemon, socket: '/run/weft/weft.sock', version: '0.1.0' });
}

t.test('a node that is well', async (t) => {
  const conf = JSON.stringify({ name: 'blue', ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.19' }], [{ subnet: 'fd00::/64' }]] } });
  const node = nodeWith({ segments: [segmentOf('blue', 1001)], attachments: [testRecord(1, { conf })], allocations: [testAllocation(1, '10.1.1.10')] });
  const status = statusOf(node);
  t.match(status, { isWell: true, attention: [], remarks: [], counts: { tenants: 1, endpoints: 1, interrupted: 0, pendingDels: 0 } });
  t.strictSame(status.daemon, { state: 'running', socket: '/run/weft/weft.sock', status: daemonStatus, problem: null });
  t.equal(renderStatus(status, node.now), `weft is well

version        0.1.0
daemon         process 42, version 0.1.0, since 2026-01-01T00:00:00Z (60m)
               node node-1, configuration /etc/weft/weft.yaml, 70 MiB of memory
calls          ADD 12 and 1 failed, DEL 3, 1 in flight
reconciler     compared 12 times, the last 3s ago in 4 ms; the latest of 1 repair:
               2026-01-01T00:00:00Z the bridge weft-br1001 was gone: made anew
configuration  none: /etc/weft/weft.yaml is not there, and need not be
ledger         /var/lib/weft/ledger.db, readable
this node      1 tenant, 1 endpoint, 0 interrupted, 0 DELs written down for later

TENANT  VNI   ENDPOINTS  FREE ADDRESSES
blue    1001  1/1022     9 of 10 in 10.1.1.10-10.1.1.19
                         1.8e19 of 1.8e19 in fd00::1-fd00::ffff:ffff:ffff:ffff
`);
});

t.test('no daemon, no ledger: nothing is wrong', async (t) => {
  const node = testNode({ ledger: { kind: 'absent' } });
  const status = statusOf(node, { kind: 'absent' });
  t.match(status, { isWell: true, daemon: { state: 'absent', status: null, problem: null }, ledger: { state: 'absent' } });
  t.match(renderStatus(status, node.now), /^weft is well\nno daemon is listening on \/run\/weft\/weft\.sock: every call runs alone\nthere is no ledger at \/var\/lib\/weft\/ledger\.db/);
});

interface AttentionRow {
  readonly name: string;
  readonly node?: NodeState;
  readonly daemon?: DaemonState;
  readonly words: RegExp;
}

const fullConf = JSON.stringify({ name: 'blue', ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.10' }]] } });
const late = { path: '/var/lib/weft/pending-dels/1.json', del: { containerId: 'c', ifName: 'eth0', requestedAt: recordsMadeAt } };

const attentionRows: readonly AttentionRow[] = [
  { name: 'a damaged ledger', node: testNode({ ledger: { kind: 'unreadable', problem: 'the ledger is damaged. Drain the node' } }), words: /the ledger: the ledger is damaged\. Drain/ },
  { name: 'a wrong configuration', node: testNode({ configuration: { kind: 'invalid', problem: 'line 3: vni' } }), words: /the node configuration: line 3: vni/ },
  { name: 'no daemon where one is needed', node: testNode({ configuration: { kind: 'valid', conf: parseNodeConf('controlPlane: {type: evpn, as: 65000, neighbors: [{address: 192.0.2.2}]}', 'weft.yaml') } }), daemon: { kind: 'absent' }, words: /the daemon does not run, and controlPlane\.type "evpn" needs it/ },
  { name: 'no daemon where metrics are wanted', node: testNode({ configuration: { kind: 'valid', conf: parseNodeConf('metrics: { listen: "127.0.0.1:9469" }', 'weft.yaml') } }), daemon: { kind: 'absent' }, words: /the daemon does not run, and metrics needs it: nobody tells them/ },
  { name: 'metrics that cannot be fetched', daemon: { kind: 'running', status: { ...daemonStatus, metricsFaults: ['metrics cannot be fetched: the port is taken'] } }, words: /^metrics cannot be fetched: the port is taken$/ },
  { name: 'a daemon that hangs', daemon: { kind: 'faulty', problem: 'did not answer' }, words: /the daemon: did not answer/ },
  { name: 'a refused reload', daemon: { kind: 'running', status: { ...daemonStatus, configError: 'line 3: vni' } }, words: /refused the node configuration and keeps the one before: line 3: vni/ },
  { name: 'a control plane that hears nobody', daemon: { kind: 'running', status: { ...daemonStatus, controlPlaneFaults: ['zebra of FRR does not run'] } }, words: /^zebra of FRR does not run$/ },
  { name: 'what could not be repaired', daemon: { kind: 'running', status: { ...daemonStatus, reconciler: { ...daemonStatus.reconciler, openFaults: ['bridge gone'] } } }, words: /could not repair: bridge gone/ },
  { name: 'a full bridge', node: nodeWith({ segments: [segmentOf('blue', 1001)], attachments: [testRecord(1)] }, { endpointsMaxOf: () => 1 }), words: /tenant blue \(VNI 1001\) has 1 endpoint, and no more fit/ },
  { name: 'an exhausted range', node: nodeWith({ segments: [segmentOf('blue', 1001)], attachments: [testRecord(1, { conf: fullConf })], allocations: [testAllocation(1, '10.1.1.10')] }), words: /no free address in 10\.1\.1\.10: enlarge/ },
  { name: 'an interrupted ADD', node: nodeWith({ attachments: [testRecord(1, { state: 'adding' })] }, { interrupted: new Set([1]) }), words: /container container-1 eth0 of tenant blue was interrupted/ },
  { name: 'a DEL that waits for long', node: testNode({ pendingDels: { entries: [late], unreadable: [] } }), words: /DEL of container c eth0, written down in \S+1\.json, still waits/ },
  { name: 'a DEL that cannot be read', node: testNode({ pendingDels: { entries: [], unreadable: [{ path: '/x/1.json', reason: 'no JSON' }] } }), words: /\/x\/1\.json cannot be read \(no JSON\)/ },
];

for (const { name, node = testNode(), daemon = running, words } of attentionRows) {
  const status = statusOf(node, daemon);
  t.match(status.attention, [words], name);
  t.equal(status.attention.length, 1, `${name}: nothing else`);
  t.equal(status.isWell, false);
  t.match(renderStatus(status, node.now), /^weft needs attention:\n {2}- /, 'in the first lines');
}

t.test('remarks need no attention', async (t) => {
  const fresh = { path: '/x', del: { containerId: 'c', ifName: 'eth0', requestedAt: recordsMadeAt + hourMs - 1000 } };
  t.match(statusOf(testNode({ pendingDels: { entries: [fresh], unreadable: [] } })), { isWell: true, counts: { pendingDels: 1 } }, 'a DEL that was written down a moment ago');
  t.match(statusOf(testNode(), { kind: 'running', status: { ...daemonStatus, version: '0.0.9' } }), { isWell: true, remarks: [/daemon is version 0\.0\.9, this weft 0\.1\.0/] });
  const rebooted = testNode({ ledger: { kind: 'readable', leftByLastBoot: 3, content: { segments: [], attachments: [], allocations: [], identities: [] } } });
  t.match(statusOf(rebooted), { isWell: true, remarks: [/^3 endpoints of the last boot ended with it/] });
  t.match(statusOf(nodeWith({ attachments: [testRecord(1, { state: 'adding' })] })), { isWell: true, counts: { interrupted: 0 } }, 'an ADD that is being done');
});

t.test('text from outside does not write on the terminal', async (t) => {
  const node = testNode({ configuration: { kind: 'invalid', problem: '\u001b[2J' } });
  t.notMatch(renderStatus(statusOf(node, { kind: 'running', status: { ...daemonStatus, node: '\u001b[1m' } }), node.now), /\u001b/);
});

t.test('only the latest repairs are shown', async (t) => {
  const repairs = Array.from({ length: 50 }, (_, index) => ({ at: recordsMadeAt + index * 1000, what: `repair ${index}` }));
  const text = renderStatus(statusOf(testNode(), { kind: 'running', status: { ...daemonStatus, reconciler: { passes: 1, repairs, openFaults: [] } } }), recordsMadeAt);
  t.match(text, /compared 1 time; the latest of 50 repairs:/);
  t.match(text, /repair 45/);
  t.notMatch(text, /repair 44/);
});
