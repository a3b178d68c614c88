/**
 * What every datapath must do, whatever it makes the network of: one suite, run over each of them by its own test file,
 * which then holds only what is special to it. Everything is read back from the container's side, or compared as a whole.
 */
import t from 'tap';
import { parseAddress, parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { companyOf } from '../sys/company.ts';
import { run, runIn } from '../testing/command.ts';
import { findLink, readAddresses, readLinks, readRoutes } from '../testing/observe.ts';
import { conformanceOfCheck } from './test-conformance-check.ts';
import { conformanceOfRepair } from './test-conformance-repair.ts';
import { conformanceOfResizing } from './test-conformance-resize.ts';
import { conformanceOfUndo } from './test-conformance-undo.ts';
import { blue, canPing, createContainer, createNode, createNodes, type DatapathFactory, type DatapathKind, fallsSilent, isSilent, observeNode, onNode2, red, removeSegment, testPort, withGateway } from './test-node.ts';

export interface DatapathUnderTest {
  readonly create: DatapathFactory | DatapathKind;
  /** Why it cannot be tested on this machine, or false. */
  readonly skip: string | false;
}

/** Runs the suite. */
export function testDatapath(subject: DatapathUnderTest): void {
  conformanceOfAttach(subject);
  conformanceOfMany(subject);
  conformanceOfRefusals(subject);
  conformanceOfReach(subject);
  conformanceOfSegments(subject);
  conformanceOfUpdates(subject);
  conformanceOfCheck(subject);
  conformanceOfRepair(subject);
  conformanceOfResizing(subject);
  conformanceOfUndo(subject);
}

function conformanceOfAttach({ create, skip }: DatapathUnderTest): void {
  void t.test('attach() makes the port, and the container’s end under its final name', { skip }, async (t) => {
    const [node, container] = [await createNode(t, create), createContainer(t)];
    const port = testPort(blue, 5, { containerIf: 'net1' });
    const { hostMac } = await node.datapath.attach({ segment: blue, port, netnsFd: container.fd });
    t.match(findLink(node.netns, port.hostIf), { mtu: 1450, address: hostMac, ifalias: 'weft tenant blue network blue container c5 eth0' });
    t.ok(findLink(node.netns, port.hostIf)?.flags.includes('UP'));
    t.same(readLinks(container.netns).map((link) => link.ifname), ['lo', 'net1']);
    t.match(findLink(container.netns, 'net1'), { mtu: 1450, address: port.mac, linkinfo: { info_kind: 'veth' } });
    t.ok(findLink(container.netns, 'net1')?.flags.includes('UP'));
    t.notOk(findLink(container.netns, 'lo')?.flags.includes('UP'), 'loopback is left alone');
    const global = readAddresses(container.netns, 'net1').filter((address) => address.scope === 'global');
    t.same(global.map(({ local, prefixlen, tentative = false }) => `${local}/${prefixlen} ${tentative}`), ['10.1.1.5/24 false', 'fd00:1::5/64 false']);
    t.match(readRoutes(container.netns, 4).find((route) => route.dst === 'default'), { gateway: '10.1.1.1', dev: 'net1' });
    t.match(readRoutes(container.netns, 6).find((route) => route.dst === 'default'), { gateway: 'fd00:1::1', dev: 'net1', metrics: [{ mtu: 1300 }] });
  });

  void t.test('a layer 2 attachment has no addresses, and may use any', { skip }, async (t) => {
    const node = await createNode(t, create);
    const containers = [createContainer(t), createContainer(t)] as const;
    for (const [index, { fd, netns }] of containers.entries()) {
      await node.datapath.attach({ segment: blue, port: testPort(blue, index + 5, { addresses: [], routes: [] }), netnsFd: fd });
      t.same(readAddresses(netns, 'eth0').filter((address) => address.scope === 'global'), []);
      run('ip', ['-n', netns, 'address', 'add', `192.168.7.${index + 5}/24`, 'dev', 'eth0']);
    }
    t.ok(canPing(containers[0], '192.168.7.6'));
  });
}

function conformanceOfMany({ create, skip }: DatapathUnderTest): void {
  void t.test('many at the same time, made and removed', { skip }, async (t) => {
    const node = await createNode(t, create, { company: companyOf(() => 12) });
    const requests = Array.from({ length: 12 }, (_, index) => ({ segment: blue, port: testPort(blue, index + 5), container: createContainer(t) }));
    await Promise.all(requests.map(({ segment, port, container }) => node.datapath.attach({ segment, port, netnsFd: container.fd })));
    for (const { segment, port, container } of requests) t.same(await node.datapath.check({ segment, port, netnsFd: container.fd }), []);
    const [first, second, ...others] = requests as [typeof requests[0], typeof requests[0], ...typeof requests];
    t.ok(canPing(first.container, '10.1.1.6'));
    await Promise.all(others.map(({ port, segment }) => node.datapath.detachSoon(port, segment)));
    for (const { container } of others) t.same(readLinks(container.netns).map((link) => link.ifname), ['lo']);
    t.ok(canPing(first.container, '10.1.1.6'), 'those that stay are as they were');
    for (const { segment, port, container } of [first, second]) t.same(await node.datapath.check({ segment, port, netnsFd: container.fd }), []);
    t.same(await node.datapath.collect({ segments: [blue], ports: [first.port, second.port] }), [], 'nothing is left of the others');
  });
}

function conformanceOfRefusals({ create, skip }: DatapathUnderTest): void {
  void t.test('the same attachment a second time is refused, and nothing is damaged', { skip }, async (t) => {
    const [node, container, other] = [await createNode(t, create), createContainer(t), createContainer(t, 'other')];
    const port = testPort(blue, 5);
    await node.datapath.attach({ segment: blue, port, netnsFd: container.fd });
    const [before, inside] = [observeNode(node), observeNode(container)];
    for (const { fd } of [container, other]) await t.rejects(node.datapath.attach({ segment: blue, port, netnsFd: fd }), { name: 'WeftError', code: 'tryAgainLater' });
    t.same(observeNode(node), before);
    t.same(observeNode(container), inside);
    t.same(readLinks(other.netns).map((link) => link.ifname), ['lo']);
  });

  void t.test('a name that is taken in the container is refused, and left alone', { skip }, async (t) => {
    const [node, container] = [await createNode(t, create), createContainer(t)];
    run('ip', ['-n', container.netns, 'link', 'add', 'eth0', 'type', 'bridge']);
    const before = [observeNode(node), observeNode(container)];
    const port = testPort(blue, 5);
    await t.rejects(node.datapath.attach({ segment: blue, port, netnsFd: container.fd }), {
      code: 'interfaceExists', message: 'CNI_IFNAME must be a name that is free in the container: eth0 exists',
    });
    await node.datapath.detach(port);
    await removeSegment(node.datapath, { segment: blue, remaining: [] });
    t.same([observeNode(node), observeNode(container)], before);
  });
}

function conformanceOfReach({ create, skip }: DatapathUnderTest): void {
  const families = [
    { name: 'IPv4', segment: blue, other: onNode2(blue) },
    {
      name: 'IPv6',
      segment: { ...blue, overlayMtu: 1430, vtepAddress: parseAddress('2001:db8:ffff::1'), peers: [parseAddress('2001:db8:ffff::2')] },
      other: { ...blue, overlayMtu: 1430, vtepAddress: parseAddress('2001:db8:ffff::2'), peers: [parseAddress('2001:db8:ffff::1')] },
    },
  ];
  for (const { name, segment, other } of families) {
    void t.test(`containers of a tenant reach each other on a node and across nodes over ${name}`, { skip }, async (t) => {
      const [node1, node2] = await createNodes(t, create);
      const [first, second, far] = [createContainer(t), createContainer(t), createContainer(t)];
      await node1.datapath.attach({ segment, port: testPort(segment, 5), netnsFd: first.fd });
      await node1.datapath.attach({ segment, port: testPort(segment, 6), netnsFd: second.fd });
      await node2.datapath.attach({ segment: other, port: testPort(other, 7), netnsFd: far.fd });
      for (const address of ['10.1.1.6', 'fd00:1::6', '10.1.1.7', 'fd00:1::7']) t.ok(canPing(first, address), address);
      const icmpPayloadBytes = segment.overlayMtu - 28;
      t.match(runIn(first.netns, 'ping', '-n', '-c', '1', '-W', '5', '-M', 'do', '-s', String(icmpPayloadBytes), '10.1.1.7'), / 0% packet loss/, 'a full-size packet that may not be cut');
    });
  }

  void t.test('tenants with equal addresses do not reach each other', { skip }, async (t) => {
    const [node1, node2] = await createNodes(t, create);
    const [mine, near, far] = [createContainer(t), createContainer(t), createContainer(t)];
    await node1.datapath.attach({ segment: blue, port: testPort(blue, 5), netnsFd: mine.fd });
    await node1.datapath.attach({ segment: red, port: testPort(red, 6), netnsFd: near.fd });
    await node2.datapath.attach({ segment: onNode2(red), port: testPort(onNode2(red), 7), netnsFd: far.fd });
    t.ok(canPing(near, '10.1.1.7'), 'red reaches red');
    for (const address of ['10.1.1.6', '10.1.1.7', 'fd00:1::6', 'fd00:1::7']) t.ok(isSilent(mine, address), `blue does not reach ${address}`);
  });
}

function conformanceOfSegments({ create, skip }: DatapathUnderTest): void {
  void t.test('a second attachment uses the segment that is there', { skip }, async (t) => {
    const node = await createNode(t, create);
    const containers = [createContainer(t), createContainer(t)] as const;
    await node.datapath.attach({ segment: blue, port: testPort(blue, 5), netnsFd: containers[0].fd });
    const before = readLinks(node.netns).map((link) => `${link.ifindex} ${link.ifname}`);
    await node.datapath.attach({ segment: blue, port: testPort(blue, 6), netnsFd: containers[1].fd });
    const after = readLinks(node.netns).map((link) => `${link.ifindex} ${link.ifname}`);
    t.same(after.slice(0, before.length), before);
    t.equal(after.length, before.length + 1, 'one link more');
  });

  void t.test('findObstacle() finds none here', { skip }, async (t) => {
    const { datapath } = await createNode(t, create);
    t.equal(await datapath.findObstacle(blue), undefined);
  });

  void t.test('a gateway of several tenants: one leaves, the other’s stays', { skip }, async (t) => {
    const node = await createNode(t, create);
    const [mine, other] = [createContainer(t), createContainer(t)];
    const [blueGateway, redGateway] = [withGateway(blue), { ...withGateway(red), gateway: { addresses: [parseInterfaceAddress('10.2.2.1/24')], masquerade: true } }];
    const redPort = testPort(red, 6, { addresses: [parseInterfaceAddress('10.2.2.6/24')], routes: [] });
    await node.datapath.attach({ segment: blueGateway, port: testPort(blue, 5), netnsFd: mine.fd });
    const before = observeNode(node);
    await node.datapath.attach({ segment: redGateway, port: redPort, netnsFd: other.fd });
    t.ok(canPing(other, '10.2.2.1'));
    await node.datapath.detach(redPort);
    await removeSegment(node.datapath, { segment: redGateway, remaining: [blueGateway] });
    t.same(observeNode(node), before);
    t.ok(canPing(mine, '10.1.1.1'));
  });
}

function conformanceOfUpdates({ create, skip }: DatapathUnderTest): void {
  void t.test('updateSegment() gives a tenant its gateway, and takes it away', { skip }, async (t) => {
    const [node, container] = [await createNode(t, create), createContainer(t)];
    const port = testPort(blue, 5);
    await node.datapath.attach({ segment: blue, port, netnsFd: container.fd });
    const gateways = ['10.1.1.1', 'fd00:1::1'];
    for (const address of gateways) t.ok(isSilent(container, address), `${address} does not answer yet`);
    await node.datapath.updateSegment({ segment: withGateway(blue), previous: blue, others: [], ports: [port] });
    for (const address of gateways) t.ok(canPing(container, address), `${address} answers`);
    t.same(await node.datapath.check({ segment: withGateway(blue), port, netnsFd: container.fd }), []);
    await node.datapath.updateSegment({ segment: blue, previous: withGateway(blue), others: [], ports: [port] });
    for (const address of gateways) t.ok(fallsSilent(container, address), `${address} answers no longer`);
    t.same(await node.datapath.check({ segment: blue, port, netnsFd: container.fd }), []);
  });

  void t.test('updateSegment() adds peers and takes them away', { skip }, async (t) => {
    const [node1, node2] = await createNodes(t, create);
    const [near, far] = [createContainer(t), createContainer(t)];
    const [alone, port] = [{ ...blue, peers: [] }, testPort(blue, 5)];
    await node1.datapath.attach({ segment: alone, port, netnsFd: near.fd });
    await node2.datapath.attach({ segment: onNode2(blue), port: testPort(onNode2(blue), 7), netnsFd: far.fd });
    t.ok(isSilent(near, '10.1.1.7'), 'no peer');
    await node1.datapath.updateSegment({ segment: blue, previous: alone, others: [], ports: [port] });
    t.ok(canPing(near, '10.1.1.7'), 'a peer');
    await node1.datapath.updateSegment({ segment: alone, previous: blue, others: [], ports: [port] });
    t.ok(fallsSilent(near, '10.1.1.7'), 'a peer no longer');
  });
}
