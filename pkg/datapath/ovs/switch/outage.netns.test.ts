/** What becomes of calls while programs of Open vSwitch are killed, stopped and started again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import type { Flow } from '../../../openflow/flow.ts';
import type { Mod } from '../../../openflow/openflow.ts';
import { pause } from '../../../sys/timer.ts';
import { run } from '../../../testing/command.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { createScene, listPorts, makeDevices, readColumn, until } from './test-scene.ts';

t.setTimeout(180_000);
const skip = skipUnless({ root: true, tools: openVSwitchTools });

function flow(priority: number): Flow {
  return { table: 0, priority, match: {}, instructions: {} };
}

function add(...priorities: readonly number[]): readonly Mod[] {
  return priorities.map((priority) => ({ kind: 'add', flow: flow(priority) }));
}

t.test('ovsdb-server is killed in the middle of attaches: each is done, once', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const [daemon, plugin] = [open(), open()];
  await Promise.all([daemon.ready(), plugin.ready()]);
  const rounds = 3;
  const names = makeDevices(openVSwitch, rounds * 15);
  for (let round = 0; round < rounds; round += 1) {
    const all = names.slice(round * 15, round * 15 + 15);
    // One behind the other in five rows, so that they are at every stage when the server is killed.
    const rows = Array.from({ length: 5 }, (_, row) => all.filter((_name, index) => index % 5 === row));
    const adding = Promise.all(rows.map(async (row, index) => {
      const numbers: number[] = [];
      for (const name of row) numbers.push(await (index === 0 ? plugin : daemon).addPort({ name, externalIds: { round: String(round) } }));
      return numbers;
    }));
    await pause(round * 2);
    await openVSwitch.restart('ovsdb-server');
    const numbers = (await adding).flat();
    t.equal(new Set(numbers).size, 15, 'every port has its number');
    t.same(listPorts(openVSwitch), names.slice(0, round * 15 + 15).toSorted(), 'and is there once');
    t.same(numbers, rows.flat().map((name) => Number(readColumn(openVSwitch, 'Interface', name, 'ofport'))), 'the number it was told');
  }
  const removing = daemon.removePorts(names);
  await openVSwitch.restart('ovsdb-server');
  await removing;
  t.same(listPorts(openVSwitch), []);
});

t.test('ovs-vswitchd is killed: ports keep their numbers, flows are told lost, and calls meanwhile are done in order', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  makeDevices(openVSwitch, 2);
  const ofport = await ovs.addPort({ name: 'p0', externalIds: {} });
  await ovs.apply(add(1, 2));
  let lost = 0;
  ovs.onFlowsLost(() => (lost += 1));
  await openVSwitch.kill('ovs-vswitchd');
  const calls = [ovs.send(add(3)), ovs.apply([...add(4), { kind: 'deleteStrict', flow: flow(3) }]), ovs.send([{ kind: 'deleteStrict', flow: flow(4) }, ...add(5)])];
  const adding = ovs.addPort({ name: 'p1', externalIds: {} });
  await openVSwitch.start('ovs-vswitchd');
  await Promise.all(calls);
  await until(() => lost === 1);
  t.same((await ovs.listFlows()).map(({ priority }) => priority), [5], 'the flows of before are gone, those of meanwhile are there');
  t.equal(ovs.ports().get('p0')?.ofport, ofport);
  t.not(await adding, ofport);
  await openVSwitch.restart('ovs-vswitchd');
  await until(() => lost === 2);
  t.same(await ovs.listFlows(), []);
});

t.test('a call that is under way when ovs-vswitchd is killed is done by the next one', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  await ovs.ready();
  openVSwitch.signal('ovs-vswitchd', 'SIGSTOP');
  const calls = [ovs.send(add(1)), ovs.apply([{ kind: 'deleteStrict', flow: flow(1) }, ...add(2)]), ovs.send(add(3))];
  await pause(20);
  await openVSwitch.kill('ovs-vswitchd');
  await openVSwitch.start('ovs-vswitchd');
  await Promise.all(calls);
  t.same((await ovs.listFlows()).map(({ priority }) => priority).toSorted(), [2, 3]);
});

t.test('without ovs-vswitchd deadlines hold, and no row is left', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open({}, { deadlineMs: 300 });
  await open().ready();
  makeDevices(openVSwitch, 3);
  await open().addPort({ name: 'p2', externalIds: {} });
  await openVSwitch.kill('ovs-vswitchd');
  await Promise.all(['p0', 'p1'].map((name) => t.rejects(ovs.addPort({ name, externalIds: {} }), { code: 'tryAgainLater', message: /ovs-vswitchd to carry out/ })));
  t.same(listPorts(openVSwitch), ['p2']);
  await t.rejects(ovs.removePorts(['p2']), { code: 'tryAgainLater', message: /ovs-vswitchd to carry out/ });
  t.same(listPorts(openVSwitch), [], 'the row is gone all the same');
  await t.rejects(ovs.send(add(1)), { code: 'tryAgainLater', message: /weft-int.mgmt could not be asked within 300 ms: .*ECONNREFUSED/, details: /ovs-vswitchd runs/ });
  await t.rejects(ovs.ready(), { code: 'tryAgainLater' });
});

t.test('programs that are stopped: deadlines hold, and what was asked for is done or taken back', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open({}, { deadlineMs: 500, probeMs: 200 });
  const patient = open();
  await Promise.all([ovs.ready(), patient.ready()]);
  const [name] = makeDevices(openVSwitch, 1) as [string];
  openVSwitch.signal('ovs-vswitchd', 'SIGSTOP');
  await t.rejects(ovs.send(add(1)), { code: 'tryAgainLater', message: /did not answer within \d+ ms/ });
  await t.rejects(ovs.addPort({ name, externalIds: {} }), { code: 'tryAgainLater' });
  openVSwitch.signal('ovs-vswitchd', 'SIGCONT');
  await patient.ready();
  t.same(listPorts(openVSwitch), []);
  openVSwitch.signal('ovsdb-server', 'SIGSTOP');
  await t.rejects(ovs.addPort({ name, externalIds: {} }), { code: 'tryAgainLater' });
  const adding = patient.addPort({ name, externalIds: {} });
  openVSwitch.signal('ovsdb-server', 'SIGCONT');
  const ofport = await adding;
  t.equal(readColumn(openVSwitch, 'Interface', name, 'ofport'), String(ofport));
  t.equal(patient.ports().get(name)?.ofport, ofport);
});

t.test('what happened to ports while the database was away is told, and nothing where nothing happened', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  makeDevices(openVSwitch, 2);
  await Promise.all(['p0', 'p1'].map((name) => ovs.addPort({ name, externalIds: {} })));
  const told: string[] = [];
  ovs.onPortsChanged((names) => told.push(...names));
  await openVSwitch.kill('ovsdb-server');
  await until(() => isThrown(() => ovs.ports(), /is not known/));
  await openVSwitch.start('ovsdb-server');
  await ovs.ready();
  t.same([...ovs.ports().keys()].toSorted(), ['p0', 'p1']);
  t.same(told, []);
  const bridge = readColumn(openVSwitch, 'Bridge', 'weft-int', '_uuid');
  const port = readColumn(openVSwitch, 'Port', 'p1', '_uuid');
  await openVSwitch.kill('ovsdb-server');
  const deletion = { op: 'mutate', table: 'Bridge', where: [['_uuid', '==', ['uuid', bridge]]], mutations: [['ports', 'delete', ['uuid', port]]] };
  run('ovsdb-tool', ['transact', join(openVSwitch.directory, 'conf.db'), JSON.stringify(['Open_vSwitch', deletion])]);
  await openVSwitch.start('ovsdb-server');
  await until(() => told.length > 0);
  t.same(told, ['p1']);
});

t.test('a process ends by itself, whatever it has opened, and not before it is answered', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  await open().ready();
  makeDevices(openVSwitch, 1);
  const source = `
    import { openSwitch } from ${JSON.stringify(new URL('switch.ts', import.meta.url).href)};
    const ovs = openSwitch({ database: ${JSON.stringify(openVSwitch.databaseSocket)} }, { deadlineMs: 1000, onEvent: () => undefined });
    ovs.onFlowsLost(() => undefined);
    const tell = (promise) => promise.then((value) => console.log(typeof value), (error) => console.log(error.code));
    await tell(ovs.addPort({ name: 'p0', externalIds: {} }));
    await tell(ovs.send([{ kind: 'add', flow: { table: 0, priority: 1, match: {}, instructions: {} } }]));
    await tell(ovs.listFlows());
    console.log('end');`;
  t.same(await runScript(source), { code: 0, output: 'number\nundefined\nobject\nend\n' });
  await openVSwitch.kill('ovs-vswitchd');
  t.same(await runScript(source), { code: 0, output: 'tryAgainLater\ntryAgainLater\ntryAgainLater\nend\n' });
  await openVSwitch.kill('ovsdb-server');
  t.same(await runScript(source), { code: 0, output: 'tryAgainLater\ntryAgainLater\ntryAgainLater\nend\n' });
});

t.test('a switch that is closed tells who waits, and nobody connects any more', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  await ovs.ready();
  await openVSwitch.kill('ovs-vswitchd');
  const waiting = [t.rejects(ovs.send(add(1)), { name: 'WeftError' }), t.rejects(ovs.addPort({ name: 'p0', externalIds: {} }), { name: 'WeftError' })];
  await pause(20);
  await ovs.close();
  await Promise.all(waiting);
  await t.rejects(ovs.ready(), { code: 'tryAgainLater', message: /was closed/ });
  await t.rejects(ovs.send(add(1)), { name: 'WeftError', message: /was closed/ });
  const unused = open();
  await unused.close();
  await t.rejects(unused.ready(), { message: /was closed/ });
});

function isThrown(fn: () => unknown, message: RegExp): boolean {
  try {
    fn();
    return false;
  } catch (error) {
    return error instanceof Error && message.test(error.message);
  }
}

async function runScript(source: string): Promise<{ readonly code: number; readonly output: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}
