/** Why an ADD cannot work, in words; and bridges that weft does not take. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../../../testing/command.ts';
import { temporaryDirectory } from '../../../testing/directory.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { hasKernelDatapath } from './settings.ts';
import { createScene, listPorts, readColumn, until } from './test-scene.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: openVSwitchTools });
const quick = { deadlineMs: 300 };

t.test('nothing is in the way, and nothing is made to find that out', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  t.equal(await open().findObstacle(), undefined);
  t.equal(await open({ datapathType: 'netdev' }).findDatapathType(), 'netdev', 'as a bridge would be made');
  t.equal(openVSwitch.vsctl('list-br'), '');
  const ovs = open();
  await ovs.ready();
  const before = readColumn(openVSwitch, 'Open_vSwitch', '.', 'next_cfg');
  t.equal(await ovs.findObstacle(), undefined);
  t.equal(await open().findObstacle(), undefined);
  t.equal(readColumn(openVSwitch, 'Open_vSwitch', '.', 'next_cfg'), before, 'with the bridge there nothing is changed at all');
});

t.test('programs that do not run, and sockets that are others', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const database = join(temporaryDirectory(t), 'absent.sock');
  t.match(await open({ database }, quick).findObstacle(), /database cannot be reached on .*absent.sock \(.*ENOENT.*\): start Open vSwitch.*or set ovs.database/);
  await t.rejects(open({ database }, quick).ready(), { code: 'tryAgainLater', message: /ENOENT/ });
  await open().ready();
  const elsewhere = temporaryDirectory(t);
  t.match(await open({ runDirectory: elsewhere }, quick).findObstacle(), /bridge weft-int cannot be reached on .*weft-int.mgmt \(.*ENOENT.*\): set ovs.runDirectory/);
  const ovs = open({}, quick);
  t.equal(await ovs.findObstacle(), undefined);
  await openVSwitch.kill('ovs-vswitchd');
  t.match(await ovs.findObstacle(), /^ovs-vswitchd does not do what the database says: look whether it runs/);
  await openVSwitch.start('ovs-vswitchd');
  openVSwitch.signal('ovs-vswitchd', 'SIGSTOP');
  t.match(await ovs.findObstacle(), /^ovs-vswitchd does not do/);
  openVSwitch.signal('ovs-vswitchd', 'SIGCONT');
  await openVSwitch.kill('ovsdb-server');
  t.match(await open({}, quick).findObstacle(), /database cannot be reached.*ECONNREFUSED/);
  await openVSwitch.start('ovsdb-server');
  await ovs.ready().catch(() => undefined);
  await open().ready();
  t.equal(await ovs.findObstacle(), undefined, 'it is over');
});

t.test('a database that is none of Open vSwitch', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  run('ovsdb-client', ['--timeout=20', 'transact', `unix:${openVSwitch.databaseSocket}`, '["Open_vSwitch",{"op":"delete","table":"Open_vSwitch","where":[]}]']);
  t.match(await open({}, quick).findObstacle(), /has no database of Open vSwitch \(.*\): set ovs.database/);
  const directory = mkdtempSync(join(temporaryDirectory(t), 'x'));
  const database = join(directory, 'db.sock');
  const server = createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(database, resolve));
  t.teardown(() => {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  t.match(await open({ database }, quick).findObstacle(), /database cannot be reached on /);
});

t.test("somebody else's bridge is not touched", { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  openVSwitch.addBridge('weft-int');
  openVSwitch.ofctl('add-flow', 'weft-int', 'priority=7,actions=drop');
  const ovs = open();
  const foreign = { code: 'foreignObject', message: 'Cannot use the bridge weft-int: weft did not make it', details: /ovs.bridge.*del-br weft-int/ };
  await t.rejects(ovs.ready(), foreign);
  await t.rejects(ovs.addPort({ name: 'p0', externalIds: {}, type: 'internal' }), foreign);
  await t.rejects(ovs.send([{ kind: 'delete', filter: {} }]), foreign);
  await t.rejects(ovs.removeBridge(), foreign);
  t.match(await ovs.findObstacle(), /^Cannot use the bridge weft-int: weft did not make it: set ovs.bridge/);
  t.same([...ovs.ports()], []);
  t.same(await ovs.collect({ ports: new Set(), tunnels: new Set() }), []);
  t.same(listPorts(openVSwitch), []);
  t.match(openVSwitch.ofctl('dump-flows', 'weft-int'), /priority=7/);
  t.match(await open({ bridge: 'weft-other' }).ready(), { datapathType: 'netdev' }, 'another name is free');
});

t.test('a bridge that becomes somebody else’s is let go', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  await ovs.ready();
  openVSwitch.vsctl('del-br', 'weft-int');
  openVSwitch.addBridge('weft-int');
  await until(() => ovs.ports().size === 0);
  await t.rejects(ovs.ready(), { code: 'foreignObject' });
  await t.rejects(ovs.send([{ kind: 'add', flow: { table: 0, priority: 9, match: {}, instructions: {} } }]), { code: 'foreignObject' });
  t.notMatch(openVSwitch.ofctl('dump-flows', 'weft-int'), /priority=9/);
});

t.test('datapath types', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const impossible = /ovs.datapathType "system" is not available: this Open vSwitch has none but .*netdev/;
  await t.rejects(open({ datapathType: 'system' }).ready(), { code: 'notAvailable', message: impossible, details: /set ovs.datapathType to "netdev"/ });
  t.match(await open({ datapathType: 'system' }).findObstacle(), impossible);
  t.equal(openVSwitch.vsctl('list-br'), '');
  await open({ datapathType: 'netdev' }).ready();
  const other = /ovs.datapathType must be that of the bridge weft-int, which is "netdev": current value is "system"/;
  await t.rejects(open({ datapathType: 'system' }).ready(), { code: 'invalidConfiguration', message: other, details: /ovs-vsctl del-br weft-int/ });
  t.match(await open({ datapathType: 'system' }).findObstacle(), other);
  t.match(await open().ready(), { datapathType: 'netdev' }, 'as the bridge is');
});

t.test('a bridge that ovs-vswitchd cannot make is taken back', { skip: skip !== false ? skip : hasKernelDatapath() ? 'this kernel has the datapath' : false }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const make = (type: string): string => openVSwitch.vsctl('--no-wait', 'add-br', 'weft-int', '--', 'set', 'Bridge', 'weft-int', `datapath_type=${type}`, 'external_ids:weft=bridge');
  make('system');
  await t.rejects(open().ready(), { code: 'notAvailable', message: 'Open vSwitch cannot make the bridge weft-int', details: /log of ovs-vswitchd.*"netdev"/ });
  t.equal(openVSwitch.vsctl('list-br'), '');
});

t.test('the way to the other nodes is looked at where tunnels need it', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  const { datapathType } = await ovs.ready();
  t.match(await ovs.checkVtep({ egressLink: 'eth0', datapathType }), /leave by eth0/);
  openVSwitch.addBridge('br-phy');
  await open().ready();
  t.equal(await open().checkVtep({ egressLink: 'br-phy', datapathType }), undefined);
});
