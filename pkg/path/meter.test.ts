import t from 'tap';
import { ProbeMeter } from './meter.ts';
import type { ProbeOutcome } from './prober.ts';

const silent: ProbeOutcome = { kind: 'silent' };
const after = (milliseconds: number): ProbeOutcome => ({ kind: 'answered', milliseconds });

t.test('before the first probe there is nothing', async (t) => {
  const meter = new ProbeMeter();
  t.same([meter.totals, meter.recent(0)], [{ sent: 0, lost: 0, roundTripMs: 0 }, { sent: 0, lost: 0 }]);
});

t.test('answers, losses, and what was never on the way', async (t) => {
  const meter = new ProbeMeter();
  for (const [now, outcome] of [[0, after(1)], [1000, silent], [2000, after(3)], [3000, { kind: 'tooBig', mtuBytes: 1400 }]] as const) meter.note(outcome, now);
  t.same(meter.totals, { sent: 3, lost: 1, roundTripMs: 4 });
  t.same(meter.recent(3000), { sent: 3, lost: 1, roundTripMs: 2, roundTripMsMax: 3 });
});

t.test('a minute later the totals are what they were, and nothing is recent', async (t) => {
  const meter = new ProbeMeter();
  meter.note(after(2), 0);
  meter.note(silent, 30_000);
  t.same(meter.recent(60_000), { sent: 1, lost: 1 });
  t.same(meter.recent(90_000), { sent: 0, lost: 0 });
  t.same(meter.totals, { sent: 2, lost: 1, roundTripMs: 2 });
});

t.test('however many there are, so many are remembered', async (t) => {
  const meter = new ProbeMeter();
  for (let number = 0; number < 2000; number += 1) meter.note(after(1), 0);
  t.equal(meter.totals.sent, 2000);
  t.equal(meter.recent(0).sent, 512);
});
