import { closeSync } from 'node:fs';
import t from 'tap';
import { run } from '../testing/command.ts';
import { createNetns, netnsPath } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { readDriver } from './ethtool-driver.ts';
import { insideNetns, openNetns } from './netns.ts';
import { readQueueLength, setQueueLength } from './queue-length.ts';

void t.test('the queue of an interface, and its driver', { skip: skipUnless({ root: true, tools: ['ip'] }) }, (t) => {
  const netns = createNetns(t);
  const fd = openNetns(netnsPath(netns));
  t.teardown(() => closeSync(fd));
  run('ip', ['-n', netns, 'link', 'add', 'e0', 'txqueuelen', '77', 'type', 'veth', 'peer', 'name', 'e1']);
  const inside = <T>(fn: () => T): T => insideNetns(fd, fn);
  t.equal(inside(() => readQueueLength('e0')), 77);
  inside(() => setQueueLength('e0', 500));
  t.match(run('ip', ['-n', netns, 'link', 'show', 'dev', 'e0']), /qlen 500/);
  t.equal(inside(() => readDriver('e0')), 'veth');
  for (const ask of [readQueueLength, readDriver]) t.throws(() => inside(() => ask('nowhere')), { name: 'SystemCallError', code: 'ENODEV' });
  t.end();
});
