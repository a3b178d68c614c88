/** When passes are made: over a played datapath, without a kernel. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { nothingWrong } from '../datapath/fault.ts';
import { testSegment } from '../ledger/test-records.ts';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { Reconciler } from './reconciler.ts';
import { everything, scopeOf } from './scope.ts';
import { attached, playNode, recordingLog, refused, repaired, type PlayedNode } from './test-parts.ts';

const deadlineMs = 10_000;
const ports = (...hostIfs: readonly string[]): ReturnType<typeof scopeOf> => scopeOf({ hostIfs: new Set(hostIfs) });

interface Scene {
  readonly node: PlayedNode;
  readonly reconciler: Reconciler;
}

function create(...[scope, engine]: Parameters<typeof playNode>): Scene {
  const node = playNode(scope, engine);
  const { findings: _findings, vanished: _vanished, ...rest } = node.parts;
  const reconciler = new Reconciler({ ...rest, log: recordingLog(node.said), own: { route: -1, netfilter: -1 } });
  scope.teardown(() => void reconciler.stop());
  return { node, reconciler };
}

async function eventually(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`it did not come to be that ${what}`);
    await delay(2);
  }
}

function lookedAt({ node }: Scene): string[] {
  return node.calls.filter((call) => call.startsWith('port'));
}

t.test('it begins with a pass over the whole node, and reports', async (t) => {
  const scene = create(t);
  scene.node.put(attached(1));
  scene.node.answers.port = () => repaired('weft-p1 is down: set up');
  t.match(scene.reconciler.status, { passes: 0, repairs: [], openFaults: [] });
  t.equal(scene.reconciler.status.lastPassAt, undefined);
  await scene.reconciler.start();
  t.match(scene.reconciler.status, { passes: 1, lastPassAt: 1000, lastPassMs: Number, repairs: [{ at: 1000, what: 'weft-p1 is down: set up' }] });
  t.same(lookedAt(scene), ['port weft-p1 seen']);
});

t.test('what is asked for during a pass is looked at in one pass behind it', async (t) => {
  const scene = create(t);
  const { node, reconciler } = scene;
  for (const n of [1, 2, 3]) node.put(attached(n));
  node.answers.port = (hostIf) => {
    if (hostIf === 'weft-p1' && reconciler.status.passes === 0) for (const name of ['weft-p2', 'weft-p3', 'weft-p2']) reconciler.look(ports(name));
    return nothingWrong;
  };
  reconciler.look(ports('weft-p1'));
  await eventually('both passes are over', () => reconciler.status.passes === 2);
  t.same(lookedAt(scene), ['port weft-p1 now', 'port weft-p2 now', 'port weft-p3 now']);
});

t.test('who asks at the very end of a pass is heard', async (t) => {
  let atEnd: () => void = () => undefined;
  // The clock is looked at when a pass is over.
  const { node, reconciler } = create(t, { now: () => { atEnd(); return 1000; } });
  node.put(attached(1));
  const look = (): void => reconciler.look(ports('weft-p1'));
  for (let steps = 0; steps < 10; steps += 1) {
    const { passes } = reconciler.status;
    atEnd = () => {
      atEnd = () => undefined;
      void afterMicrotasks(steps, look);
    };
    look();
    await eventually(`a pass asked for ${steps} microtasks behind the end of another is made`, () => reconciler.status.passes === passes + 2);
  }
});

async function afterMicrotasks(count: number, fn: () => void): Promise<void> {
  for (let step = 0; step <= count; step += 1) await Promise.resolve();
  fn();
}

t.test('what fails is tried again, all of it, until it succeeds', async (t) => {
  const scene = create(t);
  const { node, reconciler } = scene;
  for (const n of [1, 2]) node.put(attached(n));
  node.answers.port = (hostIf) => refused(`${hostIf} is down: not permitted`);
  reconciler.look(ports('weft-p1'));
  await eventually('the first has failed', () => reconciler.status.passes === 1);
  reconciler.look(ports('weft-p2'));
  await eventually('the second has failed', () => reconciler.status.passes === 2);
  t.same(reconciler.status.openFaults, ['weft-p1 is down: not permitted', 'weft-p2 is down: not permitted']);
  node.answers.port = (hostIf) => repaired(`${hostIf} is down: set up`);
  await eventually('both are mended', () => reconciler.status.openFaults.length === 0 && reconciler.status.passes > 2);
  t.equal(reconciler.status.passes, 3, 'by one retry');
  t.same(reconciler.status.repairs.map(({ what }) => what), ['weft-p1 is down: set up', 'weft-p2 is down: set up']);
});

t.test('a ledger that cannot be used stops nothing', async (t) => {
  const { node, reconciler } = create(t);
  node.put(attached(1));
  node.ledger.close();
  reconciler.look(everything);
  await eventually('the pass has failed', () => reconciler.status.passes === 1);
  t.ok(node.said.some((line) => line.startsWith('error the node could not be compared with the ledger')));
  await eventually('it is tried again', () => reconciler.status.passes === 2);
});

t.test('lost events: the whole node is looked at', async (t) => {
  const scene = create(t);
  scene.node.put(attached(1));
  scene.reconciler.noteOverrun();
  await eventually('the pass is over', () => scene.reconciler.status.passes === 1);
  t.same(lookedAt(scene), ['port weft-p1 seen']);
  t.ok(scene.node.said.some((line) => line.includes('events of the kernel were lost')));
});

t.test('stopping waits for the pass that is under way, and begins no other', async (t) => {
  const scene = create(t);
  const { node, reconciler } = scene;
  for (const n of [1, 2]) node.put(attached(n));
  node.answers.port = () => refused('not permitted');
  reconciler.look(ports('weft-p1', 'weft-p2'));
  const stopped = reconciler.stop();
  reconciler.look(ports('weft-p1'));
  await stopped;
  t.equal(reconciler.status.passes, 1);
  t.same(lookedAt(scene), ['port weft-p1 now', 'port weft-p2 now']);
  reconciler.look(everything);
  t.equal(reconciler.status.passes, 1);
});

t.test('the MTU is lowered at once, and raised when the underlay has been quiet', async (t) => {
  const asked: unknown[] = [];
  const scene = create(t);
  const { node } = scene;
  const { findings: _findings, vanished: _vanished, ...rest } = node.parts;
  let mtu = 1400;
  const underlay: NonNullable<typeof rest.underlay> = (_settings, _family, peers) => {
    asked.push(peers?.map(formatAddress));
    return { vtepAddress: parseAddress('192.0.2.1'), mtu, linkMtu: mtu, limit: 'the MTU of eth0', links: [] };
  };
  const reconciler = new Reconciler({ ...rest, underlay, log: recordingLog(node.said), own: { route: -1, netfilter: -1 } });
  t.teardown(() => reconciler.stop());
  const { gateway: _gateway, ...segment } = testSegment({ underlayMtu: 1500, overlayMtu: 1450, vtepAddress: parseAddress('192.0.2.1'), peers: [parseAddress('192.0.2.2')] });
  node.put(attached(1, { conf: JSON.stringify({ cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001, peers: ['192.0.2.2'] }) }), segment);
  const mtus = (): unknown => node.ledger.read((tx) => [tx.findSegment(segment.vni)?.segment.underlayMtu, tx.findSegment(segment.vni)?.segment.overlayMtu, tx.listAttachments()[0]?.port.mtu]);
  reconciler.reconsiderMtu('the MTU of eth0 is 1400 instead of 1500');
  await eventually('the containers have followed', () => JSON.stringify(mtus()) === '[1400,1350,1350]');
  t.same(asked[0], ['192.0.2.2']);
  t.same(lookedAt(scene), [], 'nothing else is looked at');

  mtu = 9000;
  const startedAt = performance.now();
  reconciler.reconsiderMtu('the MTU of eth0 is 9000 instead of 1400');
  await eventually('the tunnel has followed', () => JSON.stringify(mtus()) === '[9000,1350,1350]');
  await eventually('the containers have followed', () => JSON.stringify(mtus()) === '[9000,8950,8950]');
  t.ok(performance.now() - startedAt >= 1900, 'and not before the others had time');
});

t.test('a daemon that starts raises at once', async (t) => {
  const scene = create(t, { path: { narrowest: () => undefined } });
  const { findings: _findings, vanished: _vanished, ...rest } = scene.node.parts;
  const underlay: NonNullable<typeof rest.underlay> = () => ({ vtepAddress: parseAddress('192.0.2.1'), mtu: 9000, linkMtu: 9000, limit: 'the MTU of eth0', links: [] });
  const reconciler = new Reconciler({ ...rest, underlay, log: recordingLog(scene.node.said), own: { route: -1, netfilter: -1 } });
  t.teardown(() => reconciler.stop());
  const { gateway: _gateway, ...segment } = testSegment({ underlayMtu: 1500, overlayMtu: 1450, vtepAddress: parseAddress('192.0.2.1'), peers: [] });
  scene.node.put(attached(1, { conf: JSON.stringify({ cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001 }) }), segment);
  await reconciler.start();
  t.equal(scene.node.ledger.read((tx) => tx.listAttachments()[0]?.port.mtu), 8950);
});
