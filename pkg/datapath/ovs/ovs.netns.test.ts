/** The node's datapaths with tenants on Open vSwitch, over private switches with the userspace datapath: the suite every datapath passes. */
import t from 'tap';
import { pause } from '../../sys/timer.ts';
import { run } from '../../testing/command.ts';
import { OpenVSwitch, openVSwitchTools } from '../../testing/openvswitch.ts';
import { skipUnless } from '../../testing/requirements.ts';
import type { PortToRepair } from '../repair.ts';
import { testDatapath } from '../test-conformance.ts';
import { repairAll, toRepair } from '../test-conformance-repair.ts';
import { blue, canPing, createContainer, createNode, testPort, withGateway, type TestNode } from '../test-node.ts';
import { tunnelOf } from './rows.ts';
import { tunnelName } from './switch/tunnel.ts';
import { ovsKind, switches } from './test-kind.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc', 'ethtool', ...openVSwitchTools] });

testDatapath({ create: ovsKind, skip });

const noticedWithinMs = 5000;

/** What the first pass repairs that finds something. */
async function firstRepairs(node: TestNode, requests: readonly PortToRepair[]): Promise<readonly string[]> {
  for (const deadline = performance.now() + noticedWithinMs; performance.now() < deadline; await pause(20)) {
    const { repaired } = await repairAll(node, requests);
    if (repaired.length > 0) return repaired;
  }
  return [];
}

void t.test('limits stand on the host’s interface, and where the userspace datapath does not pass that, on the container’s', { skip }, async (t) => {
  const [node, container] = [await createNode(t, ovsKind), createContainer(t)];
  const port = testPort(blue, 5, { bandwidth: { ingress: { rateBits: 80_000_000 }, egress: { rateBits: 40_000_000 } } });
  const request = { segment: blue, port, netnsFd: container.fd };
  await node.datapath.attach(request);
  const rates = (netns: string, link: string): readonly string[] => [...run('tc', ['-n', netns, 'qdisc', 'show', 'dev', link]).matchAll(/tbf .* root .*? rate (\S+)/g)].map(([, rate]) => rate ?? '');
  t.same([rates(node.netns, port.hostIf), rates(container.netns, 'eth0')], [['80Mbit'], ['40Mbit']]);
  t.same(await node.datapath.check(request), []);
  run('tc', ['-n', container.netns, 'qdisc', 'del', 'dev', 'eth0', 'root']);
  run('tc', ['-n', node.netns, 'qdisc', 'del', 'dev', port.hostIf, 'root']);
  const faults = ['the limit of 80000000 bit/s to the container is missing', 'the limit of 40000000 bit/s from the container is missing'];
  t.same(await node.datapath.check(request), faults);
  const { repaired } = await repairAll(node, [toRepair(blue, port, container)]);
  t.same(repaired, faults.map((fault) => `${fault}: made anew`));
  t.same(await node.datapath.check(request), []);
  await node.datapath.detach(port, blue);
});

void t.test('what is missing on the switch is said, and put back', { skip }, async (t) => {
  const [node, container, other] = [await createNode(t, ovsKind), createContainer(t), createContainer(t)];
  const ports = [testPort(blue, 5), testPort(blue, 6)] as const;
  for (const [port, { fd }] of [[ports[0], container], [ports[1], other]] as const) await node.datapath.attach({ segment: blue, port, netnsFd: fd });
  const repairs = [toRepair(blue, ports[0], container), toRepair(blue, ports[1], other)];
  const ovs = switches.get(node.netns) ?? t.fail();
  if (!(ovs instanceof OpenVSwitch)) return;
  const rows: readonly (readonly [what: string, damage: () => void, words: RegExp])[] = [
    ['all flows', () => ovs.ofctl('del-flows', 'weft-int'), /the switch lacks \d+ flows of tenant blue: sent again/],
    ['the tunnel', () => ovs.vsctl('del-port', tunnelName(tunnelOf(blue))), /the tunnel weft-t\w+ is no port of Open vSwitch: sent again/],
    ['a port', () => ovs.vsctl('del-port', ports[0].hostIf), /the host interface weft-p\w+ is no port of Open vSwitch: plugged in again/],
    ['one flow of a port', () => ovs.ofctl('--strict', 'del-flows', 'weft-int', `table=20,priority=50,metadata=${blue.vni},dl_dst=${ports[1].mac}`), /the switch lacks a flow of weft-p\w+: plugged in again/],
    ['the bridge', () => ovs.vsctl('del-br', 'weft-int'), /is no port of Open vSwitch/],
  ];
  for (const [what, damage, words] of rows) {
    damage();
    // The switch's rows are known a moment after they have changed.
    const repaired = await firstRepairs(node, repairs);
    t.match(repaired.join('\n'), words, what);
    t.ok(canPing(container, '10.1.1.6'), `${what}: they reach each other again`);
    const after = await repairAll(node, repairs);
    t.same([after.repaired, after.failed], [[], []], `${what}: nothing more to do`);
  }
});

void t.test('a gateway whose interface somebody has deleted is made anew', { skip }, async (t) => {
  const [node, container] = [await createNode(t, ovsKind), createContainer(t)];
  const [segment, port] = [withGateway(blue), testPort(blue, 5)];
  await node.datapath.attach({ segment, port, netnsFd: container.fd });
  t.ok(canPing(container, '10.1.1.1'));
  const request = { segment, port, netnsFd: container.fd };
  run('ip', ['-n', node.netns, 'link', 'del', 'weft-br1001']);
  for (const deadline = performance.now() + noticedWithinMs; performance.now() < deadline && (await node.datapath.check(request)).length === 0;) await pause(20);
  t.match((await node.datapath.check(request)).join('\n'), /Open vSwitch has lost the gateway's interface weft-br1001/);
  const repaired = await firstRepairs(node, [toRepair(segment, port, container)]);
  t.match(repaired.join('\n'), /Open vSwitch has lost the gateway's interface weft-br1001: sent again/);
  t.ok(canPing(container, '10.1.1.1'), 'it answers again');
  t.same(await node.datapath.check(request), []);
});
