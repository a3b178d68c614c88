import { closeSync } from 'node:fs';
import t from 'tap';
import { run, runIn } from '../testing/command.ts';
import { createNetns, netnsPath } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { readFeatures, setFeatures } from './ethtool-features.ts';
import { insideNetns, openNetns } from './netns.ts';

void t.test('features of a VXLAN device', { skip: skipUnless({ root: true, tools: ['ip', 'ethtool'] }) }, (t) => {
  const netns = createNetns(t);
  const fd = openNetns(netnsPath(netns));
  t.teardown(() => closeSync(fd));
  run('ip', ['-n', netns, 'link', 'add', 'vx', 'type', 'vxlan', 'id', '7', 'local', '192.0.2.1', 'dstport', '4789']);
  const shown = (): Map<string, string> => new Map([...runIn(netns, 'ethtool', '-k', 'vx').matchAll(/^\t?([\w-]+): (on|off)/gm)].map(([, name = '', state = '']) => [name, state]));
  const features = insideNetns(fd, () => readFeatures('vx'));
  // ethtool(8) has names of its own for some, and for groups of them.
  const common = [...shown()].filter(([name]) => features.has(name));
  t.ok(common.length > 20);
  t.same(common.map(([name]) => [name, features.get(name)?.isOn === true ? 'on' : 'off']), common);
  t.equal(features.get('tx-udp_tnl-segmentation')?.isFixed, true);
  t.same(features.get('tx-checksum-ip-generic'), { isOn: true, isFixed: false });

  insideNetns(fd, () => setFeatures('vx', ['tx-checksum-ip-generic', 'tx-nocache-copy', 'no-such-feature'], false));
  t.same(['tx-checksum-ip-generic', 'tx-nocache-copy', 'tx-tcp-segmentation'].map((name) => shown().get(name)), ['off', 'off', 'off'], 'and segmentation, which cannot do without');
  insideNetns(fd, () => setFeatures('vx', ['tx-checksum-ip-generic'], true));
  t.same(['tx-checksum-ip-generic', 'tx-nocache-copy', 'tx-tcp-segmentation'].map((name) => shown().get(name)), ['on', 'off', 'on']);
  t.throws(() => insideNetns(fd, () => readFeatures('nowhere')), { name: 'SystemCallError', code: 'ENODEV' });
  t.end();
});
