/** A newer weft takes over from the one that runs, and a service manager restarts it: no call fails. */
import { copyFileSync, constants } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { createDelayingIpam } from '../daemon/delaying-ipam.ts';
import { blueConf, createScene as createSmallScene, newcomer } from '../daemon/scene.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { attachEnv } from '../harness/lab-node.ts';
import { skipWithoutDaemonLab, weftExecutable } from '../harness/weft-executable.ts';
import { checkInBetween, expectAtRest, expectEmpty } from './checkpoints.ts';
import { createScene, type Scene } from './scene.ts';

const skip = skipWithoutDaemonLab('gcc');
t.setTimeout(400_000);

/** Of each kind; with a switch every call takes longer. */
const courses = { bridge: { takeovers: 20, restarts: 10 }, ovs: { takeovers: 10, restarts: 4 } } as const;
/** Calls that end between one takeover or restart and the next. */
const callsBetween = 12;
const runTimeoutMs = 150_000;
/** A daemon gives its calls 40 s. */
const endDeadlineMs = 45_000;

testEachDatapath('takeovers while containers come and go', async (t, datapath) => {
  const { takeovers } = courses[datapath];
  const executables = [weftExecutable, copyOfWeft(t)];
  const scene = await createScene(t, datapath);
  const daemons = [await Daemon.start(t, scene.node)];
  scene.load.start();
  for (let index = 1; index <= takeovers; index += 1) {
    const [older] = daemons;
    const newer = Daemon.launch(t, scene.node, { executable: executables[index % 2] ?? weftExecutable });
    daemons.unshift(newer);
    await newer.ready();
    t.equal(await endOf(older), 0, `takeover ${index}: the older daemon has ended, with exit status 0`);
    t.equal((await newer.status()).pid, newer.pid, `takeover ${index}: the newer one answers`);
    await someCalls(newer, scene);
    if (index % 10 === 0) await checkInBetween(t, scene, `after ${index} takeovers`);
  }
  await scene.load.stop();
  t.comment(scene.load.describe());
  t.same([scene.load.takeFaults(), failedCalls(scene)], [[], 0], 'no call has failed');
  t.equal(scene.load.countOf((call) => /^(ADD|DEL) ok/.test(call)), doneBy(daemons), 'every call was done by a daemon');
  t.equal(await daemons[0]?.stop(), 0, 'the last daemon ends when told');
  const daemon = await Daemon.start(t, scene.node);
  await expectAtRest(t, scene);
  await expectEmpty(t, scene, daemon);
}, { skip, timeout: runTimeoutMs });

t.test('a call in flight is finished by the older daemon', { skip }, async (t) => {
  const { node, daemon: older, lab, conf } = await createSmallScene(t);
  const ipam = createDelayingIpam(t);
  const attach = newcomer({ lab, conf: blueConf(node, { ipam: ipam.conf }) }, 'slow');
  const adding = node.call({ env: { ...attachEnv('ADD', attach), CNI_PATH: ipam.path }, stdin: JSON.stringify(attach.conf) });
  await ipam.begun();
  const newer = await Daemon.start(t, node);
  t.match(await older.logged(/another daemon takes over/), { callsInFlight: 1 }, 'the slow ADD');
  t.equal((await newer.status()).pid, newer.pid, 'the newer one answers');
  const quick = newcomer({ lab, conf }, 'quick');
  t.match(await node.add(quick), { exitCode: 0, stderr: '' }, 'and does calls');
  t.ok(older.isRunning, 'the older one waits for its call');
  ipam.release();
  const added = await adding;
  t.match(added, { exitCode: 0, stderr: '', result: { ips: [{ address: ipam.address }] } }, describeOutcome(added));
  t.equal(await endOf(older), 0, 'then it ends');
  t.match(older.linesOf(/^ADD done/), [{ containerId: 'slow' }], 'it has done the call itself');
  t.same(ipam.calls(), ['ADD'], 'once');
  t.match(await node.call({ env: { ...attachEnv('DEL', attach), CNI_PATH: ipam.path }, stdin: JSON.stringify(attach.conf) }), { exitCode: 0, stderr: '' });
  t.match(await node.del(quick), { exitCode: 0, stderr: '' });
});

testEachDatapath('restarts while containers come and go', async (t, datapath) => {
  const { restarts } = courses[datapath];
  const scene = await createScene(t, datapath);
  let daemon = await Daemon.start(t, scene.node);
  scene.load.start();
  for (let index = 1; index <= restarts; index += 1) {
    await someCalls(daemon, scene);
    t.equal(await daemon.stop(), 0, `restart ${index}: the daemon ends when told, with exit status 0`);
    daemon = await Daemon.start(t, scene.node);
  }
  await checkInBetween(t, scene, `after ${restarts} restarts`);
  await scene.load.stop();
  t.comment(scene.load.describe());
  t.same([scene.load.takeFaults(), failedCalls(scene)], [[], 0], 'no call has failed');
  await daemon.stop();
  daemon = await Daemon.start(t, scene.node);
  await expectAtRest(t, scene);
  await expectEmpty(t, scene, daemon);
}, { skip, timeout: runTimeoutMs });

/** Exit status of a daemon that ends by itself. @throws Error when it does not in time */
async function endOf(daemon: Daemon | undefined): Promise<number | string | undefined> {
  const late = delay(endDeadlineMs, undefined, { ref: false }).then(() => {
    throw new Error(`the older daemon does not end:\n${daemon?.describe()}`);
  });
  return Promise.race([daemon?.ended, late]);
}

/** Waits until the load has got on. */
async function someCalls(daemon: Daemon, { load }: Scene): Promise<void> {
  const before = load.countOf(() => true);
  await daemon.eventually('sees calls', () => load.countOf(() => true) >= before + callsBetween);
}

/** ADDs and DELs that the daemons' logs tell of. */
function doneBy(daemons: readonly Daemon[]): number {
  return daemons.reduce((sum, daemon) => sum + daemon.linesOf(/^(ADD|DEL) done/).length, 0);
}

function failedCalls({ load }: Scene): number {
  return load.countOf((call) => call.includes('error'));
}

/** The executable as a newer version would be: another file. */
function copyOfWeft(t: Test): string {
  const directory = temporaryDirectory(t);
  const copy = join(directory, 'weft');
  copyFileSync(weftExecutable, copy, constants.COPYFILE_FICLONE);
  return copy;
}
