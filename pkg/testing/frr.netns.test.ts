import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import t from 'tap';
import { run } from './command.ts';
import { frrRequirements, startFrr, type Frr } from './frr.ts';
import { createNetns } from './netns.ts';
import { skipUnless } from './requirements.ts';

const skip = skipUnless(frrRequirements);

t.test('an FRR works, and goes away with the test that started it', { skip }, async (t) => {
  let made: Frr | undefined;
  let pids: readonly number[] = [];
  await t.test('started here', async (t) => {
    made = await startFrr(t, { configuration: { bgpd: 'router bgp 65000\n' } });
    pids = [made.pidOf('zebra'), made.pidOf('bgpd')];
    for (const program of ['zebra', 'bgpd'] as const) t.ok(statSync(`${made.runDirectory}/${program}.vty`).isSocket());
    t.match(made.vtysh('show version'), /^FRRouting/);
    t.match(made.vtysh('show running-config'), /^router bgp 65000$/m, 'it read its configuration');
    t.match(made.vtysh('show interface brief'), /^lo /m);
    t.match(run('ip', ['netns', 'pids', made.netns]), new RegExp(`^${pids[0]}$`, 'm'), 'it is in its namespace');
    t.throws(() => made?.vtysh('show nonsense'), /show nonsense failed/);
  });
  t.notOk(existsSync(made?.runDirectory ?? '/'), 'its directory');
  t.notOk(pids.some(isAlive), 'its processes');
  t.notMatch(run('ip', ['netns', 'list']), new RegExp(`^${made?.netns}\\b`, 'm'), 'its namespace');
});

t.test('its daemons are ended and started again one by one', { skip }, async (t) => {
  const frr = await startFrr(t, { netns: createNetns(t, 'given') });
  for (const [program, signal] of [['bgpd', 'SIGKILL'], ['bgpd', 'SIGTERM'], ['zebra', 'SIGTERM'], ['zebra', 'SIGKILL']] as const) {
    const before = frr.pidOf(program);
    await frr.kill(program, signal);
    t.notOk(isAlive(before));
    t.throws(() => frr.pidOf(program), new RegExp(`${program} does not run`));
    await frr.kill(program);
    await frr.start(program);
    t.not(frr.pidOf(program), before);
    await t.rejects(frr.start(program), /runs already/);
  }
  frr.signal('bgpd', 'SIGSTOP');
  const stopped = frr.pidOf('bgpd');
  await frr.restart('bgpd', 'SIGTERM');
  t.not(frr.pidOf('bgpd'), stopped, 'what does not follow SIGTERM is killed');
});

t.test('what does not start says why', { skip }, async (t) => {
  const frr = await startFrr(t);
  await frr.kill('bgpd');
  run('rm', [`${frr.runDirectory}/bgpd.pid`]);
  run('mkdir', [`${frr.runDirectory}/bgpd.pid`]);
  await t.rejects(frr.start('bgpd'), /bgpd did not start: .*bgpd\.pid/s);
  t.throws(() => frr.pidOf('bgpd'), 'and does not count as running');
});

t.test('it goes away when the process is told to end', { skip }, async (t) => {
  const source = `
    import { startFrr } from ${JSON.stringify(new URL('frr.ts', import.meta.url).href)};
    const frr = await startFrr({ teardown() {} });
    console.log(JSON.stringify([frr.runDirectory, frr.netns, frr.pidOf('zebra'), frr.pidOf('bgpd')]));
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
