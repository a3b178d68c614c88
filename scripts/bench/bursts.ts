/** Many calls at once: from before the first exec to after the last exit. */
import { callJob, emptyProgram, type CallTarget, type Contender } from './contender.ts';
import { kernelAlone, measureKernel } from './kernel-floor.ts';
import type { BenchLab } from './lab.ts';
import type { Settings } from './settings.ts';
import type { Spawner } from './spawner.ts';
import { median } from './statistics.ts';
import { orderOf } from './turns.ts';

/** Median milliseconds of a whole burst. */
export interface BurstTimes {
  readonly add: number;
  readonly del: number;
}

type BurstRow = readonly [Contender, BurstTimes];

/** Calls the verb for every container at once; the container's number is its name. @returns milliseconds @throws Error when a call fails */
export async function burst(spawner: Spawner, contender: Contender, { verb, containers, label }: { readonly verb: CallTarget['verb']; readonly containers: readonly string[]; readonly label: string }): Promise<number> {
  const { ms } = await spawner.runAll(containers.map((netns, index) => callJob(contender, { verb, containerId: `${label}${index}`, netns })));
  return ms;
}

/** The contenders take turns with the same containers: weft first, then what nobody can be faster than, then the reference. */
export async function measureBursts(lab: BenchLab, containers: readonly string[], { burstRounds }: Settings): Promise<readonly BurstRow[]> {
  const { spawner, launched, reference } = lab;
  const contenders = [launched, emptyProgram, reference];
  const taken = new Map(contenders.map((contender) => [contender, { add: [] as number[], del: [] as number[] }]));
  // The first round is a warm-up: the daemon has not met so many at once.
  for (let round = 0; round <= burstRounds; round += 1) {
    for (const contender of orderOf(contenders, round)) {
      const add = await burst(spawner, contender, { verb: 'ADD', containers, label: 'burst' });
      const del = await burst(spawner, contender, { verb: 'DEL', containers, label: 'burst' });
      if (round === 0) continue;
      taken.get(contender)?.add.push(add);
      taken.get(contender)?.del.push(del);
    }
  }
  const [own, floor, last] = [...taken].map(([contender, { add, del }]) => [contender, { add: median(add), del: median(del) }] as const) as [BurstRow, BurstRow, BurstRow];
  return [own, floor, [kernelAlone, measureKernel(lab, containers, burstRounds)], last];
}
