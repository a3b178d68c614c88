/** DEL never gets in the way: with the namespace gone, the configuration incomplete, and a second time. */
import t from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { findLink, readLinks } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { tracesOfTenant } from '../harness/kernel-view.ts';
import { attachEnv, type DatapathName, type NodeSnapshot } from '../harness/lab-node.ts';
import type { Attached } from '../harness/lab.ts';
import { integrationBridge } from '../harness/node-switch.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { done, refused, succeeded } from './outcomes.ts';
import { addressesOf, blueVni, createSite, hasHostIf, newcomer, rangeOf, type Site } from './site.ts';

const skip = skipWithoutLab();

/** A DEL as somebody may send it; whatever is said here is all that it says. */
interface Variant {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: (site: Site, attached: Attached) => object;
  /** Done before the DEL. */
  readonly prepare?: (attached: Attached) => void;
  /** Where it makes sense. @default both */
  readonly datapath?: DatapathName;
}

const variants: readonly Variant[] = [
  { name: 'as containerd sends it: an empty CNI_NETNS and no prevResult', env: { CNI_NETNS: '' } },
  { name: 'with the namespace gone and its path too', prepare: ({ netns }) => void run('ip', ['netns', 'del', netns]) },
  { name: 'with a path that is no namespace any more', env: { CNI_NETNS: '/proc/version' } },
  { name: "with the path of another container's namespace", env: { CNI_NETNS: '/proc/self/ns/net' } },
  { name: 'with nothing but cniVersion, name and type', stdin: () => ({ cniVersion: '1.0.0', name: 'blue', type: 'weft' }) },
  { name: 'with the name missing', stdin: ({ conf }) => ({ ...conf, name: undefined }) },
  { name: 'with a name that is none', stdin: ({ conf }) => ({ ...conf, name: '../blue' }) },
  { name: 'with nothing at all', stdin: () => ({}) },
  { name: 'with unknown keys', stdin: ({ conf }) => ({ ...conf, vmi: 7, ipam: { type: 'weft', rages: 1 } }) },
  { name: 'with values that are wrong by now', stdin: ({ conf }) => ({ ...conf, vni: 0, vtep: { interface: 'gone0' }, ipam: 'none' }) },
  { name: 'with a version weft does not speak', stdin: ({ conf }) => ({ ...conf, cniVersion: '2.0.0' }) },
  { name: 'with another VNI and tenant than it was added with', stdin: ({ conf }) => ({ ...conf, vni: 1002, tenant: 'red' }) },
  { name: 'with another IPAM plugin than it was added with', stdin: ({ conf }) => ({ ...conf, ipam: { type: 'no-such-plugin' } }) },
  { name: 'with a prevResult that is broken', stdin: ({ conf }) => ({ ...conf, prevResult: { ips: 'none' } }) },
  { name: 'with CNI_ARGS that an ADD would refuse', env: { CNI_ARGS: 'novalue;WEFT_ENDPONT=x' } },
  { name: 'with the container interface gone', prepare: ({ netns }) => void run('ip', ['-n', netns, 'link', 'del', 'eth0']) },
  { name: "with the switch's bridge gone", datapath: 'ovs', prepare: ({ node }) => void node.openVSwitch.vsctl('del-br', integrationBridge) },
  { name: "with the tenant's bridge and VXLAN device gone", datapath: 'bridge', prepare: ({ node }) => ['weft-vx1001', 'weft-br1001'].forEach((name) => run('ip', ['-n', node.netns, 'link', 'del', name])) },
];

testEachDatapath('DEL', async (t, datapath) => {
  const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10') });
  const before = site.node.snapshot();
  const meant = variants.filter((variant) => variant.datapath === undefined || variant.datapath === datapath);
  for (const [index, { name, env = {}, stdin = () => site.conf, prepare }] of meant.entries()) {
    const attached = await site.lab.attach(site.node, { label: `c${index}`, conf: site.conf });
    prepare?.(attached);
    const outcome = await site.node.call({ env: { ...attachEnv('DEL', attached.attach), ...env }, stdin: JSON.stringify(stdin(site, attached)) });
    t.match(outcome, done, `${name}: ${describeOutcome(outcome)}`);
    // The range has one address: the next row's ADD shows that it is free again.
    t.same(site.node.snapshot(), before, 'the node is as before');
  }
});

testEachDatapath('DEL twice, and of what never was', async (t, datapath) => {
  const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10') });
  const attached = await site.lab.attach(site.node, { label: 'one', conf: site.conf });
  const successor = newcomer(site, 'successor');
  t.match(await site.node.del(attached.attach), done);
  t.match(await site.node.add(successor), succeeded);
  const between = site.node.snapshot();
  t.match(await site.node.del(attached.attach), done, 'a second time');
  t.match(await site.node.del(newcomer(site, 'never')), done, 'of a container that was never attached');
  t.match(await site.node.del({ ...successor, ifName: 'eth1' }), done, 'of another interface of one that is');
  t.match(await site.node.del({ ...successor, conf: { ...site.conf, name: 'red' } }), done, 'of another network');
  t.same(site.node.snapshot(), between, 'nothing of the successor is touched');
  t.match(await site.node.add(newcomer(site, 'third')), refused(102, /No address is free/), 'its address neither');
});

testEachDatapath('DEL on a node that has never seen weft', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const before: NodeSnapshot = site.node.snapshot();
  t.match(await site.node.del(newcomer(site, 'stranger')), done);
  t.match(await site.node.del({ ...newcomer(site, 'stranger'), conf: {} }), done);
  t.same(site.node.snapshot(), before);
});

testEachDatapath('DEL that lost its ledger', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const before = site.node.snapshot();
  const attached = await site.lab.attach(site.node, { label: 'one', conf: site.conf });
  run('sh', ['-c', `rm ${site.node.stateDirectory}/ledger.db*`]);
  t.match(await site.node.del(attached.attach), done);
  t.notOk(hasHostIf(site.node, attached), "the veth's name follows from the key");
  t.equal(readLinks(attached.netns).length, 1, 'the container has only loopback left');
  t.match(await site.node.gc(site.conf, []), done);
  t.same(site.node.snapshot(), before, 'GC removes the rest');
});

testEachDatapath('DEL of one of two interfaces in the same container', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const first = await site.lab.attach(site.node, { label: 'two', conf: site.conf });
  const second = { ...first.attach, ifName: 'net1' };
  const added = await site.node.add(second);
  t.match(added, succeeded);
  t.not(addressesOf(added)[0], addressesOf(first)[0]);
  t.match(await site.node.del(first.attach), done);
  t.notOk(findLink(first.netns, 'eth0'));
  t.match(await site.node.check(second, added.result), done);
  t.match(await site.node.del({ ...second, conf: {} }), done, 'without a name the interface is enough');
  t.same(tracesOfTenant(site.node, blueVni), []);
});

t.test('what a DEL does refuse', { skip }, async (t) => {
  const site = await createSite(t);
  const env = attachEnv('DEL', newcomer(site, 'one'));
  t.match(await site.node.call({ env: { ...env, CNI_CONTAINERID: '' }, stdin: '{}' }), refused(4, /CNI_CONTAINERID must be set for DEL/));
  t.match(await site.node.call({ env: { ...env, CNI_IFNAME: '' }, stdin: '{}' }), refused(4, /CNI_IFNAME must be set for DEL/));
  t.match(await site.node.call({ env, stdin: '{' }), refused(6, /must be JSON/));
});
