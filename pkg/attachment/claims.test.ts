import t from 'tap';
import { Claims } from './claims.ts';

/** Work that a test ends. */
function work(): { readonly run: () => Promise<string>; end(): void; fail(): void } {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  return { run: () => promise, end: () => resolve('done'), fail: () => reject(new Error('failed')) };
}

t.test('an attachment is claimed as long as the work on it takes', async (t) => {
  const claims = new Claims();
  const one = work();
  t.equal(claims.has(1), false);
  const held = claims.hold(1, one.run);
  t.equal(claims.has(1), true, 'before the work has done anything');
  t.equal(claims.has(2), false, 'others are not');
  one.end();
  t.equal(await held, 'done', 'it answers with what the work answers');
  t.equal(claims.has(1), false);
});

t.test('two calls about the same attachment: until the last has ended', async (t) => {
  const claims = new Claims();
  const [one, two] = [work(), work()];
  const [first, second] = [claims.hold(1, one.run), claims.hold(1, two.run)];
  one.end();
  await first;
  t.equal(claims.has(1), true);
  two.end();
  await second;
  t.equal(claims.has(1), false);
});

t.test('work that fails claims nothing any more', async (t) => {
  const claims = new Claims();
  const one = work();
  const held = claims.hold(1, one.run);
  one.fail();
  await t.rejects(held, { message: 'failed' });
  t.equal(claims.has(1), false);
  await t.rejects(claims.hold(1, () => { throw new Error('at once'); }), { message: 'at once' });
  t.equal(claims.has(1), false, 'nor does work that does not even begin');
});

t.test('work within the work of the same attachment', async (t) => {
  const claims = new Claims();
  await claims.hold(1, async () => {
    await claims.hold(1, () => Promise.resolve());
    t.equal(claims.has(1), true, 'the outer one goes on');
  });
  t.equal(claims.has(1), false);
});
