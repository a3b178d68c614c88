import { closeSync } from 'node:fs';
import t from 'tap';
import { run, runIn } from '../testing/command.ts';
import { createNetns, netnsPath } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { setTxChecksum } from './ethtool.ts';
import { insideNetns, openNetns } from './netns.ts';

void t.test('checksums of what an interface sends', { skip: skipUnless({ root: true, tools: ['ip', 'ethtool'] }) }, (t) => {
  const netns = createNetns(t);
  const fd = openNetns(netnsPath(netns));
  t.teardown(() => closeSync(fd));
  run('ip', ['-n', netns, 'link', 'add', 'e0', 'type', 'veth', 'peer', 'name', 'e1']);
  const state = (feature: string): string | undefined => new RegExp(`^${feature}: (\\w+)`, 'm').exec(runIn(netns, 'ethtool', '-k', 'e0'))?.[1];
  t.equal(state('tx-checksumming'), 'on');
  insideNetns(fd, () => setTxChecksum('e0', false));
  t.equal(state('tx-checksumming'), 'off');
  t.equal(state('\ttx-tcp-segmentation'), 'off', 'nor segmentation, which cannot do without');
  insideNetns(fd, () => setTxChecksum('e0', true));
  t.equal(state('tx-checksumming'), 'on');
  t.throws(() => insideNetns(fd, () => setTxChecksum('nowhere', false)), { name: 'SystemCallError', code: 'ENODEV' });
  t.end();
});
