import t from 'tap';
import { timesOf } from './steps.ts';

t.test('timesOf() leaves out what was logged before the daemon was warm', async (t) => {
  const calls = ['ADD', 'DEL'].flatMap((verb) => Array.from({ length: 10 }, (_, index) => ({ verb, ms: index < 3 ? 100 : index, steps: { kernel: index < 3 ? 90 : index / 2 } })));
  t.same(timesOf(calls), ['ADD', 'DEL'].map((verb) => ({ verb, whole: { p50: 6, p95: 9 }, steps: [['kernel', 3]] })));
  t.throws(() => timesOf(calls.filter(({ verb }) => verb === 'ADD')), RangeError, 'a daemon that has done no DEL');
});
