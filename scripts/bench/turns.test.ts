import t from 'tap';
import type { Job } from './spawner-wire.ts';
import { orderOf, samplesOf, takeTurns, type Participant } from './turns.ts';

t.test('orderOf() begins with another one each time', async (t) => {
  t.same([0, 1, 2, 3].map((round) => orderOf(['a', 'b', 'c'], round).join('')), ['abc', 'bca', 'cab', 'abc']);
  t.same(orderOf([], 3), []);
});

/** A participant whose jobs say who and when in place of an executable. */
function participant(name: string, every?: number): Participant {
  const steps = (round: number): ReturnType<Participant['steps']> => ['ADD', 'DEL'].map((step) => ({ name: step, job: { executable: `${name}${round}${step}`, env: {}, stdin: '' } }));
  return { name, steps, ...(every === undefined ? {} : { every }) };
}

t.test('takeTurns() runs all, and takes no samples while warming up', async (t) => {
  const ran: string[] = [];
  const runOne = async ({ executable }: Job): Promise<{ ms: number; exitStatus: number; output: string }> => ({ ms: ran.push(executable), exitStatus: 0, output: '' });
  const samples = await takeTurns({ runOne }, [participant('a'), participant('b', 2)], { rounds: 3 });
  t.same(ran.slice(0, 6), ['a0ADD', 'a0DEL', 'b0ADD', 'b0DEL', 'a1ADD', 'a1DEL'], 'b takes part in every second round');
  t.same(ran.slice(6, 10), ['a2ADD', 'a2DEL', 'b2ADD', 'b2DEL']);
  const expected = (step: string): readonly number[] => ran.flatMap((what, index) => (/^[ab][567]/.test(what) && what.endsWith(step) ? [index + 1] : []));
  t.same([...samplesOf(samples, 'a', 'ADD'), ...samplesOf(samples, 'b', 'ADD')].sort((a, b) => a - b), expected('ADD'));
  t.equal(samplesOf(samples, 'a', 'DEL').length, 3);
  t.equal(samplesOf(samples, 'b', 'DEL').length, 1);
  t.throws(() => samplesOf(samples, 'c', 'ADD'), { name: 'RangeError', message: /no samples of ADD by c/ });
  t.throws(() => samplesOf(samples, 'a', 'GC'), RangeError);
});

t.test('a job that fails ends the turns', async (t) => {
  await t.rejects(takeTurns({ runOne: () => Promise.reject(new Error('it failed')) }, [participant('a')], { rounds: 1 }), /it failed/);
});
