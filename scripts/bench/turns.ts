/** Measuring by turns: whatever else the machine does hits every participant, so that their ratio lasts. */
import type { Spawner } from './spawner.ts';
import type { Job } from './spawner-wire.ts';

/** A job with the name that its samples go by. */
export interface Step {
  readonly name: string;
  readonly job: Job;
}

export interface Participant {
  readonly name: string;
  /** Takes part in every n-th round. @default 1 */
  readonly every?: number;
  /** What it does in a round, one after the other. @param round from 0, warm-up included */
  readonly steps: (round: number) => readonly Step[];
}

/** Milliseconds, by participant and step. */
export type Samples = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

const warmUpRounds = 5;

/** Runs the rounds; who begins changes from round to round. @throws Error when a job fails */
export async function takeTurns(spawner: Pick<Spawner, 'runOne'>, participants: readonly Participant[], { rounds }: { readonly rounds: number }): Promise<Samples> {
  const samples = new Map<string, Map<string, number[]>>();
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    for (const { name, step } of turnsOf(participants, round)) {
      const { ms } = await spawner.runOne(step.job);
      if (round >= warmUpRounds) note(samples, { name, step: step.name, ms });
    }
  }
  return samples;
}

/** What is done in a round, in order. */
function turnsOf(participants: readonly Participant[], round: number): readonly { readonly name: string; readonly step: Step }[] {
  return orderOf(participants, round)
    .filter(({ every = 1 }) => round % every === 0)
    .flatMap(({ name, steps }) => steps(round).map((step) => ({ name, step })));
}

function note(samples: Map<string, Map<string, number[]>>, { name, step, ms }: { readonly name: string; readonly step: string; readonly ms: number }): void {
  const steps = samples.get(name) ?? new Map<string, number[]>();
  samples.set(name, steps);
  steps.set(step, [...(steps.get(step) ?? []), ms]);
}

/** The participants, beginning with another one in each round. */
export function orderOf<T>(participants: readonly T[], round: number): readonly T[] {
  const first = round % Math.max(1, participants.length);
  return [...participants.slice(first), ...participants.slice(0, first)];
}

/** The samples of one step. @throws RangeError when there are none, since nothing may be said then */
export function samplesOf(samples: Samples, name: string, step: string): readonly number[] {
  const taken = samples.get(name)?.get(step) ?? [];
  if (taken.length === 0) throw new RangeError(`there are no samples of ${step} by ${name}: more rounds are needed (WEFT_BENCH_ROUNDS)`);
  return taken;
}
