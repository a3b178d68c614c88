import t from 'tap';
import { frrRequirements, startFrr } from '../testing/frr.ts';
import { skipUnless } from '../testing/requirements.ts';
import { eventually, soon } from './test-lab.ts';
import { VtyKeeper } from './vty-keeper.ts';

const skip = skipUnless(frrRequirements);

t.test('a daemon that ends and comes again', { skip }, async (t) => {
  const frr = await startFrr(t);
  await frr.kill('bgpd');
  const told: string[] = [];
  const keeper = new VtyKeeper({ daemon: 'bgpd', runDirectory: frr.runDirectory, onUp: (vty) => told.push(vty.isOpen ? 'up' : 'up but closed'), onDown: ({ kind }) => told.push(kind) });
  t.teardown(() => keeper.close());
  t.equal(keeper.vty, undefined);
  await eventually('its absence', async () => keeper.problem);
  await frr.start('bgpd');
  const first = await eventually('it', async () => keeper.vty);
  t.equal(keeper.problem, undefined);
  t.match(await first.ask('show version', soon), /^FRRouting/);
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const before = keeper.vty;
    await frr.kill('bgpd', signal);
    await eventually('its end', async () => keeper.problem);
    t.equal(keeper.vty, undefined);
    await frr.start('bgpd');
    t.not(await eventually('it again', async () => keeper.vty), before);
  }
  t.same(told, ['notRunning', 'up', 'lost', 'up', 'lost', 'up'], 'an outage is told once');
  keeper.close();
  await frr.kill('bgpd');
  t.equal(told.length, 6);
  t.equal(keeper.vty, undefined);
});
