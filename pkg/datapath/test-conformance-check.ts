/** The part of the conformance suite on check() and collect(): damage is said in words, garbage goes, and nothing else. */
import t from 'tap';
import { run } from '../testing/command.ts';
import { findLink } from '../testing/observe.ts';
import type { DatapathUnderTest } from './test-conformance.ts';
import { blue, canPing, createContainer, createNode, observeNode, red, removeSegment, testPort, withGateway } from './test-node.ts';

/** What somebody does inside the container, as lines of `ip`, and what check() says of it. */
export const containerDamages: readonly { readonly what: string; readonly lines: readonly string[]; readonly faults: readonly string[] }[] = [
  { what: 'an IPv6 address removed', lines: ['address del fd00:1::5/64 dev eth0'], faults: ['the container lacks the address fd00:1::5/64'] },
  {
    // With its last IPv4 address a link loses all its IPv4 routes.
    what: 'the IPv4 address removed', lines: ['address del 10.1.1.5/24 dev eth0'],
    faults: ['the container lacks the address 10.1.1.5/24', 'the container lacks the route to 0.0.0.0/0'],
  },
  { what: 'an address with another length', lines: ['address add 10.1.1.5/32 dev eth0', 'address del 10.1.1.5/24 dev eth0', 'route add 10.1.1.0/24 dev eth0', 'route replace default via 10.1.1.1'], faults: ['the container lacks the address 10.1.1.5/24'] },
  { what: 'the IPv4 route removed', lines: ['route del default'], faults: ['the container lacks the route to 0.0.0.0/0'] },
  { what: 'the IPv6 route removed', lines: ['-6 route del default'], faults: ['the container lacks the route to ::/0'] },
  { what: 'a route by another gateway', lines: ['route replace default via 10.1.1.9'], faults: ['the container lacks the route to 0.0.0.0/0'] },
  { what: 'another MAC', lines: ['link set eth0 address 02:00:00:00:00:99'], faults: ["the container's interface eth0 has MAC 02:00:00:00:00:99 instead of 02:00:00:00:00:05"] },
  { what: 'another MTU', lines: ['link set eth0 mtu 1400'], faults: ["the container's interface eth0 has MTU 1400 instead of 1450"] },
];

/** Tests that check() says just what is wrong inside the container, and that collect() knows what is weft's. */
export function conformanceOfCheck({ create, skip }: DatapathUnderTest): void {
  void t.test('check() says in words just the damage done in the container', { skip }, async (t) => {
    const [node, container] = [await createNode(t, create), createContainer(t)];
    const request = { segment: withGateway(blue), port: testPort(blue, 5), netnsFd: container.fd };
    for (const { what, lines, faults } of containerDamages) {
      await node.datapath.attach(request);
      t.same(await node.datapath.check(request), [], 'whole before');
      for (const line of lines) run('ip', ['-n', container.netns, ...line.split(' ')]);
      t.same(await node.datapath.check(request), faults, what);
      await node.datapath.detach(request.port);
    }
  });

  void t.test('check() of a container that is down, and of one that has lost its interface', { skip }, async (t) => {
    const [node, container] = [await createNode(t, create), createContainer(t)];
    const request = { segment: blue, port: testPort(blue, 5), netnsFd: container.fd };
    await node.datapath.attach(request);
    run('ip', ['-n', container.netns, 'link', 'set', 'eth0', 'down']);
    t.ok((await node.datapath.check(request)).includes("the container's interface eth0 is down"));
    run('ip', ['-n', container.netns, 'link', 'del', 'eth0']);
    t.same(await node.datapath.check(request), [`the host interface ${request.port.hostIf} is missing`, "the container's interface eth0 is missing"]);
    await node.datapath.detach(request.port);
    await removeSegment(node.datapath, { segment: blue, remaining: [] });
    t.ok((await node.datapath.check(request)).length > 2, 'of one that is not attached at all');
  });

  conformanceOfCollect({ create, skip });
}

function conformanceOfCollect({ create, skip }: DatapathUnderTest): void {
  void t.test('collect() removes what belongs to nothing, and keeps what is known', { skip }, async (t) => {
    const node = await createNode(t, create);
    const before = observeNode(node);
    const containers = [createContainer(t), createContainer(t), createContainer(t)] as const;
    const segments = [withGateway(blue), red] as const;
    const ports = [testPort(blue, 5), testPort(blue, 6), testPort(red, 7)] as const;
    await node.datapath.attach({ segment: segments[0], port: ports[0], netnsFd: containers[0].fd });
    const known = observeNode(node);
    await node.datapath.attach({ segment: segments[0], port: ports[1], netnsFd: containers[1].fd });
    await node.datapath.attach({ segment: segments[1], port: ports[2], netnsFd: containers[2].fd });

    const all = observeNode(node);
    t.same(await node.datapath.collect({ segments, ports }), [], 'all is known');
    t.same(observeNode(node), all);
    const removed = await node.datapath.collect({ segments: [segments[0]], ports: [ports[0]] });
    for (const port of [ports[1], ports[2]]) t.ok(removed.some((what) => what.includes(port.hostIf)), `it says that ${port.hostIf} went: ${removed.join('; ')}`);
    t.same(observeNode(node), known);
    t.ok(canPing(containers[0], '10.1.1.1'));
    t.not((await node.datapath.collect({ segments: [], ports: [] })).length, 0);
    t.same(observeNode(node), before);
    t.same(await node.datapath.collect({ segments: [], ports: [] }), [], 'nothing is left to collect');
  });

  void t.test('collect() leaves alone what is not weft’s', { skip }, async (t) => {
    const node = await createNode(t, create);
    const lines = ['tuntap add dev weft-p123456789 mode tap', 'link add weft0 type bridge', 'link add myweft-p1 type veth peer name other', 'link add vx7 type vxlan id 7 dstport 4789 local 192.0.2.1'];
    run('ip', ['-n', node.netns, '-batch', '-'], `${lines.join('\n')}\n`);
    const before = observeNode(node);
    t.same(await node.datapath.collect({ segments: [], ports: [] }), []);
    t.same(observeNode(node), before);
    t.ok(findLink(node.netns, 'weft-p123456789'));
  });
}
