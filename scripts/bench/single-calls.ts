/** One call at a time, from exec to exit. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accepted, answered, frame, sending, startFakeDaemon } from '../../e2e/launcher/fake-daemon.ts';
import { callJob, emptyProgram, versionJob, type Contender } from './contender.ts';
import type { BenchLab } from './lab.ts';
import type { Settings } from './settings.ts';
import { summarise, type Summary } from './statistics.ts';
import { samplesOf, takeTurns, type Participant } from './turns.ts';
import { verbsOf, type Verbs } from './verbs.ts';

/** A contender that attaches and detaches one container in each of its rounds. */
export function attacher(contender: Contender, { netns, every = 1 }: { readonly netns: string; readonly every?: number }): Participant {
  return {
    name: contender.name,
    every,
    steps: (round) => (['ADD', 'DEL'] as const).map((verb) => ({ name: verb, job: callJob(contender, { verb, containerId: `turn${round}`, netns }) })),
  };
}

/** @param containers a free one for each contender */
export async function measureSingleCalls({ spawner, launched, alone, reference }: BenchLab, containers: readonly string[], { rounds, aloneEvery }: Settings): Promise<readonly (readonly [Contender, Verbs])[]> {
  const contenders = [launched, alone, reference];
  const participants = contenders.map((contender, index) => attacher(contender, { netns: containers[index] as string, every: contender === alone ? aloneEvery : 1 }));
  const samples = await takeTurns(spawner, participants, { rounds });
  return contenders.map((contender) => [contender, verbsOf(samples, contender.name)] as const);
}

/** What the launcher itself costs: by turns with an empty program, a socket that answers at once, and the reference. */
export async function measureLauncher({ scope, spawner, directory, launched, reference }: BenchLab, { rounds }: Settings): Promise<readonly (readonly [string, Summary])[]> {
  const run = join(directory, 'fake');
  mkdirSync(run, { mode: 0o700 });
  await startFakeDaemon(scope, run, sending(Buffer.concat([frame(accepted), frame(answered, { body: '{}' })])));
  const faked = { ...launched, env: { ...launched.env, WEFT_RUN_DIR: run } };
  const jobs = [
    [emptyProgram.name, versionJob(emptyProgram)],
    ['launcher, a socket that answers at once', versionJob(faked)],
    ['launcher, VERSION by the daemon', versionJob(launched)],
    [`${reference.name}, VERSION`, versionJob(reference)],
  ] as const;
  const samples = await takeTurns(spawner, jobs.map(([name, job]) => ({ name, steps: () => [{ name: 'exec', job }] })), { rounds });
  return jobs.map(([name]) => [name, summarise(samplesOf(samples, name, 'exec'))] as const);
}
