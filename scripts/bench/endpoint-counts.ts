/** Whether calls take longer on a node that has many endpoints. */
import { burst } from './bursts.ts';
import type { Daemon } from './daemon.ts';
import { makeContainers, type BenchLab } from './lab.ts';
import { readMemory } from './proc.ts';
import type { Settings } from './settings.ts';
import { attacher } from './single-calls.ts';
import { takeTurns } from './turns.ts';
import { verbRatios, verbsOf, type Verbs } from './verbs.ts';

export interface CountFigures {
  readonly endpoints: number;
  readonly weft: Verbs;
  /** As shares of the reference's on the same machine at the same time, which has one endpoint. */
  readonly ratios: Verbs;
  /** Bytes of the daemon's memory. */
  readonly resident: number;
}

export interface CountOptions {
  readonly daemon: Daemon;
  /** How many endpoints weft has on the node already. */
  readonly present: number;
  /** A free container for each of the two contenders. */
  readonly containers: readonly string[];
  readonly onProgress: (text: string) => void;
}

/** Fills the node up to each count through the launcher, measures there, and detaches everything that it attached. */
export async function measureEndpointCounts(lab: BenchLab, { daemon, present, containers, onProgress }: CountOptions, { endpoints, endpointRounds, burstSize }: Settings): Promise<readonly CountFigures[]> {
  const { spawner, launched, reference } = lab;
  const figures: CountFigures[] = [];
  const groups: (readonly string[])[] = [];
  const call = async (verb: 'ADD' | 'DEL', group: number): Promise<number> => burst(spawner, launched, { verb, containers: groups[group] ?? [], label: `many${group}-` });
  let count = present;
  for (const wanted of endpoints) {
    while (count < wanted) {
      const size = Math.min(burstSize, wanted - count);
      groups.push(makeContainers(lab, size));
      await call('ADD', groups.length - 1);
      count += size;
    }
    onProgress(`${count} endpoints are attached; the daemon comes to rest`);
    await daemon.settle();
    const participants = [launched, reference].map((contender, index) => attacher(contender, { netns: containers[index] as string }));
    const samples = await takeTurns(spawner, participants, { rounds: endpointRounds });
    const weft = verbsOf(samples, launched.name);
    figures.push({ endpoints: count, weft, ratios: verbRatios(weft, verbsOf(samples, reference.name)), resident: readMemory(daemon.pid).resident });
    onProgress(`${count} endpoints: ADD p50 ${weft.add.p50.toFixed(2)} ms`);
  }
  for (const group of groups.keys()) await call('DEL', group);
  return figures;
}
