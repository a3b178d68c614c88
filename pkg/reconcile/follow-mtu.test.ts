/** A tenant's MTU carried into ledger and datapath, which is played: in which order, and what is left when something fails. */
import t from 'tap';
import { parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { testSegment } from '../ledger/test-records.ts';
import { describeFollowed, followMtu } from './follow-mtu.ts';
import { attached, playNode, type PlayedNode } from './test-parts.ts';

const segment = testSegment({ underlayMtu: 1600, overlayMtu: 1550 });
const { vni } = segment;

function play(scope: Parameters<typeof playNode>[0], mtus: readonly number[]): PlayedNode {
  const node = playNode(scope);
  for (const [at, mtu] of mtus.entries()) put(node, at + 1, mtu);
  return node;
}

function put(node: PlayedNode, n: number, mtu: number): void {
  const { port, ...rest } = attached(n);
  node.put({ ...rest, port: { ...port, mtu } }, node.ledger.read((tx) => tx.findSegment(vni))?.segment ?? segment);
}

function mtusOf({ ledger }: PlayedNode): unknown {
  return ledger.read((tx) => ({ segment: [tx.findSegment(vni)?.segment.underlayMtu, tx.findSegment(vni)?.segment.overlayMtu], ports: tx.listAttachments({ vni }).map(({ port }) => port.mtu) }));
}

const lower = { vni, fitting: { underlayMtu: 1500, overlayMtu: 1450 } };
const raise = { vni, fitting: { underlayMtu: 9000, overlayMtu: 8950 } };

t.test('lowering: what sends first, and the tunnel last', async (t) => {
  const node = play(t, [1550, 1550]);
  t.match(await followMtu(node.parts.engine, lower), { from: { overlayMtu: 1550 }, to: { underlayMtu: 1500, overlayMtu: 1450 }, moved: 2, kept: 0, failed: [] });
  t.same(node.calls, ['resize 1001 to 1600 and 1450', 'resize weft-p1 from 1550 to 1450', 'resize weft-p2 from 1550 to 1450', 'resize 1001 to 1500 and 1450']);
  t.same(mtusOf(node), { segment: [1500, 1450], ports: [1450, 1450] });
  node.calls.length = 0;
  t.equal(await followMtu(node.parts.engine, lower), undefined);
  t.same(node.calls, [], 'a second time nothing is asked of the kernel');
});

t.test('raising: the tunnel first, and what sends last', async (t) => {
  const node = play(t, [1550]);
  t.match(await followMtu(node.parts.engine, raise), { moved: 1 });
  t.same(node.calls, ['resize 1001 to 9000 and 1550', 'resize weft-p1 from 1550 to 8950', 'resize 1001 to 9000 and 8950']);
});

t.test('another goes on where one has died', async (t) => {
  const node = play(t, [1550, 1450, 1550]);
  node.ledger.write((tx) => tx.putSegment({ vni, segment: { ...segment, overlayMtu: 1450 } }));
  t.match(await followMtu(node.parts.engine, lower), { moved: 2 });
  t.same(node.calls, ['resize weft-p1 from 1550 to 1450', 'resize weft-p3 from 1550 to 1450', 'resize 1001 to 1500 and 1450']);
});

t.test('only the attachments are behind', async (t) => {
  const node = play(t, [1450]);
  const followed = await followMtu(node.parts.engine, { vni, fitting: { underlayMtu: 1600, overlayMtu: 1550 } });
  t.same(node.calls, ['resize weft-p1 from 1450 to 1550']);
  t.equal(followed && describeFollowed('blue', followed, 'x'), 'the MTU of tenant blue is 1550, for x; a container has followed');
});

t.test('what is refused to one is not refused to the others, and keeps the tunnel as it is', async (t) => {
  const node = play(t, [1550, 1550]);
  node.answers.resize = (what) => {
    if (what === 'weft-p1') throw new Error('not permitted');
  };
  t.match(await followMtu(node.parts.engine, lower), { moved: 1, failed: ['weft-p1 keeps its MTU: not permitted'] });
  t.same(mtusOf(node), { segment: [1600, 1450], ports: [1550, 1450] }, 'the ledger has what the kernel has');
  node.answers.resize = () => undefined;
  t.match(await followMtu(node.parts.engine, lower), { moved: 1, failed: [] });
  t.same(mtusOf(node), { segment: [1500, 1450], ports: [1450, 1450] });
});

t.test('a segment whose links are refused is as it was', async (t) => {
  const node = play(t, [1550]);
  node.answers.resize = () => {
    throw new Error('not permitted');
  };
  await t.rejects(followMtu(node.parts.engine, lower), { message: 'not permitted' });
  t.same(mtusOf(node), { segment: [1600, 1550], ports: [1550] });
});

t.test('attachments that come meanwhile follow, and those that go are not missed', async (t) => {
  const node = play(t, [1550, 1550]);
  let isFirst = true;
  node.answers.resize = (what) => {
    if (what !== 'weft-p1' || !isFirst) return;
    isFirst = false;
    setImmediate(() => {
      put(node, 3, 1550);
      const gone = node.ledger.read((tx) => tx.findAttachmentByHostIf('weft-p2'));
      if (gone !== undefined) node.ledger.write((tx) => tx.deleteAttachment(gone.seq));
    });
  };
  t.match(await followMtu(node.parts.engine, lower), { moved: 2 });
  t.same(mtusOf(node), { segment: [1500, 1450], ports: [1450, 1450] });
  t.notOk(node.calls.includes('resize weft-p2 from 1550 to 1450'));
});

t.test('a container with IPv6 keeps 1280, and its tunnel takes that', async (t) => {
  const node = playNode(t);
  for (const [n, address] of [[1, '10.1.1.1/24'], [2, 'fd00:1::2/64']] as const) {
    const { port, ...rest } = attached(n);
    node.put({ ...rest, port: { ...port, mtu: 1550, addresses: [parseInterfaceAddress(address)] } }, { ...segment, gateway: { addresses: [parseInterfaceAddress('10.1.1.254/24')], masquerade: false } });
  }
  await followMtu(node.parts.engine, { vni, fitting: { underlayMtu: 1200, overlayMtu: 1150 } });
  t.same(mtusOf(node), { segment: [1280, 1280], ports: [1150, 1280] });
});

t.equal(await followMtu(playNode(t).parts.engine, lower), undefined, 'a tenant that has gone');
const base = { from: { underlayMtu: 1600, overlayMtu: 1550 }, to: { underlayMtu: 1500, overlayMtu: 1450 }, failed: [] };
t.equal(describeFollowed('blue', { ...base, moved: 12, kept: 1 }, 'the MTU of eth0 is 1500'), 'the MTU of tenant blue is now 1450 instead of 1550, for the MTU of eth0 is 1500; 12 containers have followed, one of them with the smaller one that it has chosen');
t.equal(describeFollowed('blue', { ...base, to: { underlayMtu: 1700, overlayMtu: 1550 }, moved: 0, kept: 0 }, 'mtu is 1550'), 'the MTU of tenant blue is 1550, and that of its tunnel 1700 instead of 1600, for mtu is 1550');
