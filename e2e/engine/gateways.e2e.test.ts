/**
 * Gateways on the host beside what else a node has: a host behind it, tables of others, routes, other tenants.
 * e2e/two-nodes shows the way out over the underlay.
 */
import { startCapture } from '../../pkg/testing/capture.ts';
import { run, runIn } from '../../pkg/testing/command.ts';
import { ipJson } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { createLabOf, type Attached, type Lab } from '../harness/lab.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { tenantConf } from '../harness/tenant.ts';
import { done, refused, succeeded } from './outcomes.ts';
import { addressesOf } from './site.ts';

const defaultRoutes = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }];

/** A tenant's network with the subnets 10.n.n.0/24 and fd00:n::/64. */
function gatewayConf(lab: Lab, { name, number, extra = {} }: { readonly name: string; readonly number: number; readonly extra?: NetConf }): NetConf {
  const ranges = [[{ subnet: `10.${number}.${number}.0/24`, rangeStart: `10.${number}.${number}.10` }], [{ subnet: `fd00:${number}::/64`, rangeStart: `fd00:${number}::10` }]];
  return { ...tenantConf(lab, { name, vni: 1000 + number }, 1), isGateway: true, ipam: { type: 'weft', ranges, routes: defaultRoutes }, ...extra };
}

/** A host on a network of its own behind node 1, with no other route than to that network. */
function attachOutside(lab: Lab): string {
  const outside = lab.container('outside');
  const node = lab.node(1).netns;
  const ip = (netns: string, line: string): string => run('ip', ['-n', netns, ...line.split(' ')]);
  ip(node, `link add lan0 type veth peer name eth0 netns ${outside}`);
  for (const [netns, link, last] of [[node, 'lan0', 1], [outside, 'eth0', 2]] as const) {
    ip(netns, `link set ${link} up`);
    ip(netns, `addr add 192.0.2.${last}/24 dev ${link}`);
    ip(netns, `addr add 2001:db8::${last}/64 dev ${link} nodad`);
  }
  return outside;
}

const outsideAddresses = ['192.0.2.2', '2001:db8::2'];

testEachDatapath('a host behind the node', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath]);
  const node = lab.node(1);
  const outside = attachOutside(lab);
  const masked = await lab.attach(node, { label: 'masked', conf: gatewayConf(lab, { name: 'blue', number: 1, extra: { ipMasq: true } }) });
  const bare = await lab.attach(node, { label: 'bare', conf: gatewayConf(lab, { name: 'green', number: 2 }) });
  await lab.settle();
  t.same(await pingAll(masked, outsideAddresses), [1, 1], "with ipMasq it answers: it has a route only to the node's addresses");
  t.same(await pingAll(bare, outsideAddresses), [0, 0], 'without, it cannot');
  for (const subnet of ['10.2.2.0/24 via 192.0.2.1', 'fd00:2::/64 via 2001:db8::1']) run('ip', ['-n', outside, 'route', 'add', ...subnet.split(' ')]);
  t.same(await pingAll(bare, outsideAddresses), [1, 1], 'with a route to the tenant it can');
  t.same(await Promise.all(addressesOf(bare).map((address) => ping(outside, address))), [1, 1], 'and reaches the container itself');
  for (const attached of [masked, bare]) {
    t.same(await Promise.all(addressesOf(attached).map((address) => ping(node.netns, address))), [1, 1], 'the node reaches its containers');
    t.match(await node.check(attached.attach, attached.result), done);
  }
});

testEachDatapath('two tenants with gateways on one node never reach each other', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath]);
  const node = lab.node(1);
  const blue = await lab.attach(node, { label: 'blue', conf: gatewayConf(lab, { name: 'blue', number: 1, extra: { ipMasq: true } }) });
  const green = await lab.attach(node, { label: 'green', conf: gatewayConf(lab, { name: 'green', number: 2 }) });
  const second = await lab.attach(node, { label: 'second', conf: gatewayConf(lab, { name: 'green', number: 2 }) });
  await lab.settle();
  t.same(await pingAll(second, addressesOf(green)), [1, 1], 'inside a tenant they do');
  const captures = await Promise.all([blue, green].map(({ netns }) => startCapture(t, netns, 'eth0')));
  await pingAll(blue, addressesOf(green), 'from-blue');
  await pingAll(green, addressesOf(blue), 'from-green');
  for (const capture of captures) await capture.drain();
  t.same([captures[1]?.count('from-blue'), captures[0]?.count('from-green')], [0, 0], 'not a packet');
  t.ok((captures[0]?.count('from-blue') ?? 0) > 0, 'although they were sent');
});

testEachDatapath("others' nftables rules", async (t, datapath) => {
  const lab = await createLabOf(t, [datapath]);
  const node = lab.node(1);
  const tables = [
    'table inet foreign { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; chain c { type filter hook forward priority -5; policy accept; ip saddr @s counter drop; }; }',
    'table ip nat { chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 172.16.0.0/12 masquerade; }; }',
    'table bridge weftless { chain c { type filter hook prerouting priority 0; policy accept; }; }',
  ];
  for (const table of tables) runIn(node.netns, 'nft', table);
  const list = (): readonly string[] => ['inet foreign', 'ip nat', 'bridge weftless'].map((table) => runIn(node.netns, 'nft', 'list', 'table', ...table.split(' ')));
  const [before, rulesetBefore] = [list(), node.snapshot().ruleset];
  const attached = await lab.attach(node, { label: 'one', conf: gatewayConf(lab, { name: 'blue', number: 1, extra: { ipMasq: true } }) });
  t.match(runIn(node.netns, 'nft', 'list', 'tables'), 'table inet weft-gateway', 'weft has tables of its own');
  t.same(list(), before, 'those of others are as before');
  await lab.detach(attached);
  t.equal(node.snapshot().ruleset, rulesetBefore, "and weft's are gone with the last container");
});

testEachDatapath('a subnet that the node needs for itself', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath]);
  const node = lab.node(1);
  run('ip', ['-n', node.netns, 'route', 'add', '10.1.0.0/16', 'via', '10.200.0.1']);
  const blue = gatewayConf(lab, { name: 'blue', number: 1 });
  const before = node.snapshot();
  const overlap = await node.add({ conf: blue, containerId: 'overlap', netns: lab.container('overlap') });
  t.match(overlap, refused(104, /subnet 10\.1\.1\.0\/24 of tenant blue cannot have its gateway on this node: it overlaps this node's route 10\.1\.0\.0\/16 through (eth0|br-phy)/), describeOutcome(overlap));
  t.same(node.snapshot(), before);
  const without = await lab.attach(node, { label: 'without', conf: { ...blue, isGateway: false } });
  await lab.settle();
  t.match(await node.check(without.attach, without.result), done, 'without a gateway any subnet will do');
  await lab.detach(without);

  run('ip', ['-n', node.netns, 'route', 'del', '10.1.0.0/16']);
  const first = await lab.attach(node, { label: 'first', conf: blue });
  const red = { ...gatewayConf(lab, { name: 'red', number: 1 }), vni: 1009 };
  const second = await node.add({ conf: red, containerId: 'second', netns: lab.container('second') });
  t.match(second, refused(104, /of tenant red cannot have its gateway on this node: it overlaps this node's route \S+ through the gateway of another tenant, on weft-br1001/), describeOutcome(second));
  const beside = await lab.attach(node, { label: 'beside', conf: { ...red, isGateway: false }, args: `IP=${addressesOf(first).join(',')}` });
  await lab.settle();
  t.same(addressesOf(beside), addressesOf(first), 'equal addresses in two tenants, one of which has a gateway');
  const capture = await startCapture(t, beside.netns, 'eth0');
  t.same(await Promise.all(addressesOf(first).map((address) => ping(node.netns, address, { marker: 'to-first' }))), [1, 1]);
  await capture.drain();
  t.equal(capture.count('to-first'), 0, 'what the node sends goes to the tenant with the gateway');
  t.same(await pingAll(beside, ['10.1.1.1', node.ipv4, '10.200.0.1']), [0, 0, 0], 'the other one reaches nothing outside');
});

testEachDatapath('a gateway that comes and goes while there are containers', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath]);
  const node = lab.node(1);
  const before = node.snapshot();
  const withGateway = gatewayConf(lab, { name: 'blue', number: 1 });
  const attached: Attached[] = [];
  for (const [label, conf] of [['bare', { ...withGateway, isGateway: false }], ['gated', withGateway], ['bare-again', { ...withGateway, isGateway: false }]] as const) {
    attached.push(await lab.attach(node, { label, conf }));
    if (conf.isGateway) await lab.settle();
    for (const one of attached) {
      if (conf.isGateway) t.same(await pingAll(one, ['10.1.1.1', 'fd00:1::1']), [1, 1], `after ${label} the gateway answers every container`);
      else t.same(await pingAll(one, ['10.1.1.1']), [0], `after ${label} no container has a gateway`);
      const checked = await node.check(one.attach, one.result);
      t.match(checked, done, describeOutcome(checked));
    }
  }
  for (const one of attached) t.match(await node.del(one.attach), succeeded);
  t.same(node.snapshot(), before);
});

testEachDatapath('the same gateway on two nodes', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath, datapath]);
  const attached = await Promise.all([1, 2].map((number) => {
    const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: `10.1.1.${number}0`, rangeEnd: `10.1.1.${number}9` }]];
    const conf = { ...tenantConf(lab, { name: 'blue', vni: 1001 }, number), isGateway: true, ipam: { type: 'weft', ranges } };
    return lab.attach(lab.node(number), { label: `on-${number}`, conf });
  }));
  const capture = await startCapture(t, lab.underlayNetns, 'br0');
  for (const one of attached) {
    t.equal(await ping(one.netns, '10.1.1.1', { marker: 'to-gateway' }), 1, `${one.node.name}: the gateway answers`);
    const [neighbour] = ipJson<readonly { readonly lladdr?: string }[]>(one.netns, 'neigh', 'show', '10.1.1.1');
    t.equal(neighbour?.lladdr, '0e:77:67:00:03:e9', 'with the same MAC everywhere');
  }
  const [first, second] = attached;
  t.equal(await ping(first?.netns ?? '', addressesOf(second ?? {})[0] ?? '', { marker: 'to-second' }), 1);
  await capture.drain();
  t.equal(capture.count('to-gateway'), 0, "it is the own node's that answers");
  t.ok(capture.count('to-second') > 0, 'while the tenant goes through the tunnel');
});

/** One echo request to each address, at the same time. */
function pingAll({ netns }: Attached, addresses: readonly string[], marker?: string): Promise<readonly number[]> {
  return Promise.all(addresses.map((address) => ping(netns, address, marker === undefined ? {} : { marker })));
}
