import t from 'tap';
import { hintsOf, narrowed, sizesToTry, type Bracket, type Tried } from './search.ts';

const answered = { kind: 'answered', milliseconds: 1 } as const;
const silent = { kind: 'silent' } as const;

/** Searches a path that carries so many bytes; returns what was found and in how many steps. */
function search(pathBytes: number, start: Bracket, { router = false } = {}): { readonly found: number; readonly steps: number; readonly probes: number } {
  let bracket = start;
  let hints: readonly number[] = router ? [pathBytes] : [];
  for (let [steps, probes] = [0, 0]; ; steps += 1) {
    const sizes = sizesToTry(bracket, hints);
    if (sizes.length === 0) return { found: bracket.answeredBytes, steps, probes };
    t.ok(sizes.length <= 24, 'a burst that a queue can take');
    t.ok(sizes.every((size) => size > bracket.answeredBytes && size < bracket.failedBytes), 'only what is not known yet');
    probes += sizes.length;
    bracket = narrowed(bracket, sizes.map((packetBytes) => ({ packetBytes, outcome: packetBytes <= pathBytes ? answered : silent })));
    hints = [];
  }
}

t.test('every size is found', async (t) => {
  for (let size = 1330; size < 1500; size += 1) {
    const { found, steps } = search(size, { answeredBytes: 1330, failedBytes: 1500 });
    t.equal(found, size);
    t.ok(steps <= 3, `${size} took ${steps} steps`);
  }
  for (let size = 1330; size < 9000; size += 97) {
    const { found, steps, probes } = search(size, { answeredBytes: 1330, failedBytes: 9000 });
    t.equal(found, size);
    t.ok(steps <= 5 && probes < 90, `${size} took ${steps} steps and ${probes} probes`);
  }
  t.equal(search(140, { answeredBytes: 140, failedBytes: 65_535 }).found, 140);
  t.equal(search(65_534, { answeredBytes: 140, failedBytes: 65_535 }).found, 65_534);
});

t.test('a usual size is found in one step, and so is one that a router has named', async (t) => {
  for (const [size, full] of [[1400, 1500], [1450, 1500], [1492, 1500], [1500, 9000]] as const) t.equal(search(size, { answeredBytes: 1330, failedBytes: full }).steps, 1, `${size} of ${full}`);
  t.same(search(1377, { answeredBytes: 1330, failedBytes: 9000 }, { router: true }), { found: 1377, steps: 1, probes: 2 });
  t.same(sizesToTry({ answeredBytes: 1330, failedBytes: 1500 }, [1499]), [1499]);
  for (const hint of [0, 68, 1330, 1500, 65_535]) t.ok(sizesToTry({ answeredBytes: 1330, failedBytes: 1500 }, [hint]).length > 2, `${hint} helps nobody`);
});

t.test('what is known is tried no more', async (t) => {
  t.same(sizesToTry({ answeredBytes: 1400, failedBytes: 1401 }), []);
  t.same(sizesToTry({ answeredBytes: 1399, failedBytes: 1401 }), [1400]);
});

t.test('an answer outweighs silence', async (t) => {
  const bracket = { answeredBytes: 1330, failedBytes: 1500 };
  const tried = (...sizes: readonly (readonly [number, boolean])[]): readonly Tried[] => sizes.map(([packetBytes, isAnswered]) => ({ packetBytes, outcome: isAnswered ? answered : silent }));
  t.same(narrowed(bracket, []), bracket);
  t.same(narrowed(bracket, tried([1350, false], [1400, true], [1450, false], [1480, false])), { answeredBytes: 1400, failedBytes: 1450 }, 'one was lost');
  t.same(narrowed(bracket, tried([1350, false], [1400, false])), { answeredBytes: 1330, failedBytes: 1350 });
  t.same(narrowed(bracket, tried([1500, true])), { answeredBytes: 1500, failedBytes: Infinity }, 'what had failed was lost');
});

t.test('hints', async (t) => {
  t.same(hintsOf([{ packetBytes: 1500, outcome: { kind: 'tooBig', mtuBytes: 1400 } }, { packetBytes: 1490, outcome: { kind: 'tooBig', mtuBytes: 1400 } }, { packetBytes: 1480, outcome: { kind: 'tooBig' } }, { packetBytes: 1, outcome: silent }]), [1400]);
});
