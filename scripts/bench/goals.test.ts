import t from 'tap';
import { describeGoals, goalsOf } from './goals.ts';

const fine = { addP50: 0.35, addP95: 0.5, delP50: 0.6, burstAdd: 0.25, burstDel: 0.15, addFullNode: 1, memoryGrowth: -1, idleCpu: 0, throughput: 1, ovsAddP50: 0.4, ovsAddFullNode: 1.25, ovsAddRemotes: 1 };

t.test('goals in words', async (t) => {
  t.equal(describeGoals(goalsOf(fine)), 'All 12 goals are reached.', 'a limit itself is within the goal');
  t.equal(
    describeGoals(goalsOf({ ...fine, addP50: 0.36, burstDel: 0.441 })),
    '10 of 12 goals are reached; not reached: ADD p50 0.36 × (at most 0.35), 64 DELs at once 0.44 × (at most 0.15).',
  );
  for (const key of Object.keys(fine)) t.match(describeGoals(goalsOf({ ...fine, [key]: 100 })), /^11 of 12/, key);
  t.match(describeGoals(goalsOf({ ...fine, addP50: Number.NaN })), /^11 of 12/, 'no figure is no success');
});
