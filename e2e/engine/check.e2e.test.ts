/** CHECK looks at the kernel: whatever somebody breaks behind weft's back is named, and DEL clears all of it. */
import t from 'tap';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { damagesOf, inflict } from './damages.ts';
import { done, refused } from './outcomes.ts';
import { createSite, newcomer, type Site, type SiteOptions } from './site.ts';

const skip = skipWithoutLab();
testEachDatapath('CHECK after damage', async (t, datapath) => {
  const site = await createDualSite(t, { datapath });
  const before = site.node.snapshot();
  for (const [index, damage] of damagesOf(datapath).entries()) {
    const attach = newcomer(site, 'damaged');
    const added = await site.node.add(attach);
    if (index === 0) t.match(await site.node.check(attach, added.result), done, 'whole at first');
    inflict(damage, { node: site.node, container: attach.netns, added });
    const outcome = await site.node.check(attach, added.result);
    t.match(outcome, refused(108, damage.words), `${damage.name}: ${describeOutcome(outcome)}`);
    t.match(await site.node.del(attach), done);
    t.same(site.node.snapshot(), before, `DEL clears it: ${damage.name}`);
  }
}, { timeout: 90_000 });

testEachDatapath('an ADD mends what its tenant shares', async (t, datapath) => {
  const site = await createDualSite(t, { datapath });
  const first = await site.lab.attach(site.node, { label: 'first', conf: site.conf });
  const shared = datapath === 'bridge'
    ? ['the bridge is down', 'the VXLAN device is gone', 'the VXLAN device has another VNI']
    : ['the tunnel is gone', 'the tunnel has another VTEP address', 'a flow of the tenant is other than it was'];
  for (const damage of damagesOf(datapath).filter(({ name }) => shared.includes(name))) {
    inflict(damage, { node: site.node, container: first.netns, added: first });
    const next = await site.lab.attach(site.node, { label: 'next', conf: site.conf });
    const outcome = await site.node.check(first.attach, first.result);
    t.match(outcome, done, `${damage.name}: ${describeOutcome(outcome)}`);
    await site.lab.detach(next);
  }
});

t.test('CHECK compares with what ADD had answered', { skip }, async (t) => {
  const site = await createDualSite(t);
  const { attach, result } = await site.lab.attach(site.node, { label: 'compared', conf: site.conf });
  const ips = result.ips ?? [];
  const interfaces = result.interfaces ?? [];
  const rows: readonly (readonly [string, object, RegExp])[] = [
    ['another address', { ips: [{ ...ips[0], address: '10.1.1.77/24' }, ips[1]] }, /prevResult lacks the address 10\.1\.1\.\d+\/24/],
    ['no addresses', { ips: [] }, /prevResult lacks the address 10\.1\.1\.\d+\/24; prevResult lacks the address fd00:1::/],
    ['another MAC', { interfaces: interfaces.map((entry) => ({ ...entry, mac: '02:00:00:00:00:99' })) }, /prevResult gives eth0 the MAC 02:00:00:00:00:99/],
    ['no interfaces', { interfaces: [], ips: ips.map(({ address }) => ({ address })) }, /prevResult lacks the interface eth0/],
  ];
  for (const [name, over, words] of rows) t.match(await site.node.check(attach, { ...result, ...over }), refused(108, words), name);
  t.match(await site.node.check(attach, { ...result, interfaces: interfaces.map((entry) => ({ ...entry, mac: entry.mac?.toUpperCase() })) }), done, 'letters of either case');
});

t.test('CHECK of what is not attached', { skip }, async (t) => {
  const site = await createSite(t);
  const { attach, result } = await site.lab.attach(site.node, { label: 'known', conf: site.conf });
  const stranger = newcomer(site, 'stranger');
  t.match(await site.node.check(stranger, result), refused(3, /Container stranger, eth0 is not attached to network blue on this node: call ADD/));
  t.match(await site.node.check({ ...attach, ifName: 'eth1' }, result), refused(3, /eth1 is not attached/), 'another interface of a known container');
  t.match(await site.node.check({ ...attach, conf: { ...site.conf, name: 'other' } }, result), refused(3, /network other/), 'another network');
  t.match(await site.node.check({ ...attach, netns: 'gone' }, result), refused(4, /CNI_NETNS must be a network namespace that exists/), 'a namespace that is gone');
  t.match(await site.node.check({ ...attach, netns: stranger.netns }, result), refused(108, /container's interface eth0 is missing/), "another container's namespace");
});

async function createDualSite(t: Parameters<typeof createSite>[0], options: SiteOptions = {}): Promise<Site> {
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10' }], [{ subnet: 'fd00:1::/64', rangeStart: 'fd00:1::10' }]];
  const routes = [{ dst: '0.0.0.0/0' }, { dst: '2001:db8::/32' }];
  return createSite(t, { ...options, extra: { ipam: { type: 'weft', ranges, routes } } });
}
