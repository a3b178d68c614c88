import t from 'tap';
import { nextTurn } from '../../../sys/timer.ts';
import { NameTurns, TurnBatch } from './turn.ts';

t.test('what comes in one turn goes together, what comes later does not', async (t) => {
  const batches: (readonly number[])[] = [];
  const batch = new TurnBatch<number>((items) => batches.push(items));
  batch.push(1);
  await Promise.resolve();
  batch.push(2);
  t.same(batches, []);
  await nextTurn();
  t.same(batches, [[1, 2]]);
  batch.push(3);
  await nextTurn();
  t.same(batches, [[1, 2], [3]]);
});

t.test('tasks of one name run one behind the other, others do not wait', async (t) => {
  const turns = new NameTurns();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.run(['a', 'b'], async () => {
    seen.push('first');
    await gate.promise;
    seen.push('first ends');
  });
  const second = turns.run(['b', 'a'], async () => void seen.push('second'));
  const third = turns.run(['a'], async () => void seen.push('third'));
  await turns.run(['c'], async () => void seen.push('other'));
  t.same(seen, ['first', 'other']);
  t.ok(turns.has('a'));
  gate.resolve();
  await Promise.all([first, second, third]);
  t.same(seen, ['first', 'other', 'first ends', 'second', 'third']);
  t.notOk(turns.has('a') || turns.has('b') || turns.has('c'));
});

t.test('a task that fails lets the next one go', async (t) => {
  const turns = new NameTurns();
  const failing = turns.run(['a'], () => Promise.reject(new Error('no')));
  const next = turns.run(['a'], () => Promise.resolve(1));
  await t.rejects(failing, { message: 'no' });
  t.equal(await next, 1);
});
