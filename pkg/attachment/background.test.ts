import t from 'tap';
import { Background } from './background.ts';

t.test('idle() waits for all of it, also for what is left meanwhile', async (t) => {
  const said: string[] = [];
  const background = new Background((message) => said.push(message));
  await background.idle();
  let finish: () => void = () => undefined;
  let isIdle = false;
  background.leave(new Promise((resolve) => (finish = resolve)), 'the first');
  const idle = background.idle().then(() => (isIdle = true));
  background.leave(Promise.resolve(), 'the second');
  await new Promise(setImmediate);
  t.equal(isIdle, false);
  background.leave(Promise.reject(new Error('the disk is full')), 'the third');
  finish();
  await idle;
  t.same(said, ['the third failed: the disk is full']);
});
