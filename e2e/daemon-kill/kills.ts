/** The daemon is killed again and again in the middle of its work, and started again at once, as a service manager does. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { randomFrom, testSeed, type RandomSource } from '../../pkg/testing/random.ts';
import { Daemon } from '../harness/daemon.ts';
import type { DatapathName } from '../harness/lab-node.ts';
import { checkInBetween, expectAtRest, expectEmpty } from './checkpoints.ts';
import { createScene, type Scene } from './scene.ts';

/** Not before an early kill. */
const checkpointEvery = 20;
/** One in so many is killed while it starts. */
const earlyEvery = 4;
/** After its start, or after it answers calls: at a random moment within so many milliseconds. */
const earlyMs = 250;
const workingMs = 400;

/** Kills so many daemons, on a node of the datapath, while containers come and go. */
export async function killMany(t: Test, datapath: DatapathName, kills: number): Promise<void> {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const scene = await createScene(t, datapath);
  const first = await Daemon.start(t, scene.node);
  scene.load.start();
  const { last, recoveries } = await killAgainAndAgain(t, scene, { kills, first, random: randomFrom(seed) });
  await scene.load.stop();
  t.comment(`${kills} kills; from a kill until the next daemon answers calls: p50 ${percentile(recoveries, 50)} ms, p95 ${percentile(recoveries, 95)} ms`);
  t.comment(scene.load.describe());
  t.same(scene.load.takeFaults(), [], 'every call was done, or answered with an error that a retry has healed');
  t.ok(scene.load.countOf((call) => call.includes('in the middle')) > 0, 'calls were interrupted in the middle');
  t.ok(scene.load.countOf((call) => call.startsWith('ADD ok')) > kills, 'there were more ADDs than kills');
  await last.kill();
  const daemon = await Daemon.start(t, scene.node);
  await expectAtRest(t, scene);
  await expectEmpty(t, scene, daemon);
}

interface Course {
  readonly kills: number;
  readonly first: Daemon;
  readonly random: RandomSource;
}

/** Returns the last daemon, which was just started, and the milliseconds that daemons needed to be there. */
async function killAgainAndAgain(t: Test, scene: Scene, { kills, first, random }: Course): Promise<{ readonly last: Daemon; readonly recoveries: readonly number[] }> {
  const recoveries: number[] = [];
  let daemon = first;
  for (let killed = 1; killed <= kills; killed += 1) {
    const killedAt = performance.now();
    await daemon.kill();
    daemon = Daemon.launch(t, scene.node);
    const isNextEarly = killed % earlyEvery === 1;
    if (!isNextEarly) {
      await daemon.logged(/the daemon answers calls/);
      recoveries.push(performance.now() - killedAt);
    }
    if (killed % checkpointEvery === 0) {
      await daemon.ready();
      await checkInBetween(t, scene, `after ${killed} kills`);
    }
    await delay(random(isNextEarly ? earlyMs : workingMs));
  }
  return { last: daemon, recoveries };
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0);
}
