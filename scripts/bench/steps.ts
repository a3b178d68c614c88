/** Where the daemon's time goes, by what it logs at level debug. */
import { samplesByStep, type LoggedCall } from './daemon-log.ts';
import { Daemon } from './daemon.ts';
import type { LabNode } from './lab.ts';
import type { Settings } from './settings.ts';
import { attacher } from './single-calls.ts';
import { median, summarise, type Summary } from './statistics.ts';
import { takeTurns } from './turns.ts';

/** One verb in the daemon. */
export interface DaemonTimes {
  readonly verb: string;
  readonly whole: Summary;
  /** Median milliseconds by step; none where the log has no steps. */
  readonly steps: readonly (readonly [string, number])[];
}

/** A share of the calls, from the first, in which the daemon is still getting warm. */
const warmUpShare = 0.3;

/** Runs a daemon of its own for this, which logs more than one in use does: its figures are not the calls' figures. */
export async function measureSteps(lab: LabNode, netns: string, { rounds }: Settings): Promise<readonly DaemonTimes[]> {
  const daemon = await Daemon.start(lab, { logLevel: 'debug' });
  try {
    await takeTurns(lab.spawner, [attacher(lab.launched, { netns })], { rounds });
    return timesOf(daemon.calls());
  } finally {
    await daemon.stop();
  }
}

/** The times of ADD and DEL. @throws RangeError when there was none of them */
export function timesOf(calls: readonly LoggedCall[]): readonly DaemonTimes[] {
  return ['ADD', 'DEL'].map((verb) => {
    const all = calls.filter((call) => call.verb === verb);
    const warm = all.slice(Math.floor(all.length * warmUpShare));
    const steps = [...samplesByStep(warm)].map(([name, samples]) => [name, median(samples)] as const);
    return { verb, whole: summarise(warm.map(({ ms }) => ms)), steps };
  });
}
