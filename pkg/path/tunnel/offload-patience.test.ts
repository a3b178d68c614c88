import t from 'tap';
import { Patience } from './offload-patience.ts';

/** How many rounds pass until one tests, that one included. */
function roundsOf(patience: Patience): number {
  for (let round = 1; round <= 100; round += 1) if (patience.isDue('a')) return round;
  return Infinity;
}

const roundMs = 1000;
const patience = new Patience();
t.equal(roundsOf(patience), 2, 'of an earlier daemon’s');
patience.begin('a', { now: 0, roundMs });
t.same([roundsOf(patience), roundsOf(patience)], [1, 1]);
const seen = [2, 4, 8, 16, 16].map((_rounds, index) => {
  patience.end('a', index);
  patience.begin('a', { now: index + 1, roundMs });
  return [roundsOf(patience), roundsOf(patience)];
});
t.same(seen, [[2, 2], [4, 4], [8, 8], [16, 16], [16, 16]], 'twice as long each time it comes back');
patience.isDue('a');
patience.forgo();
t.equal(roundsOf(patience), 1, 'on request');
patience.end('a', 10);
patience.begin('a', { now: 10 + 16 * 10 * roundMs, roundMs });
t.equal(roundsOf(patience), 1, 'long after it is something new');
