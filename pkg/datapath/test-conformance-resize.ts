/** The part of the conformance suite on another MTU: both ends and the segment have it, check() agrees, and packets of the size pass. */
import t from 'tap';
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import { netnsId } from '../sys/netns.ts';
import { run, runIn } from '../testing/command.ts';
import { netnsPath } from '../testing/netns.ts';
import { findLink } from '../testing/observe.ts';
import { bridgeName } from '../overlay/names.ts';
import type { ResizedPort } from './resize.ts';
import type { DatapathUnderTest } from './test-conformance.ts';
import { blue, canPing, createContainer, createNode, testPort, withGateway, type TestContainer, type TestNode } from './test-node.ts';

function resize(node: TestNode, port: AttachmentPort, { container, mtu }: { readonly container: TestContainer; readonly mtu: number }): ResizedPort {
  const netns = netnsPath(container.netns);
  return node.datapath.resizePort({ port, netns, netnsId: netnsId(netns) }, mtu);
}

function mtuOf({ netns }: TestContainer, name: string): number | undefined {
  return findLink(netns, name)?.mtu;
}

/** Whether the container gets an answer to a packet of so many bytes that may not be cut. */
function isAnswered({ netns }: TestContainer, address: string, bytes: number): boolean {
  const ipv4AndIcmpBytes = 28;
  try {
    runIn(netns, 'ping', '-n', '-c', '1', '-W', '5', '-M', 'do', '-s', String(bytes - ipv4AndIcmpBytes), address);
    return true;
  } catch {
    return false;
  }
}

/** Tests resizeSegment() and resizePort(). */
export function conformanceOfResizing(subject: DatapathUnderTest): void {
  conformanceOfFollowing(subject);
  conformanceOfExceptions(subject);
}

function conformanceOfFollowing({ create, skip }: DatapathUnderTest): void {
  void t.test('another MTU is carried into a segment, its gateway and its ports', { skip }, async (t) => {
    const node = await createNode(t, create);
    const containers = [createContainer(t), createContainer(t)] as const;
    let segment: Segment = withGateway(blue);
    let ports = [testPort(blue, 5), testPort(blue, 6)];
    for (const [at, port] of ports.entries()) await node.datapath.attach({ segment, port, netnsFd: containers[at as 0 | 1].fd });
    for (const [underlayMtu, overlayMtu] of [[1500, 1400], [9000, 8950], [1600, 1550]] as const) {
      await node.datapath.resizeSegment({ ...segment, underlayMtu: Math.max(underlayMtu, segment.underlayMtu), overlayMtu: Math.min(overlayMtu, segment.overlayMtu) });
      ports = ports.map((port, at) => resize(node, port, { container: containers[at as 0 | 1], mtu: overlayMtu }).port);
      segment = { ...segment, underlayMtu, overlayMtu };
      await node.datapath.resizeSegment(segment);
      for (const [at, port] of ports.entries()) {
        const container = containers[at as 0 | 1];
        t.same([port.mtu, mtuOf(container, 'eth0'), mtuOf(node, port.hostIf)], [overlayMtu, overlayMtu, overlayMtu]);
        t.same(await node.datapath.check({ segment, port, netnsFd: container.fd }), [], `check() agrees with ${overlayMtu}`);
      }
      t.equal(mtuOf(node, bridgeName(blue.vni)), overlayMtu, 'the gateway has it');
      for (const address of ['10.1.1.6', '10.1.1.1']) {
        t.ok(isAnswered(containers[0], address, overlayMtu), `${overlayMtu} bytes to ${address}`);
        t.notOk(isAnswered(containers[0], address, overlayMtu + 1), 'and not one more');
      }
      t.ok(canPing(containers[0], 'fd00:1::6'), 'IPv6 is still there');
    }
  });
}

function conformanceOfExceptions({ create, skip }: DatapathUnderTest): void {
  void t.test('a container that has gone, lost its interface or chosen its MTU keeps nobody from following', { skip }, async (t) => {
    const [node, container, gone] = [await createNode(t, create), createContainer(t), createContainer(t)];
    const [port, lost] = [testPort(blue, 5), testPort(blue, 6)];
    await node.datapath.attach({ segment: blue, port, netnsFd: container.fd });
    await node.datapath.attach({ segment: blue, port: lost, netnsFd: gone.fd });
    run('ip', ['-n', container.netns, 'link', 'set', 'eth0', 'mtu', '1300']);
    t.match(resize(node, port, { container, mtu: 1400 }), { port: { mtu: 1400 }, keptMtu: 1300 });
    t.same([mtuOf(container, 'eth0'), mtuOf(node, port.hostIf)], [1300, 1400]);
    run('ip', ['-n', gone.netns, 'link', 'set', 'eth0', 'down']);
    run('ip', ['-n', gone.netns, 'link', 'set', 'eth0', 'name', 'other']);
    t.match(resize(node, lost, { container: gone, mtu: 1400 }), { port: { mtu: 1400 } });
    t.same([mtuOf(gone, 'other'), mtuOf(node, lost.hostIf)], [1450, 1400], 'what has another name is the container’s');
    run('ip', ['-n', gone.netns, 'link', 'del', 'other']);
    t.match(resize(node, lost, { container: gone, mtu: 1350 }), { port: { mtu: 1350 } }, 'without links');
    t.match(node.datapath.resizePort({ port: lost, netns: '/run/netns/there-is-none', netnsId: '1:1' }, 1340), { port: { mtu: 1340 } }, 'without a namespace');
  });

  void t.test('a segment without links is no error', { skip }, async (t) => {
    const node = await createNode(t, create);
    await node.datapath.resizeSegment({ ...withGateway(blue), overlayMtu: 1400 });
    t.equal(mtuOf(node, bridgeName(blue.vni)), undefined);
  });
}
