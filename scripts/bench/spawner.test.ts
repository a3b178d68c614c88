import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { Spawner } from './spawner.ts';
import type { Job } from './spawner-wire.ts';

const skip = skipUnless({ tools: ['gcc'] });

/** A program of the shell's as a job. */
function script(directory: string, { name, text, env = {}, stdin = '' }: { name: string; text: string; env?: Record<string, string>; stdin?: string }): Job {
  const executable = join(directory, name);
  writeFileSync(executable, `#!/bin/sh\n${text}\n`);
  chmodSync(executable, 0o755);
  return { executable, env, stdin };
}

t.test('jobs get their environment and stdin, and their output and status come back in order', { skip }, async (t) => {
  const directory = t.testdir();
  const spawner = Spawner.start(t, { directory });
  const jobs = ['b', 'a'].map((name) => script(directory, { name, text: 'read -r line; echo "$line $CNI_COMMAND"; echo words >&2; exit $STATUS', env: { CNI_COMMAND: `ADD-${name}`, STATUS: name === 'a' ? '3' : '0' }, stdin: `input of ${name}\n` }));
  const { ms, jobs: outcomes } = await spawner.run(jobs);
  t.match(outcomes, [
    { exitStatus: 0, output: 'input of b ADD-b\nwords\n' },
    { exitStatus: 3, output: 'input of a ADD-a\nwords\n' },
  ]);
  t.ok(outcomes.every((outcome) => outcome.ms > 0 && outcome.ms <= ms), 'no job takes longer than all of them');
  await t.rejects(spawner.runAll(jobs), { message: /\/a ADD-a failed with status 3: input of a/ });
  t.equal(spawner.executions(join(directory, 'a'), 'ADD-a'), 2);
  t.equal(spawner.executions(join(directory, 'a'), 'DEL'), 0);
});

t.test('jobs run beside each other', { skip }, async (t) => {
  const directory = t.testdir();
  const spawner = Spawner.start(t, { directory });
  // Each waits for a file of the other: one after the other they would wait for ever.
  const meet = (own: string, other: string): Job => script(directory, { name: own, text: `touch ${directory}/${own}.here; until [ -e ${directory}/${other}.here ]; do sleep 0.01; done`, env: { PATH: process.env['PATH'] ?? '' } });
  await spawner.runAll([meet('one', 'two'), meet('two', 'one')]);
  t.ok(existsSync(join(directory, 'one.here')));
});

t.test('a burst of as many as are measured', { skip }, async (t) => {
  const directory = t.testdir();
  const spawner = Spawner.start(t, { directory });
  const jobs = Array.from({ length: 64 }, (_, index) => ({ ...script(directory, { name: 'many', text: 'echo $N' }), env: { N: String(index) } }));
  const { jobs: outcomes } = await spawner.runAll(jobs);
  t.same(outcomes.map(({ output }) => output.trim()), jobs.map((_, index) => String(index)));
});

t.test('what cannot be executed ends the spawner, and the error says what', { skip }, async (t) => {
  const directory = t.testdir();
  const spawner = Spawner.start(t, { directory });
  const job: Job = { executable: join(directory, 'nothing'), env: {}, stdin: '' };
  await t.rejects(spawner.run([job]), { message: /the spawner ended: spawner: .*\/nothing: No such file/ });
  await t.rejects(spawner.run([job]), { message: /the spawner has ended/ });
});

t.test('a killed process has its signal in its status', { skip }, async (t) => {
  const directory = t.testdir();
  const spawner = Spawner.start(t, { directory });
  t.match(await spawner.run([script(directory, { name: 'killed', text: 'kill -9 $$' })]), { jobs: [{ exitStatus: 128 + 9 }] });
});
