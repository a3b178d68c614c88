import { connect } from 'node:net';
import t from 'tap';
import type { TeardownScope } from '../testing/netns.ts';
import { openVSwitchTools, type OpenVSwitch } from '../testing/openvswitch.ts';
import { randomFrom, testSeed } from '../testing/random.ts';
import { skipUnless } from '../testing/requirements.ts';
import type { ChangeBatch } from './monitor.ts';
import { commitDurably, deleteRows, insertRow, mutateRows, requireRows, selectRows, updateRows, type Mutation, type Operation } from './operations.ts';
import { isOvsdbError } from './ovsdb-error.ts';
import { countOf, insertedUuid, rowsOf } from './results.ts';
import type { OvsdbSession } from './session.ts';
import { startTestServer } from './test-server.ts';
import { deadlineMs, openTestSession, startDatabase } from './test-session.ts';
import { mapOf, namedUuid, setOf, uuidAtom, type Value } from './values.ts';

const skip = skipUnless({ root: true, tools: openVSwitchTools });
const queues = { Queue: { columns: { external_ids: 'string=>string' } } } as const;

t.test('what a transaction says is in the database', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  const results = await session.transact([...bridge('br0'), commitDurably()], { deadlineMs });
  t.match(openVSwitch.vsctl('--no-wait', 'list-br'), /^br0$/m);
  t.match(openVSwitch.vsctl('get', 'Bridge', 'br0', '_uuid'), insertedUuid(results[0]));
  const [selected, updated, deleted] = await session.transact([
    selectRows('Bridge', [['_uuid', '==', uuidAtom(insertedUuid(results[0]))]], ['name', 'ports', 'external_ids']),
    updateRows('Bridge', [['name', '==', 'br0']], { external_ids: mapOf({ a: 'ż' }) }),
    deleteRows('Port', [['name', '==', 'no-such-port']]),
  ], { deadlineMs });
  t.strictSame(rowsOf(selected, { name: 'string', ports: 'uuid[]', external_ids: 'string=>string' }), [{ name: 'br0', ports: new Set(), external_ids: new Map() }]);
  t.equal(countOf(updated), 1);
  t.equal(countOf(deleted), 0);
  t.equal(openVSwitch.vsctl('get', 'Bridge', 'br0', 'external_ids:a').trim(), '"ż"');
});

t.test('what the server refuses is told apart, and leaves nothing', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  await session.transact(bridge('br0'), { deadlineMs });
  const marker = insertRow('Queue', { external_ids: mapOf({ marker: 'x' }) });
  const absent = requireRows('Bridge', { where: [['name', '==', 'br0']], columns: ['name'], rows: [] });
  const rows: readonly (readonly [readonly Operation[], object])[] = [
    [[marker, ...bridge('br0')], { kind: 'refused', refusal: 'constraint violation', operation: undefined }],
    [[marker, insertRow('Nonsense', {})], { kind: 'refused', operation: { index: 1, op: 'insert', table: 'Nonsense' } }],
    [[marker, insertRow('Queue', { dscp: 64 })], { kind: 'refused', refusal: 'constraint violation', operation: { index: 1, op: 'insert', table: 'Queue' } }],
    [[marker, mutateRows('Open_vSwitch', [], [['bridges', 'insert', ['uuid', '3f2504e0-4f89-41d3-9a0c-0305e82c3301']]])], { kind: 'refused', refusal: 'referential integrity violation' }],
    [[marker, absent, insertRow('Queue', {})], { kind: 'waitFailed', operation: { index: 1, op: 'wait', table: 'Bridge' } }],
  ];
  for (const [operations, error] of rows) await t.rejects(session.transact(operations, { deadlineMs }), { name: 'WeftError', ...error });
  t.equal(openVSwitch.vsctl('--columns=_uuid', 'list', 'Queue').trim(), '');
  await t.rejects(session.monitor({ Bridge: { columns: { nonsense: 'string' } } }, { deadlineMs }), { name: 'WeftError', kind: 'refused', message: /nonsense/ });
  await session.transact([marker], { deadlineMs });
  await t.rejects(session.monitor({ Queue: { columns: { external_ids: 'string' } } }, { deadlineMs }), { name: 'WeftError', kind: 'garbled', message: /external_ids/ });
  t.ok(session.state.isConnected, 'which is a fault of who asked, and no loss for others');
});

t.test('a monitor follows what others change', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  openVSwitch.vsctl('--no-wait', 'add-br', 'br0', '--', 'set', 'Bridge', 'br0', 'external_ids:a=1');
  const watched = { Bridge: { columns: { name: 'string', external_ids: 'string=>string', ports: 'uuid[]' } } } as const;
  const monitor = await session.monitor(watched, { deadlineMs });
  const bridges = monitor.table('Bridge');
  const batches: ChangeBatch<typeof watched>[] = [];
  const stop = monitor.onChange((batch) => batches.push(batch));
  t.match([...bridges.values()], [{ name: 'br0', external_ids: new Map([['a', '1']]) }]);
  openVSwitch.vsctl('--no-wait', 'add-br', 'br1', '--', 'set', 'Bridge', 'br0', 'external_ids:b=2', '--', 'remove', 'Bridge', 'br0', 'external_ids', 'a');
  const both = await monitor.waitFor(() => (bridges.size === 2 ? [...bridges.values()] : undefined), { what: 'two bridges', deadlineMs });
  t.same(new Map(both.map((row) => [row.name, row.external_ids])), new Map([['br0', new Map([['b', '2']])], ['br1', new Map()]]));
  t.equal(batches.length, 1, 'one transaction, one message, one batch');
  t.notOk(batches[0]?.isInitial);
  t.equal(batches[0]?.changes.length, 2);
  openVSwitch.vsctl('--no-wait', 'del-br', 'br0');
  await monitor.waitFor(() => bridges.size === 1 || undefined, { what: 'one bridge', deadlineMs });
  t.match(batches[1]?.changes, [{ table: 'Bridge', before: { name: 'br0' } }]);
  stop();
  openVSwitch.vsctl('--no-wait', 'del-br', 'br1');
  await monitor.waitFor(() => bridges.size === 0 || undefined, { what: 'no bridge', deadlineMs });
  t.equal(batches.length, 2, 'who has stopped is not told');
  await t.rejects(monitor.waitFor(() => undefined, { what: 'the impossible', deadlineMs: 20 }), { name: 'WeftError', kind: 'notRealised', message: 'Waited 20 ms in vain for the impossible' });
  const waiting = t.rejects(monitor.waitFor(() => undefined, { what: 'the impossible', deadlineMs }), { name: 'WeftError', kind: 'unavailable' });
  monitor.close();
  await waiting;
  t.ok(session.state.isConnected);
});

t.test('a monitor with conditions has the rows for which any of them holds', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  await session.transact(['a', 'b', 'c'].map((name) => insertRow('Queue', { external_ids: mapOf({ name }) })), { deadlineMs });
  const where = ['a', 'b'].map((name) => ['external_ids', 'includes', mapOf({ name })] as const);
  const monitor = await session.monitor({ Queue: { ...queues.Queue, where } }, { deadlineMs });
  t.same([...monitor.table('Queue').values()].map((row) => row.external_ids.get('name')).sort(), ['a', 'b']);
});

for (const format of ['update2', 'update'] as const) {
  t.test(`after random changes the tables are what the database has, by ${format}`, { skip }, async (t) => {
    const seed = testSeed();
    t.comment(`WEFT_TEST_SEED=${seed}`);
    const random = randomFrom(seed);
    const openVSwitch = await startDatabase(t);
    const writer = await openTestSession(t, openVSwitch.databaseSocket);
    const reader = await openTestSession(t, format === 'update2' ? openVSwitch.databaseSocket : await startOldServer(t, openVSwitch));
    const columns = { name: 'string', vlan_mode: 'string?', tag: 'integer?', trunks: 'integer[]', external_ids: 'string=>string', bond_fake_iface: 'boolean' } as const;
    const monitor = await reader.monitor({ Port: { columns }, ...queues }, { deadlineMs });
    await writer.transact(bridge('br0'), { deadlineMs });
    const counts = { applied: 0, waitFailed: 0 };
    for (let round = 0; round < 300; round += 1) {
      try {
        await writer.transact(randomChange(random), { deadlineMs });
        counts.applied += 1;
      } catch (error) {
        if (!isOvsdbError(error, 'waitFailed')) throw error;
        counts.waitFailed += 1;
      }
    }
    t.ok(counts.applied > 0 && counts.waitFailed > 0, JSON.stringify(counts));
    const results = await writer.transact([selectRows('Port', [], Object.keys(columns)), insertRow('Queue', {})], { deadlineMs });
    await monitor.waitFor(() => monitor.table('Queue').size > 0 || undefined, { what: 'the end', deadlineMs });
    const byName = (rows: Iterable<{ readonly name: string }>): unknown => [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
    const expected = rowsOf(results[0], columns);
    t.same(byName(monitor.table('Port').values()), byName(expected));
  });
}

t.test('a transaction of 1000 rows', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket);
  const monitor = await session.monitor(queues, { deadlineMs });
  const batches: number[] = [];
  monitor.onChange(({ changes }) => batches.push(changes.length));
  const text = 'x'.repeat(1000);
  const results = await session.transact(Array.from({ length: 1000 }, (_, index) => insertRow('Queue', { external_ids: mapOf({ index: String(index), text }) })), { deadlineMs });
  t.equal(new Set(results.map(insertedUuid)).size, 1000);
  await monitor.waitFor(() => monitor.table('Queue').size === 1000 || undefined, { what: 'the rows', deadlineMs });
  t.same(batches, [1000]);
  const second = await session.monitor(queues, { deadlineMs });
  t.equal(second.table('Queue').size, 1000, 'the whole state in one message');
  t.equal(countOf((await session.transact([deleteRows('Queue', [])], { deadlineMs }))[0]), 1000);
});

t.test('two clients change the same number, and see each other', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const sessions = await Promise.all([1, 2].map(() => openTestSession(t, openVSwitch.databaseSocket)));
  const monitors = await Promise.all(sessions.map((session) => session.monitor({ Open_vSwitch: { columns: { next_cfg: 'integer' } } }, { deadlineMs })));
  const before = Number(openVSwitch.vsctl('get', 'Open_vSwitch', '.', 'next_cfg'));
  const increment = mutateRows('Open_vSwitch', [], [['next_cfg', '+=', 1]]);
  await Promise.all(Array.from({ length: 50 }, (_, index) => (sessions[index % 2] as OvsdbSession).transact([increment], { deadlineMs })));
  for (const monitor of monitors) {
    await monitor.waitFor(() => [...monitor.table('Open_vSwitch').values()].some((row) => row.next_cfg === before + 50) || undefined, { what: 'the sum', deadlineMs });
  }
  t.equal(Number(openVSwitch.vsctl('get', 'Open_vSwitch', '.', 'next_cfg')), before + 50);
});

t.test('a database that is not served is said to be unknown', { skip }, async (t) => {
  const openVSwitch = await startDatabase(t);
  const session = await openTestSession(t, openVSwitch.databaseSocket, { database: 'Nonsense' });
  await t.rejects(session.transact([], { deadlineMs }), { name: 'WeftError', kind: 'refused', refusal: 'unknown database' });
});

function bridge(name: string): readonly Operation[] {
  return [insertRow('Bridge', { name }, 'bridge'), mutateRows('Open_vSwitch', [], [['bridges', 'insert', setOf([namedUuid('bridge')])]])];
}

/** A server that knows no `monitor_cond`: the real one, told of a method of the same length that nobody knows. */
async function startOldServer(scope: TeardownScope, { databaseSocket }: OpenVSwitch): Promise<string> {
  const { path } = await startTestServer(scope, () => undefined, (socket) => {
    const upstream = connect({ path: databaseSocket });
    upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    upstream.pipe(socket);
    socket.on('close', () => upstream.destroy());
    socket.on('data', (chunk: Buffer) => upstream.write(Buffer.from(chunk.toString('latin1').replace('"monitor_cond"', '"monitor_none"'), 'latin1')));
  });
  return path;
}

/** Adds, changes and removes ports of br0, of few names and few values, so that changes meet. */
function randomChange(random: (below: number) => number): readonly Operation[] {
  const name = `p${random(6)}`;
  const where = [['name', '==', name]] as const;
  const value = random(4);
  const some: Value = setOf(Array.from({ length: random(4) }, () => random(5)).filter((one, index, all) => all.indexOf(one) === index));
  const mutation: Mutation = random(2) === 0
    ? ['external_ids', 'insert', mapOf({ [`k${random(3)}`]: String(random(3)) })]
    : ['trunks', random(2) === 0 ? 'insert' : 'delete', some];
  switch (random(20)) {
    case 0: return [updateRows('Bridge', [], { ports: setOf([]) })];
    case 1: case 2: case 3: return [
      requireRows('Port', { where, columns: ['name'], rows: [] }),
      insertRow('Interface', { name }, 'interface'), insertRow('Port', { name, interfaces: namedUuid('interface'), trunks: some }, 'port'),
      mutateRows('Bridge', [], [['ports', 'insert', namedUuid('port')]]),
    ];
    case 4: case 5: case 6: case 7: return [updateRows('Port', where, { tag: value === 0 ? setOf([]) : value, vlan_mode: value > 1 ? 'trunk' : setOf([]) })];
    case 8: case 9: case 10: case 11: return [updateRows('Port', where, { trunks: some, bond_fake_iface: value > 1 })];
    case 12: case 13: case 14: case 15: return [mutateRows('Port', where, [['external_ids', 'delete', setOf([`k${random(3)}`])], mutation])];
    default: return [mutateRows('Port', where, [mutation])];
  }
}
