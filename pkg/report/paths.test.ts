import t from 'tap';
import { parseDaemonStatus, type DaemonStatus } from './daemon-status.ts';
import { comparePaths, findPathFaults, renderPaths, summarizePaths, type PathsStatus, type PathStatus } from './paths.ts';
import { reportStatus } from './status.ts';
import { renderStatus } from './status-text.ts';
import { testNode } from './test-nodes.ts';

const now = 1_000_000;
const whole: PathStatus = { vtep: '192.0.2.1', peer: '192.0.2.2', peerNode: 'node-2', state: 'whole', fullBytes: 1500, recent: { sent: 30, lost: 0, roundTripMs: 0.4217, roundTripMsMax: 1 }, proof: { packetBytes: 1500, at: now - 1000 } };
const narrow: PathStatus = { ...whole, peer: '192.0.2.3', peerNode: 'node-3', state: 'narrow', narrow: { packetBytes: 1400, way: 'underlay', since: now - 5000, isActedOn: true }, recent: { sent: 300, lost: 1, roundTripMs: 12.6, roundTripMsMax: 40 }, proof: { packetBytes: 1400, at: now - 2000 } };
const { proof: _proof, peerNode: _name, recent: _recent, ...bare } = whole;
const unanswered: PathStatus = { ...bare, peer: '192.0.2.4', state: 'unanswered', recent: { sent: 9, lost: 9 } };
const unknown: PathStatus = { ...bare, peer: '192.0.2.5', state: 'unknown' };

function pathsOf(...paths: readonly PathStatus[]): PathsStatus {
  return { isProbing: true, intervalMs: 2000, faults: [], paths };
}

const daemon: DaemonStatus = { version: '1', pid: 1, startedAt: now, node: 'node-1', callsInFlight: 0, calls: {}, memoryBytes: 1, reconciler: { passes: 1, repairs: [], openFaults: [] } };

t.test('what a daemon says comes out as it went in', async (t) => {
  const paths = { ...pathsOf(narrow, unanswered, unknown, whole), faults: ['the port cannot be had'] };
  t.strictSame(parseDaemonStatus(JSON.stringify({ ...daemon, paths })), { ...daemon, paths });
  t.strictSame(parseDaemonStatus(JSON.stringify(daemon)), daemon, 'an earlier daemon says nothing of them');
  const rows: readonly (readonly [object, RegExp])[] = [
    [{ paths: [] }, /paths must be an object/], [{ paths: { ...paths, paths: {} } }, /paths must be a list/], [{ paths: { ...paths, intervalMs: '2' } }, /intervalMs must be a number/],
    [{ paths: { ...paths, paths: [{ ...whole, state: 'wide' }] } }, /state must be one of unknown, whole, narrow, unanswered: current value is "wide"/],
    [{ paths: { ...paths, paths: [{ ...narrow, narrow: { packetBytes: 1400 } }] } }, /way must be one of underlay, tunnel/],
    [{ paths: { ...paths, paths: [{ ...whole, proof: {} }] } }, /packetBytes must be a number/],
  ];
  for (const [fields, words] of rows) t.throws(() => parseDaemonStatus(JSON.stringify({ ...daemon, ...fields })), { name: 'SyntaxError', message: words });
});

t.test('in words', async (t) => {
  t.same([whole, unknown, unanswered, narrow].sort(comparePaths), [narrow, unanswered, unknown, whole]);
  t.equal(summarizePaths(pathsOf(narrow, unanswered, unknown, whole)), '4 peers, each probed every 2s, 1 at full size, 1 narrow, 1 without an answer, 1 not known yet');
  t.equal(summarizePaths(pathsOf(whole)), '1 peer, each probed every 2s, 1 at full size');
  t.equal(summarizePaths({ ...pathsOf(), isProbing: false }), 'not probed (path.probe)');
  t.equal(summarizePaths(pathsOf()), 'no peers');
  t.same(findPathFaults({ ...pathsOf(narrow, unanswered, whole), faults: ['x'] }, 'node-1'), [
    'x', 'the path from node-1 (192.0.2.1) to node-3 (192.0.2.3) carries packets of 1400 bytes at most, and the interfaces here say 1500: the MTU of tenants that use it follows',
  ]);
  const tunnel: PathStatus = { ...narrow, peerNode: 'node-3', narrow: { packetBytes: 1400, way: 'tunnel', since: now, isActedOn: false } };
  t.match(findPathFaults(pathsOf(tunnel), 'n'), [/^the tunnel from n .*: no MTU follows it \(path\.act, path\.mtuMin\)$/]);
});

t.test('as a table', async (t) => {
  t.equal(renderPaths(pathsOf(narrow, unanswered, unknown, whole), now), `PEER       NODE    FROM       PATH               BYTES         RTT     LOSS  PROVEN
192.0.2.3  node-3  192.0.2.1  narrow             1400 of 1500  13ms    1%    2s ago
192.0.2.4  -       192.0.2.1  without an answer  ? of 1500     -       100%  never
192.0.2.5  -       192.0.2.1  not known yet      ? of 1500     -       -     never
192.0.2.2  node-2  192.0.2.1  whole              1500 of 1500  0.42ms  0%    1s ago
`);
  const many = renderPaths(pathsOf(...Array.from({ length: 25 }, () => whole)), now).split('\n');
  t.same([many.length, many.at(-2)], [23, 'and 5 more, which -o json has']);
  t.notMatch(renderPaths(pathsOf({ ...whole, peerNode: '\u001b[1m' }), now), /\u001b/);
});

t.test('in the status', async (t) => {
  const statusOf = (paths: PathsStatus): ReturnType<typeof reportStatus> => reportStatus({ node: testNode(), daemon: { kind: 'running', status: { ...daemon, paths } }, socket: '/s', version: '1' });
  t.match(statusOf(pathsOf(unanswered, whole)), { isWell: true, attention: [] }, 'nobody needs a daemon');
  t.match(statusOf(pathsOf(narrow)), { isWell: false, attention: [/^the path from node-1 /] });
  const text = renderStatus(statusOf(pathsOf(narrow)), now);
  t.match(text, /^paths +1 peer, /m);
  t.match(text, /^PEER +NODE/m);
  t.notMatch(renderStatus(statusOf(pathsOf()), now), /^PEER/m);
});
