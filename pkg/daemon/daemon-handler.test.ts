import t from 'tap';
import { WeftError } from '../errors/weft-error.ts';
import { parseDaemonStatus, type DaemonStatus } from '../report/daemon-status.ts';
import { CallLog } from './call-log.ts';
import { Calls } from './calls.ts';
import { DaemonHandler } from './daemon-handler.ts';
import { recordingLog } from './test-daemon.ts';

const status: DaemonStatus = { version: '1.2.3', pid: 5, startedAt: 6, node: 'n', callsInFlight: 0, calls: {}, reconciler: { passes: 1, repairs: [], openFaults: [] }, memoryBytes: 7 };
const unused = (): never => {
  throw new Error('no verb is called');
};

function createHandler(): { readonly handler: DaemonHandler; readonly retired: () => number; readonly hastened: readonly unknown[] } {
  const { log } = recordingLog();
  const calls = new Calls({ plugin: { add: unused, del: unused, check: unused, gc: unused, status: unused }, callLog: new CallLog({ log, onQuiet: () => undefined }), log });
  let retired = 0;
  const hastened: unknown[] = [];
  return { handler: new DaemonHandler({ calls, status: () => status, command: carryOut, hasten: (body) => void hastened.push(body), retire: () => (retired += 1) }), retired: () => retired, hastened };
}

/** What a command does in these tests: it is taken back, or refused. */
async function carryOut(body: unknown): Promise<object> {
  if (body === null) throw new WeftError('invalidConfiguration', 'it must be something', { details: 'say something' });
  return { body };
}

const stays = (): boolean => true;

t.test('questions', async (t) => {
  const { handler, retired } = createHandler();
  const question = { kind: 'question', env: {} } as const;
  t.equal(handler.refuse({ ...question, stdin: 'status' }), undefined, 'from any namespace');
  const answer = await handler.answer({ ...question, stdin: 'status' }, stays);
  t.equal(answer.status, 0);
  t.same(parseDaemonStatus(answer.body), status);
  for (const stdin of ['', 'Status', 'status\n', 'x'.repeat(10_000)]) {
    t.same(await handler.answer({ ...question, stdin }, stays), { status: 2, body: '{"error":"the question must be \\"status\\""}' });
  }
  t.equal(retired(), 0);
});

t.test('commands', async (t) => {
  const { handler, hastened } = createHandler();
  const command = { kind: 'command', env: {} } as const;
  t.equal(handler.refuse({ ...command, stdin: '{}' }), undefined);
  t.same(await handler.answer({ ...command, stdin: '{"verb":"go"}' }, stays), { status: 0, body: '{"body":{"verb":"go"}}' });
  t.same(await handler.answer({ ...command, stdin: 'null' }, stays), { status: 1, body: '{"error":"it must be something: say something"}' });
  t.match(await handler.answer({ ...command, stdin: '{' }, stays), { status: 1, body: /error.*JSON/ });
  for (const stdin of ['{"verb":"go"}', '{']) handler.hasten({ ...command, stdin });
  handler.hasten({ kind: 'question', env: {}, stdin: '"status"' });
  t.same(hastened, [{ verb: 'go' }], 'of commands alone');
});

t.test('retire', async (t) => {
  const { handler, retired } = createHandler();
  const request = { kind: 'retire', env: {}, stdin: '' } as const;
  t.equal(handler.refuse(request), undefined);
  t.same(await handler.answer(request, stays), { status: 0, body: '' });
  t.equal(retired(), 1);
});

t.test('calls', async (t) => {
  const { handler } = createHandler();
  t.match(handler.refuse({ kind: 'call', env: {}, stdin: '' }), { reason: 'otherNamespace' }, 'of another namespace are refused');
  t.match(await handler.answer({ kind: 'call', env: { CNI_COMMAND: 'VERSION' }, stdin: '{"cniVersion":"1.0.0"}' }, stays), { status: 0, body: /supportedVersions/ });
});

t.test('a call that is not for this daemon is counted, a question is not', async (t) => {
  const { log } = recordingLog();
  const declined: string[] = [];
  const calls = new Calls({ plugin: { add: unused, del: unused, check: unused, gc: unused, status: unused }, callLog: new CallLog({ log, onQuiet: () => undefined }), log });
  const handler = new DaemonHandler({ calls, status: () => status, command: carryOut, hasten: () => undefined, retire: () => undefined, onDeclined: (reason) => void declined.push(reason) });
  t.match(handler.refuse({ kind: 'call', env: { CNI_COMMAND: 'ADD' }, stdin: '' }), { reason: 'otherNamespace' });
  t.equal(handler.refuse({ kind: 'question', env: {}, stdin: 'status' }), undefined);
  t.same(declined, ['otherNamespace']);
});
