import t from 'tap';
import { findLink, readLinks } from '../testing/observe.ts';
import { openVSwitchTools, startOpenVSwitch, type OpenVSwitch } from '../testing/openvswitch.ts';
import { skipUnless } from '../testing/requirements.ts';
import type { TeardownScope } from '../testing/netns.ts';
import { deleteRows, insertRow, mutateRows, requireRows, type Operation } from './operations.ts';
import { insertedUuid } from './results.ts';
import type { OvsdbSession } from './session.ts';
import { openSwitchDatabase, type SwitchDatabase } from './switch-database.ts';
import { collectStates, deadlineMs, openTestSession } from './test-session.ts';
import { mapOf, namedUuid } from './values.ts';

const skip = skipUnless({ root: true, tools: openVSwitchTools });

t.test('a transaction is done when ovs-vswitchd has done it', { skip }, async (t) => {
  const { openVSwitch, database } = await start(t);
  const results = await database.transactRealised(addPort('p0'), { deadlineMs });
  t.equal(results.length, addPort('p0').length, 'what was added is not told');
  t.match(findLink(openVSwitch.netns, 'p0'), { ifname: 'p0' });
  t.match(openVSwitch.vsctl('get', 'Interface', insertedUuid(results[1]), 'ofport').trim(), /^[1-9][0-9]*$/);
  t.equal(database.currentConfiguration, Number(openVSwitch.vsctl('get', 'Open_vSwitch', '.', 'cur_cfg')));
  await database.transactRealised([deletePort(insertedUuid(results[2]))], { deadlineMs });
  t.equal(findLink(openVSwitch.netns, 'p0'), undefined);
});

t.test('many callers at once, and a second client', { skip }, async (t) => {
  const { openVSwitch, database } = await start(t);
  const other = await openSwitchDatabase(await openTestSession(t, openVSwitch.databaseSocket), { deadlineMs });
  const names = Array.from({ length: 30 }, (_, index) => `p${index}`);
  const seen = await Promise.all(names.map(async (name, index) => {
    await (index % 2 === 0 ? database : other).transactRealised(addPort(name), { deadlineMs });
    return findLink(openVSwitch.netns, name)?.ifname;
  }));
  t.same(seen, names);
});

t.test('what is refused is not waited for', { skip }, async (t) => {
  const { openVSwitch, database } = await start(t);
  const before = openVSwitch.vsctl('get', 'Open_vSwitch', '.', 'next_cfg');
  const absent = requireRows('Bridge', { where: [['name', '==', 'br0']], columns: ['name'], rows: [] });
  await t.rejects(database.transactRealised([absent, ...addPort('p0')], { deadlineMs }), { name: 'WeftError', kind: 'waitFailed', operation: { index: 0 } });
  t.equal(openVSwitch.vsctl('get', 'Open_vSwitch', '.', 'next_cfg'), before);
});

t.test('while ovs-vswitchd does not run a transaction is applied, and realised when it is back', { skip }, async (t) => {
  const { openVSwitch, database } = await start(t);
  await openVSwitch.kill('ovs-vswitchd');
  await t.rejects(database.transactRealised(addPort('p0'), { deadlineMs: 100 }), { name: 'WeftError', kind: 'notRealised', message: /ovs-vswitchd to carry out configuration \d+/ });
  t.match(openVSwitch.vsctl('--no-wait', 'list-ports', 'br0'), /^p0$/m);
  const patient = database.transactRealised(addPort('p1'), { deadlineMs });
  await openVSwitch.start('ovs-vswitchd');
  await patient;
  t.same(readLinks(openVSwitch.netns).map(({ ifname }) => ifname).filter((name) => /^p\d$/.test(name)).sort(), ['p0', 'p1']);
});

t.test('a connection that is lost while ovs-vswitchd is waited for is waited for as well', { skip }, async (t) => {
  const { openVSwitch, session, database } = await start(t);
  openVSwitch.signal('ovs-vswitchd', 'SIGSTOP');
  const monitor = await session.monitor({ Port: { columns: { name: 'string' } } }, { deadlineMs });
  const realised = database.transactRealised(addPort('p0'), { deadlineMs });
  await monitor.waitFor(() => [...monitor.table('Port').values()].some(({ name }) => name === 'p0') || undefined, { what: 'the port', deadlineMs });
  // The server reports a change before it answers who made it; answers come in order.
  await session.transact([], { deadlineMs });
  const lost = collectStates(session, 1);
  await openVSwitch.kill('ovsdb-server');
  await lost;
  t.equal(database.currentConfiguration, undefined);
  await openVSwitch.start('ovsdb-server');
  openVSwitch.signal('ovs-vswitchd', 'SIGCONT');
  await realised;
  t.match(findLink(openVSwitch.netns, 'p0'), { ifname: 'p0' });
});

t.test('in a database that was never initialised nothing is applied', { skip }, async (t) => {
  const { openVSwitch, session, database } = await start(t);
  await openVSwitch.kill('ovs-vswitchd');
  await session.transact([deleteRows('Open_vSwitch', [])], { deadlineMs });
  const marker = insertRow('Queue', { external_ids: mapOf({ owner: 'test' }) });
  await t.rejects(database.transactRealised([marker], { deadlineMs }), { name: 'WeftError', kind: 'waitFailed', operation: { table: 'Open_vSwitch' } });
  t.equal(openVSwitch.vsctl('--no-wait', '--columns=_uuid', 'list', 'Queue').trim(), '');
});

interface Started {
  readonly openVSwitch: OpenVSwitch;
  readonly session: OvsdbSession;
  readonly database: SwitchDatabase;
}

async function start(scope: TeardownScope): Promise<Started> {
  const openVSwitch = await startOpenVSwitch(scope);
  openVSwitch.addBridge('br0');
  const session = await openTestSession(scope, openVSwitch.databaseSocket);
  return { openVSwitch, session, database: await openSwitchDatabase(session, { deadlineMs }) };
}

/** An interface that ovs-vswitchd makes itself, so that it can be seen from outside when it has. */
function addPort(name: string): readonly Operation[] {
  return [
    requireRows('Bridge', { where: [['name', '==', 'br0']], columns: ['name'], rows: [{ name: 'br0' }] }),
    insertRow('Interface', { name, type: 'internal', external_ids: mapOf({ owner: 'test' }) }, 'interface'),
    insertRow('Port', { name, interfaces: namedUuid('interface') }, 'port'),
    mutateRows('Bridge', [['name', '==', 'br0']], [['ports', 'insert', namedUuid('port')]]),
  ];
}

function deletePort(uuid: string): Operation {
  return mutateRows('Bridge', [['name', '==', 'br0']], [['ports', 'delete', ['uuid', uuid]]]);
}
