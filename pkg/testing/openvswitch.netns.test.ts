import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import t from 'tap';
import { run } from './command.ts';
import { createNetns } from './netns.ts';
import { findLink } from './observe.ts';
import { openVSwitchTools, startOpenVSwitch, type OpenVSwitch } from './openvswitch.ts';
import { skipUnless } from './requirements.ts';

const skip = skipUnless({ root: true, tools: openVSwitchTools });

t.test('an Open vSwitch works, and goes away with the test that started it', { skip }, async (t) => {
  let made: OpenVSwitch | undefined;
  let pids: readonly number[] = [];
  await t.test('started here', async (t) => {
    made = await startOpenVSwitch(t);
    pids = [made.pidOf('ovsdb-server'), made.pidOf('ovs-vswitchd')];
    made.addBridge('br0');
    t.ok(statSync(made.databaseSocket).isSocket());
    t.ok(statSync(made.managementSocket('br0')).isSocket());
    t.match(made.vsctl('list-br'), /^br0$/m);
    t.match(findLink(made.netns, 'br0'), { ifname: 'br0' }, 'its interfaces are in its namespace');
    made.ofctl('add-flow', 'br0', 'table=3,priority=7,actions=drop');
    t.match(made.ofctl('dump-flows', 'br0'), /table=3.*priority=7 actions=drop/);
    t.match(made.appctl('ovs-vswitchd', 'dpif/show'), /netdev@ovs-netdev/);
  });
  t.notOk(existsSync(made?.directory ?? '/'), 'its directory');
  t.notOk(pids.some(isAlive), 'its processes');
  t.notMatch(run('ip', ['netns', 'list']), new RegExp(`^${made?.netns}\\b`, 'm'), 'its namespace');
});

t.test('its processes are killed and started again one by one', { skip }, async (t) => {
  const openVSwitch = await startOpenVSwitch(t, { netns: createNetns(t, 'given') });
  openVSwitch.addBridge('br0');
  for (const program of ['ovs-vswitchd', 'ovsdb-server'] as const) {
    const before = openVSwitch.pidOf(program);
    await openVSwitch.kill(program);
    t.notOk(isAlive(before));
    t.throws(() => openVSwitch.pidOf(program), new RegExp(`${program} does not run`));
    await openVSwitch.kill(program);
    await openVSwitch.start(program);
    t.not(openVSwitch.pidOf(program), before);
    await t.rejects(openVSwitch.start(program), /runs already/);
    t.match(openVSwitch.vsctl('--no-wait', 'list-br'), /^br0$/m, 'the database is kept');
  }
});

t.test('what does not start says why', { skip }, async (t) => {
  const openVSwitch = await startOpenVSwitch(t);
  await openVSwitch.kill('ovs-vswitchd');
  await openVSwitch.kill('ovsdb-server');
  run('rm', [`${openVSwitch.directory}/conf.db`]);
  await t.rejects(openVSwitch.start('ovsdb-server'), /ovsdb-server did not start: .*conf\.db/s);
  t.throws(() => openVSwitch.pidOf('ovsdb-server'), 'and does not count as running');
});

t.test('it goes away when the process is told to end', { skip }, async (t) => {
  const source = `
    import { startOpenVSwitch } from ${JSON.stringify(new URL('openvswitch.ts', import.meta.url).href)};
    const ovs = await startOpenVSwitch({ teardown() {} });
    console.log(JSON.stringify([ovs.directory, ovs.netns, ovs.pidOf('ovsdb-server'), ovs.pidOf('ovs-vswitchd')]));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const [directory, netns, ...pids] = JSON.parse(line.toString()) as [string, string, number, number];
  t.ok(existsSync(directory) && pids.every(isAlive), 'it runs');
  child.kill('SIGTERM');
  await once(child, 'exit');
  t.notOk(existsSync(directory));
  t.notOk(run('ip', ['netns', 'list']).includes(netns));
  t.notOk(pids.some(isAlive));
});

/** A process that has ended and waits to be fetched by its parent counts as gone. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(run('cat', [`/proc/${pid}/status`]));
  } catch {
    return false;
  }
}
