/** GC keeps what the runtime says is valid in this network, and removes the rest and whatever belongs to nothing. */
import { run, runIn } from '../../pkg/testing/command.ts';
import { findLink, readRuleset } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { LabNode } from '../harness/lab-node.ts';
import type { Attached } from '../harness/lab.ts';
import { makeSwitchGarbage } from '../harness/switch-garbage.ts';
import { done, refused, succeeded } from './outcomes.ts';
import { addressesOf, createSite, endContainer, hasHostIf, newcomer, rangeOf, type Site } from './site.ts';

const valid = ({ attach: { containerId, ifName = 'eth0' } }: Attached): { containerID: string; ifname: string } => ({ containerID: containerId, ifname: ifName });

testEachDatapath('GC keeps the valid attachments and removes the others', async (t, datapath) => {
  const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10', '10.1.1.12') });
  const { node } = site;
  const red = { ...site.conf, name: 'red', vni: 1002 };
  const [kept, lost, wrongInterface] = [await attach(site, 'kept'), await attach(site, 'lost'), await attach(site, 'wrong')];
  const ofOtherNetwork = await site.lab.attach(node, { label: 'other', conf: red });
  const ofOtherNetworkOfTenant = { ...ofOtherNetwork.attach, conf: { ...site.conf, name: 'blue-second', tenant: 'blue' } };

  const outcome = await node.gc(site.conf, [valid(kept), { ...valid(wrongInterface), ifname: 'eth1' }, { containerID: 'unknown', ifname: 'eth0' }]);
  t.match(outcome, done, describeOutcome(outcome));
  t.match(await node.check(kept.attach, kept.result), done, 'the valid one is whole');
  for (const removed of [lost, wrongInterface]) {
    t.notOk(hasHostIf(node, removed));
    t.notOk(findLink(removed.netns, 'eth0'), 'the container has lost its interface');
    t.match(await node.check(removed.attach, removed.result), refused(3, /call ADD/));
  }
  t.match(await node.check(ofOtherNetwork.attach, ofOtherNetwork.result), done, "another network's attachment is not this GC's business");

  const again = [await attach(site, 'again1'), await attach(site, 'again2')];
  t.same(again.flatMap(addressesOf).sort(), [lost, wrongInterface].flatMap(addressesOf).sort(), 'the addresses of the removed are free');
  for (const { attach: late } of [lost, wrongInterface]) t.match(await node.del(late), done, 'their late DELs succeed');
  for (const { attach: present, result } of again) t.match(await node.check(present, result), done, 'and take nothing from their successors');

  t.match(await node.gc(ofOtherNetworkOfTenant.conf, []), done, 'another network of the same tenant');
  t.match(await node.check(kept.attach, kept.result), done, 'has no say in what it did not attach');
});

testEachDatapath('GC with null, as CRI-O sends it, removes all of the network', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const before = site.node.snapshot();
  const other = await site.lab.attach(site.node, { label: 'other', conf: { ...site.conf, name: 'red', vni: 1002 } });
  const between = site.node.snapshot();
  for (const label of ['one', 'two']) await attach(site, label);
  t.match(await site.node.gc(site.conf, null), done);
  t.same(site.node.snapshot(), between, "the tenant's bridge, VXLAN device and guard go with its last attachment");
  t.match(await site.node.check(other.attach, other.result), done);
  t.match(await site.node.gc({ ...site.conf, name: 'red' }, []), done);
  t.same(site.node.snapshot(), before);
});

testEachDatapath('GC removes what belongs to no attachment, and touches nothing of others', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const { node } = site;
  const ip = (line: string): string => run('ip', ['-n', node.netns, ...line.split(' ')]);
  const foreign = 'table inet foreign { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; chain c { type filter hook forward priority 0; ip saddr @s drop; }; }';
  runIn(node.netns, 'nft', foreign);
  const others = readRuleset(node.netns);
  ip('link add cni0 type bridge');
  ip('link add weft-mine type bridge');
  const attached = await attach(site, 'attached');
  const before = node.snapshot();
  const garbage = makeGarbage(node);
  const outcome = await node.gc(site.conf, [valid(attached)]);
  t.match(outcome, done);
  t.same(node.snapshot(), before, describeOutcome(outcome));
  for (const what of garbage) t.match(outcome.stderr, `removed ${what}, which belonged to no attachment`, 'and says so on stderr');
  t.match(await node.check(attached.attach, attached.result), done);
  t.match(await node.gc(site.conf, []), done);
  t.equal(readRuleset(node.netns), others, "of the ruleset only the others' is left");
});

testEachDatapath('GC makes a damaged guard anew', async (t, datapath) => {
  const site = await createSite(t, { datapath, extra: { isGateway: true } });
  const { node } = site;
  const attached = await attach(site, 'attached');
  const whole = readRuleset(node.netns);
  runIn(node.netns, 'nft', 'add table inet foreign');
  // On a switch a port's guard is flows, and the set is empty.
  const ofPorts = datapath === 'bridge' ? ['flush set bridge weft ports'] : [];
  for (const damage of ['flush table bridge weft', 'insert rule bridge weft from_container accept', 'delete table inet weft', 'delete table inet weft-gateway', ...ofPorts]) {
    runIn(node.netns, 'nft', damage);
    t.match(await node.check(attached.attach, attached.result), refused(108, /guard/), damage);
    const outcome = await node.gc(site.conf, [valid(attached)]);
    t.match(outcome, done, describeOutcome(outcome));
    t.match(outcome.stderr, 'made the guard anew: the guard', 'GC says what was wrong');
    t.match(await node.check(attached.attach, attached.result), done, 'and it is whole again');
  }
  const quiet = await node.gc(site.conf, [valid(attached)]);
  t.notMatch(quiet.stderr, 'guard', 'with nothing to mend it says nothing');
  runIn(node.netns, 'nft', 'delete table inet foreign');
  t.same(linesOf(readRuleset(node.netns)), linesOf(whole), "table by table as it was, and others' tables were left alone");
});

/** The ruleset without counts, in an order that does not depend on which table was made first. */
function linesOf(ruleset: string): readonly string[] {
  return ruleset.replace(/packets \d+ bytes \d+/g, '').split('\n').sort();
}

testEachDatapath('GC takes the rows of containers that are gone', async (t, datapath) => {
  const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10') });
  const gone = await attach(site, 'gone');
  endContainer(gone.netns);
  t.match(await site.node.add(newcomer(site, 'early')), refused(102, /No address is free in 10\.1\.1\.10/), 'nobody but the runtime knows that it is gone');
  t.match(await site.node.gc(site.conf, []), done);
  t.match(await site.node.add(newcomer(site, 'late')), succeeded);
});

testEachDatapath('GC twice, and on a node that has never seen weft', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const before = site.node.snapshot();
  for (const list of [[], null, [{ containerID: 'unknown', ifname: 'eth0' }]]) t.match(await site.node.gc(site.conf, list), done);
  t.same(site.node.snapshot(), before);
});

function attach(site: Site, label: string): Promise<Attached> {
  return site.lab.attach(site.node, { label, conf: site.conf });
}

/** @returns what it is called when it is removed */
function makeGarbage(node: LabNode): readonly string[] {
  const ip = (line: string): string => run('ip', ['-n', node.netns, ...line.split(' ')]);
  ip('link add weft-br77 type bridge');
  ip('link add weft-paaaaaaaaa type veth peer name stray');
  const links = ['bridge weft-br77', 'veth weft-paaaaaaaaa'];
  if (node.datapath === 'ovs') return [...links, ...makeSwitchGarbage(node.openVSwitch, 'weft-paaaaaaaaa')];
  ip('link add weft-vx77 master weft-br77 type vxlan id 77 local 10.200.0.11 dstport 4789');
  ip('link set weft-paaaaaaaaa master weft-br77');
  runIn(node.netns, 'nft', 'add element bridge weft ports { "weft-paaaaaaaaa" . 02:00:00:00:00:01 }');
  return [...links, 'vxlan weft-vx77', '1 elements of the nft set bridge weft ports'];
}
