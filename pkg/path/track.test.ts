import t from 'tap';
import type { Survey } from './survey.ts';
import { newTrack, observed, resized, roundsUntilWide, type Track } from './track.ts';

const whole: Survey = { kind: 'whole' };
const unanswered: Survey = { kind: 'unanswered' };
const narrow = (packetBytes: number): Survey => ({ kind: 'narrow', packetBytes, isRefused: false });
const start = 1_000_000;

/** Looks that follow each other, a second apart. */
function after(...surveys: readonly Survey[]): Track {
  return surveys.reduce((track, survey, index) => observed(track, survey, start + index * 1000), newTrack(1500));
}

t.test('a look that has found the path narrow is a finding', async (t) => {
  t.same(after(), { fullBytes: 1500, state: 'unknown', narrowings: [] });
  t.same(after(whole), { fullBytes: 1500, state: 'whole', proof: { packetBytes: 1500, at: start }, narrowings: [] });
  t.same(after(whole, narrow(1400)), { fullBytes: 1500, state: 'narrow', proof: { packetBytes: 1400, at: start + 1000 }, narrow: { packetBytes: 1400, since: start + 1000 }, narrowings: [start + 1000] });
  t.match(after(narrow(1400), narrow(1350)).narrow, { packetBytes: 1350, since: start }, 'smaller at once');
});

t.test('it is taken back when two looks in a row have seen the path wide', async (t) => {
  t.match(after(narrow(1400), whole), { state: 'whole', proof: { packetBytes: 1500 }, narrow: { packetBytes: 1400 } });
  t.equal(after(narrow(1400), whole, whole).narrow, undefined);
  t.match(after(narrow(1400), whole, narrow(1400), whole).narrow, { packetBytes: 1400 }, 'they disagree');
  t.match(after(narrow(1400), whole, unanswered, whole).narrow, { packetBytes: 1400 });
  t.match(after(narrow(1400), whole, narrow(1450)).narrow, { packetBytes: 1400 }, 'of two sizes none was seen twice');
  t.match(after(narrow(1400), narrow(1450), narrow(1450)).narrow, { packetBytes: 1450, since: start }, 'a little wider');
  t.equal(after(narrow(1400), whole, { kind: 'unclear' }, whole).narrow, undefined, 'what says nothing counts for nothing');
});

t.test('silence is no finding, and ends none', async (t) => {
  t.match(after(unanswered, unanswered, unanswered), { state: 'unanswered', narrow: undefined, proof: undefined });
  t.match(after(narrow(1400), unanswered, unanswered), { state: 'unanswered', narrow: { packetBytes: 1400 }, proof: { packetBytes: 1400, at: start } });
  t.same(after(whole, { kind: 'unclear' }), after(whole));
});

t.test('a path that flaps has to be wide for longer each time', async (t) => {
  let track = newTrack(1500);
  let now = start;
  const rounds: number[] = [];
  for (let time = 0; time < 7; time += 1) {
    track = observed(track, narrow(1400), (now += 1000));
    let count = 0;
    for (; track.narrow !== undefined; count += 1) track = observed(track, whole, (now += 1000));
    rounds.push(count);
  }
  t.same(rounds, [2, 4, 8, 16, 32, 32, 32]);
  t.equal(roundsUntilWide(track, now + 3_600_000), 2, 'after an hour that is forgotten');
});

t.test('what an earlier daemon has found holds until the path is proven', async (t) => {
  const remembered = newTrack(1500, { packetBytes: 1400, since: 5 });
  t.same(remembered, { fullBytes: 1500, state: 'unknown', narrow: { packetBytes: 1400, since: 5 }, narrowings: [5] });
  t.match(observed(remembered, whole, start).narrow, { packetBytes: 1400 });
  t.equal(observed(observed(remembered, whole, start), whole, start + 1).narrow, undefined);
  t.equal(newTrack(1400, { packetBytes: 1400, since: 5 }).narrow, undefined, 'the interfaces say so by now');
});

t.test('another MTU of the interface', async (t) => {
  t.match(resized(after(narrow(1400), whole), 9000), { fullBytes: 9000, state: 'unknown', narrow: { packetBytes: 1400 }, wider: undefined });
  t.equal(resized(after(narrow(1400)), 1400).narrow, undefined);
  t.match(resized(after(narrow(1400)), 1401).narrow, { packetBytes: 1400 });
});
