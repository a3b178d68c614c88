import t from 'tap';
import { Gate } from './gate.ts';

t.test('so many at a time, the others in the order in which they came', async (t) => {
  const gate = new Gate(2);
  const begun: number[] = [];
  const works = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const results = works.map(({ promise }, number) => gate.run(() => {
    begun.push(number);
    return promise;
  }));
  await settled();
  t.same(begun, [0, 1]);
  works[1]?.resolve(1);
  await settled();
  t.same(begun, [0, 1, 2], 'the place of one that has ended is taken by the first that waits');
  works[0]?.reject(new Error('failed'));
  await t.rejects(results[0] ?? Promise.resolve(0), { message: 'failed' });
  await settled();
  t.same(begun, [0, 1, 2, 3], 'also when it failed');
  for (const [number, work] of works.entries()) work.resolve(number);
  t.same(await Promise.all(results.slice(1)), [1, 2, 3, 4]);
});

t.test('nobody who comes later overtakes', async (t) => {
  const gate = new Gate(1);
  const begun: string[] = [];
  const first = Promise.withResolvers<void>();
  const late: Promise<void>[] = [];
  const note = (name: string) => (): Promise<void> => {
    begun.push(name);
    return Promise.resolve();
  };
  const works = [gate.run(() => first.promise), gate.run(note('waiting'))];
  void first.promise.then(() => late.push(gate.run(note('late'))));
  first.resolve();
  await Promise.all(works);
  await Promise.all(late);
  t.same(begun, ['waiting', 'late']);
});

t.test('places come back, however many have used them', async (t) => {
  const gate = new Gate(3);
  let running = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 200 }, (_, number) => gate.run(async () => {
    running += 1;
    most = Math.max(most, running);
    await settled();
    running -= 1;
    if (number % 3 === 0) throw new Error('one of many');
  }).catch(() => undefined)));
  t.equal(most, 3);
  t.equal(await gate.run(() => Promise.resolve('in')), 'in');
});

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
