/** The part of the conformance suite on undoing: whatever attach() got to, detach() and removeSegment() leave nothing of it. */
import t from 'tap';
import type { Segment } from '../overlay/model.ts';
import { run, runIn } from '../testing/command.ts';
import type { PortRequest } from './datapath.ts';
import type { DatapathUnderTest } from './test-conformance.ts';
import { FaultPlan, faultyKernel, type FaultKind } from './test-faults.ts';
import { blue, canPing, createContainer, createNode, observeNode, red, removeSegment, type TestNode, testPort, withGateway } from './test-node.ts';

/** More than any attach() has; reaching it means that the test goes round in circles. */
const requestsMax = 150;

const foreignTables = `
  table bridge other {
    set ports { type ifname; elements = { "o0" }; }
    chain c { type filter hook prerouting priority -350; iifname @ports accept; }
  }
  table inet weft-other { }`;

/** Tests that a node is afterwards as it was before. */
export function conformanceOfUndo(subject: DatapathUnderTest): void {
  conformanceOfDetach(subject);
  conformanceOfNeighbours(subject);
  conformanceOfFaults(subject);
}

function conformanceOfDetach({ create, skip }: DatapathUnderTest): void {
  for (const [name, segment] of [['a segment', blue], ['a segment with a gateway', withGateway(blue)]] as const) {
    void t.test(`detach() and removeSegment() of ${name} leave the node as it was`, { skip }, async (t) => {
      const [node, container] = [await createNode(t, create), createContainer(t)];
      const [before, inside] = [observeNode(node), observeNode(container)];
      const port = testPort(segment, 5);
      for (const round of ['once', 'again']) {
        await node.datapath.attach({ segment, port, netnsFd: container.fd });
        await node.datapath.detach(port);
        t.same(observeNode(container), inside, `the container, ${round}`);
        await node.datapath.detach(port);
        await removeSegment(node.datapath, { segment, remaining: [] });
        t.same(observeNode(node), before, `the node, ${round}`);
        await node.datapath.detach(port);
        await removeSegment(node.datapath, { segment, remaining: [] });
        t.same(observeNode(node), before, 'a second time changes nothing and is no error');
      }
    });
  }

  void t.test('removeSegment() takes the last attachments along', { skip }, async (t) => {
    const [node, containers] = [await createNode(t, create), [createContainer(t), createContainer(t)]];
    const ports = containers.map((_container, index) => testPort(blue, index + 5));
    const before = [node, ...containers].map(observeNode);
    for (const [index, port] of ports.entries()) await node.datapath.attach({ segment: withGateway(blue), port, netnsFd: containers[index]?.fd ?? -1 });
    await removeSegment(node.datapath, { segment: withGateway(blue), remaining: [], ports });
    t.same([node, ...containers].map(observeNode), before);
  });

  void t.test('detach() of a container that is gone', { skip }, async (t) => {
    const node = await createNode(t, create);
    const before = observeNode(node);
    const port = testPort(blue, 5);
    await t.test('its life', async (t) => node.datapath.attach({ segment: blue, port, netnsFd: createContainer(t).fd }));
    await node.datapath.detach(port);
    await removeSegment(node.datapath, { segment: blue, remaining: [] });
    t.same(observeNode(node), before);
  });
}

function conformanceOfNeighbours({ create, skip }: DatapathUnderTest): void {
  void t.test('detach() of one attachment leaves the others and the other tenants alone', { skip }, async (t) => {
    const node = await createNode(t, create);
    const [stays, goes, other] = [createContainer(t), createContainer(t), createContainer(t)];
    await node.datapath.attach({ segment: red, port: testPort(red, 5), netnsFd: other.fd });
    const onlyRed = observeNode(node);
    await node.datapath.attach({ segment: withGateway(blue), port: testPort(blue, 5), netnsFd: stays.fd });
    const withBlue = observeNode(node);
    await node.datapath.attach({ segment: withGateway(blue), port: testPort(blue, 6), netnsFd: goes.fd });
    await node.datapath.detach(testPort(blue, 6));
    t.same(observeNode(node), withBlue);
    t.ok(canPing(stays, '10.1.1.1'));
    await node.datapath.detach(testPort(blue, 5));
    await removeSegment(node.datapath, { segment: withGateway(blue), remaining: [red] });
    t.same(observeNode(node), onlyRed);
  });

  void t.test('what belongs to somebody else is as it was', { skip }, async (t) => {
    const [node, container] = [await createNode(t, create), createContainer(t)];
    const lines = [
      'link add br-other type bridge', 'link add o0 master br-other type veth peer name o1',
      'link add vx7 master br-other type vxlan id 7 dstport 4789 local 192.0.2.1', 'link set br-other addrgenmode none', 'route add 198.51.100.0/24 via 192.0.2.9',
    ];
    run('ip', ['-n', node.netns, '-batch', '-'], `${lines.join('\n')}\n`);
    run('bridge', ['-n', node.netns, 'fdb', 'add', '02:00:00:00:77:01', 'dev', 'o0', 'master', 'static']);
    run('bridge', ['-n', node.netns, 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx7', 'dst', '192.0.2.77']);
    runIn(node.netns, 'nft', foreignTables);
    const before = observeNode(node);
    const port = testPort(blue, 5);
    await node.datapath.attach({ segment: withGateway(blue), port, netnsFd: container.fd });
    t.same(await node.datapath.collect({ segments: [withGateway(blue)], ports: [port] }), []);
    await node.datapath.detach(port);
    await removeSegment(node.datapath, { segment: withGateway(blue), remaining: [] });
    t.same(await node.datapath.collect({ segments: [], ports: [] }), []);
    t.same(observeNode(node), before);
  });
}

/** Attaches with the planned fault; returns whether that was an error. */
async function failsToAttach(node: TestNode, request: PortRequest, plan: FaultPlan): Promise<boolean> {
  try {
    await node.withKernel((kernel) => faultyKernel(kernel, plan)).attach(request);
    return false;
  } catch {
    return true;
  }
}

function conformanceOfFaults({ create, skip }: DatapathUnderTest): void {
  const neighbours: readonly { readonly name: string; readonly others: readonly Segment[] }[] = [
    { name: 'on an empty node', others: [] },
    { name: 'beside another tenant', others: [red] },
  ];
  for (const { name, others } of neighbours) {
    for (const kind of ['refused', 'executed'] satisfies FaultKind[]) {
      void t.test(`attach() ${name} with each request ${kind} in turn is undone by detach() and removeSegment()`, { skip }, async (t) => {
        const [node, container] = [await createNode(t, create), createContainer(t)];
        for (const segment of others) await node.datapath.attach({ segment, port: testPort(segment, 9), netnsFd: createContainer(t).fd });
        const before = [observeNode(node), observeNode(container)];
        const request = { segment: withGateway(blue), port: testPort(blue, 5), netnsFd: container.fd };
        let at = 1;
        for (; at <= requestsMax; at += 1) {
          const plan = new FaultPlan(kind, at);
          const isRefused = await failsToAttach(node, request, plan);
          if (!isRefused) t.same(await node.datapath.check(request), [], 'an attach() that takes a refusal for an answer is whole');
          await node.datapath.detach(request.port);
          await removeSegment(node.datapath, { segment: request.segment, remaining: others });
          t.same([observeNode(node), observeNode(container)], before, `request ${at}: ${plan.failed ?? 'none'}`);
          if (plan.failed === undefined) break;
        }
        t.comment(`${at - 1} requests were ${kind}`);
        t.ok(at > 20 && at <= requestsMax, `attach() has ${at - 1} requests`);
      });
    }
  }
}
