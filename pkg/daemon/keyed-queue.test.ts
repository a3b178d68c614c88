import t from 'tap';
import { KeyedQueue } from './keyed-queue.ts';

/** Work that ends when the test says so, and writes down when it begins. */
function createWork(begun: string[]): (name: string) => { readonly work: () => Promise<string>; readonly end: (error?: Error) => void } {
  return (name) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const work = (): Promise<string> => {
      begun.push(name);
      return promise;
    };
    return { work, end: (error) => (error === undefined ? resolve(name) : reject(error)) };
  };
}

t.test('one after the other for a key, in the order in which they came', async (t) => {
  const queue = new KeyedQueue();
  const begun: string[] = [];
  const create = createWork(begun);
  const [a, b, c] = [create('a'), create('b'), create('c')];
  const results = [queue.run('key', a.work), queue.run('key', b.work), queue.run('key', c.work)];
  await settled();
  t.same(begun, ['a']);
  c.end();
  await settled();
  t.same(begun, ['a'], 'that a later one could end at once is no reason');
  a.end();
  await settled();
  t.same(begun, ['a', 'b']);
  b.end();
  t.same(await Promise.all(results), ['a', 'b', 'c']);
});

t.test('other keys do not wait', async (t) => {
  const queue = new KeyedQueue();
  const begun: string[] = [];
  const create = createWork(begun);
  const [a, b] = [create('a'), create('b')];
  const results = [queue.run('one', a.work), queue.run('another', b.work)];
  t.same(begun, ['a', 'b'], 'work begins at once where there is nothing to wait for');
  a.end();
  b.end();
  await Promise.all(results);
});

t.test('work that fails stops nobody', async (t) => {
  const queue = new KeyedQueue();
  const begun: string[] = [];
  const create = createWork(begun);
  const [a, b] = [create('a'), create('b')];
  const first = queue.run('key', a.work);
  const second = queue.run('key', b.work);
  a.end(new Error('a failed'));
  b.end();
  await t.rejects(first, { message: 'a failed' });
  t.equal(await second, 'b');
  await t.rejects(queue.run('key', () => Promise.reject(new Error('c failed'))), { message: 'c failed' });
  t.equal(await queue.run('key', () => Promise.resolve('d')), 'd');
});

t.test('many keys and many works: never two of one key', async (t) => {
  const queue = new KeyedQueue();
  const running = new Map<number, number>();
  const order = new Map<number, number[]>();
  let overlaps = 0;
  await Promise.all(Array.from({ length: 600 }, (_, number) => {
    const key = number % 7;
    return queue.run(`${key}`, async () => {
      running.set(key, (running.get(key) ?? 0) + 1);
      if (running.get(key) !== 1) overlaps += 1;
      for (let turn = 0; turn < number % 4; turn += 1) await settled();
      running.set(key, (running.get(key) ?? 0) - 1);
      order.set(key, [...(order.get(key) ?? []), number]);
    });
  }));
  t.equal(overlaps, 0);
  for (const [key, numbers] of order) t.same(numbers, [...numbers].sort((a, b) => a - b), `key ${key}`);
});

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
