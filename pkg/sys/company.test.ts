import t from 'tap';
import { alone, companyOf } from './company.ts';
import { nextTurn } from './timer.ts';

t.test('one call is alone, two are not', async (t) => {
  t.equal(alone.isAlone(), true);
  t.same([0, 1, 2, 100].map((count) => companyOf(() => count).isAlone()), [true, true, false, false]);
});

t.test('few wait for whoever comes within the same turn, a crowd a little longer', async (t) => {
  for (const [count, isLonger] of [[2, false], [64, true]] as const) {
    let isOver = false;
    const gathering = companyOf(() => count).gather().then(() => (isOver = true));
    await nextTurn();
    await nextTurn();
    t.equal(isOver, !isLonger, `${count} calls`);
    await gathering;
  }
});
