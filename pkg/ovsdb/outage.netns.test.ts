import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../testing/command.ts';
import { openVSwitchTools } from '../testing/openvswitch.ts';
import { skipUnless } from '../testing/requirements.ts';
import { commitDurably, insertRow, selectRows } from './operations.ts';
import { isOutcomeUnknown, isOvsdbError } from './ovsdb-error.ts';
import { rowsOf } from './results.ts';
import { openSession, type SessionState } from './session.ts';
import { collectStates, deadlineMs, openTestSession, startDatabase } from './test-session.ts';
import { mapOf } from './values.ts';

const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'ovsdb-client'] });
const schemaPath = '/usr/share/openvswitch/vswitch.ovsschema';
const queues = { Queue: { columns: { external_ids: 'string=>string' } } } as const;

t.test('a server killed amid 30 transactions: each is applied, not applied, or known to be unknown', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  const monitor = await session.monitor(queues, { deadlineMs });
  const states: SessionState[] = [];
  session.onStateChange((state) => states.push(state));
  const counts = { applied: 0, notApplied: 0, unknownApplied: 0, unknownNotApplied: 0, deceived: 0 };
  for (let round = 0; round < 10; round += 1) {
    const names = Array.from({ length: 30 }, (_, index) => `${round}-${index}`);
    const settled = Promise.allSettled(names.map(async (name, index) => {
      // One behind the other in five rows, so that they are at every stage when the server is killed.
      if (index >= 5) await monitor.waitFor(() => hasName(monitor.table('Queue').values(), `${round}-${index - 5}`), { what: 'the one before', deadlineMs: 100 }).catch(() => undefined);
      return session.transact([insertRow('Queue', { external_ids: mapOf({ name }) }), commitDurably()], { deadlineMs });
    }));
    await monitor.waitFor(() => hasName(monitor.table('Queue').values(), `${round}-${round * 2}`), { what: 'a row', deadlineMs });
    await openVSwitch.restart('ovsdb-server');
    const outcomes = await settled;
    const there = namesOf(await session.transact([selectRows('Queue', [], ['external_ids'])], { deadlineMs }));
    for (const [index, outcome] of outcomes.entries()) {
      const name = names[index] as string;
      const became = whatBecame(outcome, there.has(name));
      counts[became] += 1;
      t.not(became, 'deceived', `${name}: ${became}`);
    }
    t.equal(monitor.table('Queue').size, there.size, 'the copy is made anew');
  }
  t.comment(JSON.stringify(counts));
  t.ok(counts.unknownApplied + counts.unknownNotApplied > 0, 'some were under way');
  t.same(states.map((state) => state.isConnected), Array.from({ length: 20 }, (_, index) => index % 2 === 1), 'lost and regained, each time');
  t.match(states[0], { isConnected: false, reason: /ended the connection|failed/ });
});

t.test('while the connection is lost the tables are empty, and then they are told anew', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  await session.transact([insertRow('Queue', { external_ids: mapOf({ name: 'a' }) })], { deadlineMs });
  const monitor = await session.monitor(queues, { deadlineMs });
  const batches: (readonly [boolean, number])[] = [];
  monitor.onChange(({ isInitial, changes }) => batches.push([isInitial, changes.length]));
  const lost = collectStates(session, 1);
  await openVSwitch.kill('ovsdb-server');
  t.match(await lost, [{ isConnected: false }]);
  t.notOk(monitor.isCurrent);
  t.equal(monitor.table('Queue').size, 0);
  await t.rejects(session.transact([], { deadlineMs: 150 }), { name: 'WeftError', kind: 'unavailable', message: /ECONNREFUSED|ENOENT/ });
  await t.rejects(monitor.waitFor(() => true, { what: 'rows', deadlineMs: 50 }), { name: 'WeftError', kind: 'notRealised', message: /cannot be reached/ });
  const added = session.monitor({ Bridge: { columns: { name: 'string' } } }, { deadlineMs });
  await openVSwitch.start('ovsdb-server');
  await session.whenConnected({ deadlineMs });
  t.ok(monitor.isCurrent);
  t.equal((await added).table('Bridge').size, 0, 'one that was asked for meanwhile');
  t.same(batches, [[true, 1]]);
});

t.test('a stopped server: deadlines hold, and it is found out', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket, { probeMs: 250, connectDeadlineMs: 500 });
  openVSwitch.signal('ovsdb-server', 'SIGSTOP');
  const insert = insertRow('Queue', { external_ids: mapOf({ name: 'late' }) });
  await t.rejects(session.transact([insert], { deadlineMs: 50 }), { name: 'WeftError', kind: 'outcomeUnknown', message: /within 50 ms/ });
  await t.rejects(session.transact([insert], { deadlineMs }), { name: 'WeftError', kind: 'outcomeUnknown', cause: { message: /fallen silent/ } });
  t.match(session.state, { isConnected: false, reason: /fallen silent/ });
  await t.rejects(session.transact([insert], { deadlineMs: 700 }), { name: 'WeftError', kind: 'unavailable' });
  openVSwitch.signal('ovsdb-server', 'SIGCONT');
  await session.whenConnected({ deadlineMs });
  const rows = rowsOf((await session.transact([selectRows('Queue', [], ['external_ids'])], { deadlineMs }))[0], queues.Queue.columns);
  t.ok(rows.length <= 2, 'those whose outcome is unknown, at most');
});

t.test('a session waits for a server that comes, and ends when it is closed', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  await openVSwitch.kill('ovsdb-server');
  const session = openSession({ path: openVSwitch.databaseSocket, database: 'Open_vSwitch' });
  t.teardown(() => session.close());
  await t.rejects(session.whenConnected({ deadlineMs: 100 }), { name: 'WeftError', kind: 'unavailable', message: /ECONNREFUSED|ENOENT/ });
  const connected = session.whenConnected({ deadlineMs });
  await openVSwitch.start('ovsdb-server');
  await connected;
  t.ok(session.state.isConnected);
  const monitor = await session.monitor(queues, { deadlineMs });
  const waiting = t.rejects(monitor.waitFor(() => undefined, { what: 'the impossible', deadlineMs }), { name: 'WeftError', kind: 'unavailable', message: /was closed/ });
  const asked = t.rejects(session.transact([], { deadlineMs }), { name: 'WeftError', kind: 'outcomeUnknown' });
  await session.close();
  await Promise.all([waiting, asked]);
  await t.rejects(session.whenConnected({ deadlineMs }), { name: 'WeftError', kind: 'unavailable', message: /was closed/ });
  await t.rejects(session.monitor(queues, { deadlineMs }), { name: 'WeftError', kind: 'unavailable' });
});

t.test('a database that is converted to another schema is watched anew', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  await session.transact([insertRow('Queue', { external_ids: mapOf({ name: 'a' }) })], { deadlineMs });
  const monitor = await session.monitor(queues, { deadlineMs });
  const changes = collectStates(session, 2);
  const schema = JSON.parse(readFileSync(schemaPath, 'utf8')) as { readonly tables: object };
  const converted = join(openVSwitch.directory, 'converted.ovsschema');
  writeFileSync(converted, JSON.stringify({ ...schema, tables: { ...schema.tables, Weft: { columns: { name: { type: 'string' } } } } }));
  run('ovsdb-client', ['--timeout=20', 'convert', `unix:${openVSwitch.databaseSocket}`, converted]);
  t.match(await changes, [{ isConnected: false, reason: 'The OVSDB server no longer reports changes' }, { isConnected: true }]);
  t.equal(monitor.table('Queue').size, 1);
  t.equal((await session.monitor({ Weft: { columns: { name: 'string' } } }, { deadlineMs })).table('Weft').size, 0);
});

t.test('a process ends by itself when nobody waits, with the server there and with it gone', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const source = `
    import { openSession } from ${JSON.stringify(new URL('session.ts', import.meta.url).href)};
    const session = openSession({ path: ${JSON.stringify(openVSwitch.databaseSocket)}, database: 'Open_vSwitch' });
    const monitor = await session.monitor({ Open_vSwitch: { columns: { cur_cfg: 'integer' } } }, { deadlineMs: 400 }).catch((error) => console.log(error.kind));
    console.log(monitor === undefined ? 'alone' : 'connected');`;
  t.same(await runScript(source), { code: 0, output: 'connected\n' });
  await openVSwitch.kill('ovsdb-server');
  t.same(await runScript(source), { code: 0, output: 'unavailable\nalone\n' });
});

type Became = 'applied' | 'notApplied' | 'unknownApplied' | 'unknownNotApplied' | 'deceived';

/** What became of a transaction, from what its caller was told and whether its row is there; `deceived` where they contradict each other. */
function whatBecame(told: PromiseSettledResult<unknown>, isThere: boolean): Became {
  if (told.status === 'fulfilled') return isThere ? 'applied' : 'deceived';
  if (isOutcomeUnknown(told.reason)) return isThere ? 'unknownApplied' : 'unknownNotApplied';
  return isOvsdbError(told.reason, 'unavailable') && !isThere ? 'notApplied' : 'deceived';
}

function namesOf([result]: readonly Parameters<typeof rowsOf>[0][]): ReadonlySet<string> {
  return new Set(rowsOf(result, queues.Queue.columns).map((row) => row.external_ids.get('name') ?? ''));
}

function hasName(rows: Iterable<{ readonly external_ids: ReadonlyMap<string, string> }>, name: string): true | undefined {
  return [...rows].some((row) => row.external_ids.get('name') === name) || undefined;
}

async function runScript(source: string): Promise<{ readonly code: number; readonly output: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}
