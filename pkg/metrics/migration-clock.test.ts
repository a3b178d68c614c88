import t from 'tap';
import { MigrationClock, type MigrationResult } from './migration-clock.ts';

type Row = readonly [now: number, event: string, from: string, to: string];

function played(...rows: readonly Row[]): readonly MigrationResult[] {
  const clock = new MigrationClock();
  return rows.flatMap(([now, event, from, to]) => clock.note({ seq: 7, event, from, to }, now));
}

const begun: Row = [0, 'begin', 'none', 'relaying'];

t.same(played(begun, [1000, 'activate', 'relaying', 'departed'], [1004, 'opened', 'departed', 'departed'], [1100, 'opened', 'departed', 'departed'], [3000, 'quiet', 'departed', 'left']), [
  { kind: 'activated', milliseconds: 4 }, { kind: 'ended', role: 'source', outcome: 'moved', milliseconds: 3000 },
], 'at the source; what is said twice counts once');
t.same(played(begun, [10, 'begin', 'relaying', 'relaying'], [1000, 'opened', 'relaying', 'departed'], [3000, 'quiet', 'departed', 'left']), [
  { kind: 'ended', role: 'source', outcome: 'moved', milliseconds: 3000 },
], 'a machine that spoke at the target first: nobody has activated it');
t.same(played([0, 'begin', 'none', 'waiting'], [500, 'open', 'waiting', 'arrived'], [2000, 'left', 'arrived', 'none']), [{ kind: 'ended', role: 'target', outcome: 'moved', milliseconds: 500 }]);
for (const [event, outcome] of [['cancel', 'cancelled'], ['late', 'timed_out'], ['abandoned', 'abandoned']] as const) {
  t.same(played(begun, [20, event, 'relaying', 'none']), [{ kind: 'ended', role: 'source', outcome, milliseconds: 20 }]);
  t.same(played(begun, [10, 'activate', 'relaying', 'departed'], [20, event, 'departed', 'none'], [30, 'begin', 'none', 'relaying'], [31, 'opened', 'relaying', 'departed']), [{ kind: 'ended', role: 'source', outcome, milliseconds: 20 }], 'the next one has nothing of it');
}
t.same(played([0, 'begin', 'none', 'waiting'], [5, 'cancelled', 'waiting', 'waiting']), [{ kind: 'ended', role: 'target', outcome: 'cancelled', milliseconds: 5 }]);
t.same(played([5, 'quiet', 'departed', 'left']), [{ kind: 'ended', role: 'source', outcome: 'moved' }], 'of one that began before the daemon nobody knows how long it took');
t.same(played([5, 'gone', 'arrived', 'none'], [6, 'opened', 'left', 'left']), [], 'what is no end');

t.test('endpoints that never arrive do not fill the memory', async (t) => {
  const clock = new MigrationClock();
  for (let seq = 0; seq < 5000; seq += 1) clock.note({ seq, event: 'begin', from: 'none', to: 'relaying' }, seq);
  t.same(clock.note({ seq: 0, event: 'late', from: 'relaying', to: 'none' }, 9000), [{ kind: 'ended', role: 'source', outcome: 'timed_out' }], 'the oldest are forgotten');
  t.match(clock.note({ seq: 4999, event: 'late', from: 'relaying', to: 'none' }, 9000), [{ milliseconds: 4001 }]);
});
