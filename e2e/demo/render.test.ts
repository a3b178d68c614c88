import t from 'tap';
import type { Participant, Reach } from '../harness/reach.ts';
import { renderTable } from '../harness/text-table.ts';
import { renderDurations, renderReach } from './render.ts';

t.test('renderTable() aligns columns', async (t) => {
  t.equal(renderTable([['a', 'long', 'x'], ['wide', 'b', '']]), '   a     long  x\n   wide  b');
  t.equal(renderTable([]), '');
});

t.test('renderReach() marks what is not as expected', async (t) => {
  const text = renderReach([
    reach('blue', 'blue2', { isExpected: true, isReached: true, isBroadcastReached: true }),
    reach('blue2', 'blue', { isExpected: true, isReached: false, isBroadcastReached: true }),
    reach('blue', 'red', { isExpected: false, isReached: false, isBroadcastReached: false }),
    reach('red', 'blue', { isExpected: false, isReached: true, isBroadcastReached: false }),
    reach('red', 'blue2', { isExpected: false, isReached: false, isBroadcastReached: true }),
  ]);
  t.same(text.split('\n').map((line) => line.trim().split(/ {2,}/)), [
    ['from \\ to', 'blue', 'blue2', 'red'],
    ['blue', '·', '✓', '✗'],
    ['blue2', '✗ WRONG', '·', '·'],
    ['red', '✓ WRONG', '✗ WRONG', '·'],
  ]);
});

t.test('renderDurations() names middle and extremes', async (t) => {
  t.equal(renderDurations([30, 10, 20]), 'median 20 ms, fastest 10 ms, slowest 30 ms');
  t.equal(renderDurations([7]), 'median 7 ms, fastest 7 ms, slowest 7 ms');
});

function reach(from: string, to: string, verdict: Omit<Reach, 'from' | 'to'>): Reach {
  return { from: participant(from), to: participant(to), ...verdict };
}

function participant(name: string): Participant {
  return { name, tenant: name, netns: '', ipv4: '', ipv6: '', broadcast: '' };
}
