import t from 'tap';
import { parseDaemonStatus, type DaemonStatus } from './daemon-status.ts';

const least: DaemonStatus = {
  version: '1.2.3', pid: 1, startedAt: 1, node: 'n', callsInFlight: 0, calls: {}, memoryBytes: 1, reconciler: { passes: 0, repairs: [], openFaults: [] },
};
const most: DaemonStatus = {
  ...least, configPath: '/etc/weft/weft.yaml', configError: 'line 1', calls: { ADD: { ok: 1, failed: 2 } },
  reconciler: { passes: 3, lastPassAt: 4, lastPassMs: 0.5, repairs: [{ at: 5, what: 'bridge' }], openFaults: ['fault'] },
  controlPlaneFaults: ['bgpd of FRR does not run'], metricsFaults: ['the port is taken'],
};
for (const status of [least, most]) t.strictSame(parseDaemonStatus(JSON.stringify(status)), status);
t.strictSame(parseDaemonStatus(JSON.stringify({ ...most, later: 1, reconciler: { ...most.reconciler, later: [] } })), most, 'a newer daemon may say more');
t.strictSame(parseDaemonStatus(JSON.stringify({ ...least, configPath: null })), least, 'null is absent');

const rows: readonly (readonly [json: string, words: RegExp])[] = [
  ['', /JSON/], ['[]', /the status must be an object: current value is an array/], ['null', /the status must be an object/],
  [JSON.stringify({ ...least, pid: '1' }), /pid must be a number: current value is "1"/],
  [JSON.stringify({ ...least, version: undefined }), /version must be text: current value is missing/],
  [JSON.stringify({ ...least, calls: [] }), /calls must be an object/],
  [JSON.stringify({ ...least, calls: { ADD: 1 } }), /calls\.ADD must be an object/],
  [JSON.stringify({ ...least, calls: { ADD: { ok: 1 } } }), /failed must be a number/],
  [JSON.stringify({ ...least, configError: 1 }), /configError must be text/],
  [JSON.stringify({ ...least, reconciler: undefined }), /reconciler must be an object/],
  [JSON.stringify({ ...least, reconciler: { ...least.reconciler, repairs: {} } }), /repairs must be a list/],
  [JSON.stringify({ ...least, reconciler: { ...least.reconciler, repairs: [{ at: 1 }] } }), /what must be text/],
  [JSON.stringify({ ...least, reconciler: { ...least.reconciler, openFaults: [1] } }), /openFaults must be a list of texts/],
];
for (const [json, words] of rows) t.throws(() => parseDaemonStatus(json), { name: 'SyntaxError', message: words }, json);
