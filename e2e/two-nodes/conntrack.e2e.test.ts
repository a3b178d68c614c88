/**
 * Connection tracking sees what the gateway routes and nothing that is bridged: with equal addresses in two tenants, the
 * packets of one would otherwise meet the connections of the other. The kernel's br_netfilter, on by default, would show it them.
 */
import t from 'tap';
import { runIn } from '../../pkg/testing/command.ts';
import { ping } from '../harness/container.ts';
import { createLabOf } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { nodeRanges } from '../harness/net-conf.ts';
import { attachGuest, blue, red, type Tenant } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(60_000);

/** Blue with a masquerading gateway, with the ranges of a node. */
function withGateway(nodeNumber: number): Tenant {
  const ipam = { type: 'weft', ranges: nodeRanges(nodeNumber, {}), routes: [{ dst: '0.0.0.0/0' }] };
  return { ...blue, extra: { isGateway: true, ipMasq: true, ipam } };
}

/** The node's tracked connections, one a line (nf_conntrack_procfs). */
function trackedConnections(netns: string): readonly string[] {
  return runIn(netns, 'cat', '/proc/net/nf_conntrack').split('\n').filter((line) => line !== '');
}

/** What is tracked is a matter of one node. */
for (const { title, datapaths } of pairs.filter(({ datapaths: [one, other] }) => one === other)) {
  t.test(`bridged traffic is not tracked, routed traffic is: ${title}`, { skip: skipWithoutLabOf(datapaths) }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const node = lab.node(1);
    const one = await attachGuest(lab, withGateway(1), 1, { label: 'blue-1a' });
    const two = await attachGuest(lab, withGateway(1), 1, { label: 'blue-1b' });
    const far = await attachGuest(lab, withGateway(2), 2, { label: 'blue-2a' });
    const other = await attachGuest(lab, red, 1, { label: 'red-1a' });
    const neighbour = await attachGuest(lab, red, 1, { label: 'red-1b' });
    await lab.settle();
    if (node.datapath === 'bridge') t.equal(runIn(node.netns, 'cat', '/proc/sys/net/bridge/bridge-nf-call-iptables').trim(), '1', 'bridged packets pass the host’s IP hooks');

    for (const family of ['ipv4', 'ipv6'] as const) {
      for (const [from, to] of [[one, two], [one, far], [other, neighbour]] as const) t.equal(await ping(from.netns, to.participant[family]), 1, `${from.participant.name} reaches ${to.participant.name} over ${family}`);
    }
    const bridged = [two, far, neighbour].flatMap(({ participant }) => [participant.ipv4]);
    const tracked = trackedConnections(node.netns);
    t.same(tracked.filter((line) => bridged.some((address) => line.includes(`dst=${address} `))), [], 'no bridged connection is tracked');

    t.equal(await ping(one.netns, '10.200.0.1'), 1, 'the gateway routes');
    t.match(trackedConnections(node.netns).join('\n'), new RegExp(`src=${one.participant.ipv4} dst=10\\.200\\.0\\.1 `), 'and what it routes is tracked');
  });
}
