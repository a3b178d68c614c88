import { closeSync } from 'node:fs';
import t from 'tap';
import { run, runIn } from '../testing/command.ts';
import { createNetns, netnsPath } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { insideNetns, openNetns } from './netns.ts';
import { setSysctl, trySetSysctl } from './sysctl.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'cat'] });

void t.test('sysctls of the namespace the thread is in', { skip }, async (t) => {
  const netns = createNetns(t);
  run('ip', ['-n', netns, 'link', 'add', 'a.b', 'type', 'bridge']);
  const read = (path: string): string => runIn(netns, 'cat', `/proc/sys/net/${path}`).trim();
  const outside = run('cat', ['/proc/sys/net/ipv4/ip_forward']);
  const fd = openNetns(netnsPath(netns));
  t.teardown(() => closeSync(fd));
  const inside = (fn: () => void): void => insideNetns(fd, fn);

  inside(() => setSysctl(['ipv4', 'ip_forward'], '1'));
  t.equal(read('ipv4/ip_forward'), '1');
  inside(() => setSysctl(['ipv4', 'ip_forward'], '1'));
  t.equal(read('ipv4/ip_forward'), '1', 'a second time');
  inside(() => setSysctl(['ipv4', 'ip_forward'], '0'));
  t.equal(read('ipv4/ip_forward'), '0');
  t.equal(run('cat', ['/proc/sys/net/ipv4/ip_forward']), outside, 'the own namespace is as it was');

  inside(() => setSysctl(['ipv4', 'conf', 'a.b', 'arp_ignore'], '1'));
  t.equal(read('ipv4/conf/a.b/arp_ignore'), '1', 'a name with a dot');
  inside(() => trySetSysctl(['ipv4', 'conf', 'a.b', 'arp_notify'], '1'));
  t.equal(read('ipv4/conf/a.b/arp_notify'), '1');
});

void t.test('what cannot be set', { skip }, async (t) => {
  const missing = ['ipv4', 'conf', 'no-such-link', 'arp_ignore'];
  t.throws(() => setSysctl(missing, '1'), { code: 'ioFailure', message: 'Cannot set /proc/sys/net/ipv4/conf/no-such-link/arp_ignore to 1' });
  t.doesNotThrow(() => trySetSysctl(missing, '1'));
});
