import { closeSync } from 'node:fs';
import t from 'tap';
import { run, runIn } from '../testing/command.ts';
import { createNetns, netnsPath } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { readFeatures, setFeature, type Feature } from './ethtool-features.ts';
import { readRings, setRing } from './ethtool-rings.ts';
import { insideNetns, openNetns } from './netns.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'ethtool'] });

/** What ethtool(8) calls otherwise than the kernel does (ethtool's common.c, off_flag_def). */
const ethtoolNames: ReadonlyMap<string, string> = new Map([
  ['rx-checksum', 'rx-checksumming'], ['tx-generic-segmentation', 'generic-segmentation-offload'], ['rx-gro', 'generic-receive-offload'], ['rx-lro', 'large-receive-offload'],
  ['tx-vlan-hw-insert', 'tx-vlan-offload'], ['rx-vlan-hw-parse', 'rx-vlan-offload'], ['rx-ntuple-filter', 'ntuple-filters'], ['rx-hashing', 'receive-hashing'],
]);

/** `ethtool -k`: a feature's line by its name there. */
function readByEthtool(netns: string, link: string): ReadonlyMap<string, string> {
  const lines = [...runIn(netns, 'ethtool', '-k', link).matchAll(/^\t?([\w-]+): (.*)$/gm)];
  return new Map(lines.map(([, name = '', state = '']) => [name, state.trim()]));
}

function inWords({ on, changeable, wanted }: Feature): string {
  const asked = on === wanted ? '' : ` [requested ${wanted ? 'on' : 'off'}]`;
  return `${on ? 'on' : 'off'}${changeable ? asked : ' [fixed]'}`;
}

void t.test('features of an interface', { skip }, (t) => {
  const netns = createNetns(t);
  const fd = openNetns(netnsPath(netns));
  t.teardown(() => closeSync(fd));
  run('ip', ['-n', netns, 'link', 'add', 'e0', 'type', 'veth', 'peer', 'name', 'e1']);
  const inside = <T>(fn: () => T): T => insideNetns(fd, fn);
  const compare = (what: string): void => {
    const theirs = readByEthtool(netns, 'e0');
    const ours = inside(() => readFeatures('e0'));
    const shared = [...ours].map(([name, feature]) => [ethtoolNames.get(name) ?? name, inWords(feature)] as const).filter(([name]) => theirs.has(name));
    t.ok(shared.length > 40, `${what}: ${shared.length} features have a name that ethtool knows`);
    t.same(Object.fromEntries(shared), Object.fromEntries(shared.map(([name]) => [name, theirs.get(name)])), `${what}: as ethtool shows them`);
  };
  compare('at first');
  for (const feature of ['tx-udp_tnl-segmentation', 'rx-gro', 'tx-checksum-ip-generic'] as const) {
    const before = inside(() => readFeatures('e0')).get(feature);
    if (before === undefined) throw new Error(`this kernel has no ${feature}`);
    inside(() => setFeature('e0', feature, !before.on));
    t.equal(inside(() => readFeatures('e0')).get(feature)?.on, !before.on, `${feature} is changed`);
    compare(`${feature} changed`);
    inside(() => setFeature('e0', feature, before.on));
    compare(`${feature} as it was`);
  }
  t.throws(() => inside(() => setFeature('e0', 'tx-time-travel', true)), { name: 'RangeError', message: 'the feature must be one that this kernel has: current value is tx-time-travel' });
  t.throws(() => inside(() => readFeatures('nowhere')), { name: 'SystemCallError', code: 'ENODEV' });
  t.equal(inside(() => readFeatures('e1')).get('rx-gro')?.on, readByEthtool(netns, 'e1').get('generic-receive-offload') === 'on', 'the other end is as it is');
  t.end();
});

void t.test('a device without hardware has no rings', { skip }, (t) => {
  const netns = createNetns(t);
  const fd = openNetns(netnsPath(netns));
  t.teardown(() => closeSync(fd));
  run('ip', ['-n', netns, 'link', 'add', 'e0', 'type', 'bridge']);
  t.equal(insideNetns(fd, () => readRings('e0')), undefined);
  t.throws(() => insideNetns(fd, () => setRing('e0', 'rx', 256)), { message: 'e0 has no rings' });
  t.end();
});
