/** Two thousand changes of links that are not weft's: calls are answered, nothing is looked at, and then all is quiet. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import { createDaemonLabOf } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { netConf } from '../harness/net-conf.ts';
import { underlayBridge } from '../harness/node-switch.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { cpuMs } from './daemon-load.ts';
import { debugging, fullPass } from './full-pass.ts';

const skip = skipWithoutDaemonLab();

const links = 100;
const rounds = 10;
const switchChanges = 100;
/** Of a window of a second: what a daemon uses that has nothing to do. */
const quietMs = 20;

/** Each round sets every link up and down. */
function changes(): string {
  const names = Array.from({ length: links }, (_, index) => `storm${index}`);
  const lines = names.map((name) => `link add ${name} type ifb`);
  for (let round = 0; round < rounds; round += 1) for (const state of ['up', 'down']) lines.push(...names.map((name) => `link set ${name} ${state}`));
  lines.push(...names.map((name) => `link del ${name}`));
  return `${lines.join('\n')}\n`;
}

/** Changes of the underlay's bridge, one transaction each. @returns the exit status, when they are done */
function raiseStormOnSwitch({ databaseSocket }: OpenVSwitch): Promise<number | null> {
  const change = `ovs-vsctl --db=unix:${databaseSocket} --no-wait --timeout=20 set bridge ${underlayBridge} external_ids:storm=$n`;
  const child = spawn('sh', ['-e', '-c', `for n in $(seq ${switchChanges}); do ${change}; done`], { stdio: 'ignore', timeout: 60_000 });
  return new Promise((resolve) => child.once('close', resolve));
}

/** Runs the lines in one process. @returns its exit status, when it has ended */
function raiseStorm(netns: string): Promise<number | null> {
  const child = spawn('ip', ['-n', netns, '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'], timeout: 60_000 });
  child.stdin.end(changes());
  return new Promise((resolve) => child.once('close', resolve));
}

testEachDatapath('changes of other links, and on a switch of other bridges', async (t, datapath) => {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath], { daemon: debugging });
  const [node, daemon] = [lab.node(1), daemons[0]];
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const conf = netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: [], ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.19' }]] });
  const [one, two] = [await lab.attach(node, { label: 'one', conf }), await lab.attach(node, { label: 'two', conf })];
  await fullPass(daemon);

  const before = { cpu: cpuMs(daemon), passes: (await daemon.status()).reconciler.passes };
  const storm = Promise.all([raiseStorm(node.netns), ...(datapath === 'ovs' ? [raiseStormOnSwitch(node.openVSwitch)] : [])]);
  let isOver = false;
  void storm.then(() => (isOver = true));
  let calls = 0;
  while (!isOver || calls === 0) {
    const guest = await lab.attach(node, { label: `during-${calls}`, conf });
    const removed = await lab.detach(guest);
    t.match(removed, { exitCode: 0, stderr: '' }, `the daemon did it: ${describeOutcome(removed)}`);
    calls += 1;
  }
  t.same((await storm).filter((status) => status !== 0), [], 'the storm has blown');
  t.equal(await ping(one.netns, two.result.ips?.[0]?.address.replace(/\/.*/, '') ?? ''), 1, 'the containers reach each other');
  t.comment(`during ${links * (2 * rounds + 2)} changes: ${calls} ADDs and DELs, ${cpuMs(daemon) - before.cpu} ms of processor time`);

  await daemon.eventually('is quiet again', async () => {
    const cpu = cpuMs(daemon);
    await delay(1000);
    return cpuMs(daemon) - cpu <= quietMs;
  });
  const { reconciler } = await daemon.status();
  t.same([reconciler.repairs, reconciler.openFaults], [[], []]);
  t.ok(reconciler.passes - before.passes <= calls, `changes of others ask for no pass: ${reconciler.passes - before.passes} with ${calls} calls`);
  t.same(daemon.log.filter(({ level }) => level === 'warn' || level === 'error'), [], 'nothing to warn of');
}, { skip, timeout: 120_000 });
