import t from 'tap';
import { nextTurn, pause, startInterval, startTimer, withDeadline } from './timer.ts';

const longMs = 60_000;

t.test('startTimer calls once, unless it is taken back', async (t) => {
  const called: string[] = [];
  const cancel = startTimer(1, () => called.push('cancelled'));
  cancel();
  cancel();
  startTimer(2, () => called.push('called'));
  await pause(50);
  t.same(called, ['called']);
});

t.test('startInterval calls until it is taken back', async (t) => {
  let calls = 0;
  const third = Promise.withResolvers<void>();
  const cancel = startInterval(1, () => {
    calls += 1;
    if (calls === 3) third.resolve();
  });
  const keepAlive = startAlive();
  await third.promise;
  keepAlive();
  cancel();
  const atEnd = calls;
  await pause(30);
  t.equal(calls, atEnd);
});

t.test('withDeadline: whichever is first', async (t) => {
  const never = new Promise<string>(() => undefined);
  const keepAlive = startAlive();
  t.equal(await withDeadline(never, { ms: 5, late: () => 'late' }), 'late');
  t.equal(await withDeadline(Promise.resolve('done'), { ms: longMs, late: () => 'late' }), 'done');
  await t.rejects(withDeadline(Promise.reject(new Error('failed')), { ms: longMs, late: () => 'late' }), { message: 'failed' });
  let calls = 0;
  await withDeadline(pause(2), { ms: 10, late: () => (calls += 1) });
  await pause(50);
  t.equal(calls, 0, 'what is in time leaves no timer behind');
  keepAlive();
});

t.test('nextTurn lets what waits go first', async (t) => {
  const order: string[] = [];
  setImmediate(() => order.push('waiting'));
  await nextTurn();
  order.push('after');
  t.same(order, ['waiting', 'after']);
});

/** The timers under test keep no process alive. */
function startAlive(): () => void {
  const timer = setInterval(() => undefined, longMs);
  return () => clearInterval(timer);
}
