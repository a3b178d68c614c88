/** Passes over a node whose ledger is real and whose datapath is played. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nothingWrong } from '../datapath/fault.ts';
import { currentWorker } from '../ledger/boot.ts';
import type { AttachmentState } from '../ledger/ledger.ts';
import { writePendingDel, listPendingDels } from '../ledger/pending.ts';
import { redVni, testSegment } from '../ledger/test-records.ts';
import { runPass } from './pass.ts';
import { everything, scopeOf } from './scope.ts';
import { attached, gone, playNode, refused, repaired, type PlayedNode } from './test-parts.ts';

const red = testSegment({ tenant: 'red', vni: redVni });
const blueSegment = testSegment();
const portScope = (...hostIfs: readonly string[]): ReturnType<typeof scopeOf> => scopeOf({ hostIfs: new Set(hostIfs) });

function repairsOf({ parts }: PlayedNode): string[] {
  return parts.findings.repairs.map(({ what }) => what);
}

function statesOf({ ledger }: PlayedNode): string[] {
  return ledger.read((tx) => tx.listAttachments()).map(({ hostIf, state }) => `${hostIf} ${state}`);
}

/** Calls but for those of the plan, which these attachments' configuration does not allow. */
function callsOf({ calls }: PlayedNode): string[] {
  return calls.splice(0);
}

t.test('a pass over a whole node compares everything, by one observation', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  node.put(attached(2, { vni: redVni, tenant: 'red', key: { network: 'red', containerId: 'c2', ifName: 'eth0' } }), red);
  t.equal(await runPass(node.parts, everything), false, 'nothing is to be tried again');
  t.same(callsOf(node), ['guard of 2', 'observe', 'segment 1001 seen', 'segment 1002 seen', 'port weft-p1 seen', 'port weft-p2 seen', 'collect beside 2']);
  t.same(repairsOf(node), []);
});

t.test('a pass over parts looks at these and nothing else, as they are now', async (t) => {
  const node = playNode(t);
  for (const n of [1, 2, 3]) node.put(attached(n));
  const rows = [
    { what: 'a port', scope: portScope('weft-p2'), calls: ['port weft-p2 now'] },
    { what: 'two ports', scope: portScope('weft-p3', 'weft-p1'), calls: ['port weft-p3 now', 'port weft-p1 now'] },
    { what: 'a segment', scope: scopeOf({ vnis: new Set([blueSegment.vni]) }), calls: ['segment 1001 now'] },
    { what: 'the guard', scope: scopeOf({ guard: true }), calls: ['guard of 3'] },
    { what: 'a port of no attachment', scope: portScope('weft-p9'), calls: [] },
    { what: 'a segment of no attachment', scope: scopeOf({ vnis: new Set([redVni]) }), calls: [] },
    { what: 'nothing', scope: scopeOf({}), calls: [] },
  ];
  for (const { what, scope, calls } of rows) {
    t.equal(await runPass(node.parts, scope), false, what);
    t.same(callsOf(node), calls, what);
  }
});

t.test('the ports of a segment that was mended are looked at afresh', async (t) => {
  const node = playNode(t);
  for (const n of [1, 2]) node.put(attached(n));
  node.answers.segment = () => repaired('weft-br1001 is missing: made anew');
  node.answers.port = (hostIf) => repaired(`${hostIf} is not a port of weft-br1001: put back`);
  await runPass(node.parts, scopeOf({ vnis: new Set([blueSegment.vni]), hostIfs: new Set(['weft-p2']) }));
  t.same(callsOf(node), ['segment 1001 now', 'port weft-p2 now', 'port weft-p1 now'], 'each once');
  t.same(repairsOf(node), ['weft-br1001 is missing: made anew', 'weft-p2 is not a port of weft-br1001: put back', 'weft-p1 is not a port of weft-br1001: put back']);
  await runPass(node.parts, everything);
  t.same(callsOf(node).filter((call) => call.startsWith('port')), ['port weft-p1 now', 'port weft-p2 now'], 'not by what was observed before');
});

t.test('what could not be put right is worth another try, and is said once', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  const rows: readonly (readonly [string, (node: PlayedNode) => void, RegExp])[] = [
    ['segment', ({ answers }) => (answers.segment = () => refused('weft-br1001 is down: not permitted')), /weft-br1001 is down/],
    ['port', ({ answers }) => (answers.port = () => refused('weft-p1 is down: not permitted')), /weft-p1 is down/],
    ['a segment that cannot be looked at', ({ answers }) => (answers.segment = () => fail('no answer')), /weft-br1001 cannot be compared.*no answer/],
    ['a port that cannot be looked at', ({ answers }) => (answers.port = () => fail('no answer')), /weft-p1 cannot be compared.*no answer/],
    ['a container that cannot be looked at', ({ answers }) => (answers.container = () => fail('no answer')), /weft-p1 cannot be compared.*no answer/],
    ['guard', ({ answers }) => (answers.mendGuard = () => fail('busy')), /the guard cannot be mended: busy/],
  ];
  for (const [what, harm, said] of rows) {
    const whole = { ...node.answers };
    harm(node);
    const before = node.said.length;
    t.equal(await runPass(node.parts, everything), true, what);
    t.equal(await runPass(node.parts, everything), true, what);
    t.match(node.said.slice(before).filter((line) => said.test(line)), [/^warn cannot be repaired/], what);
    t.equal(node.parts.findings.openFaults.filter((fault) => said.test(fault)).length, 1, what);
    Object.assign(node.answers, whole);
    t.equal(await runPass(node.parts, everything), false, `${what}, mended`);
    t.notOk(node.parts.findings.openFaults.some((fault) => said.test(fault)), `${what}, mended`);
  }
});

t.test('one port that cannot be looked at does not keep the others from it', async (t) => {
  const node = playNode(t);
  for (const n of [1, 2, 3]) node.put(attached(n));
  node.answers.port = (hostIf) => (hostIf === 'weft-p2' ? fail('no answer') : repaired(`${hostIf} is down: set up`));
  t.equal(await runPass(node.parts, everything), true);
  t.same(repairsOf(node), ['weft-p1 is down: set up', 'weft-p3 is down: set up']);
  t.ok(callsOf(node).includes('collect beside 3'), 'and the pass goes on behind them');
});

t.test('what is left as it is, is reported and not tried again', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  node.answers.container = () => ({ ...nothingWrong, left: ['the container has MAC 02:00:00:00:00:99'] });
  t.equal(await runPass(node.parts, everything), false);
  t.ok(node.parts.findings.openFaults.includes('the container has MAC 02:00:00:00:00:99'));
});

t.test('calls that nobody will finish are undone, those under way are not touched', async (t) => {
  const node = playNode(t);
  const own = currentWorker();
  const states: readonly (readonly [AttachmentState, typeof own])[] = [['adding', { pid: 4_194_305, startTime: '1' }], ['deleting', { pid: 4_194_305, startTime: '1' }], ['adding', own], ['adding', own]];
  const records = states.map(([state, worker], index) => node.put(attached(index + 1, { state, worker })));
  const claimed = records[2]?.seq ?? 0;
  await node.parts.engine.claims.hold(claimed, () => runPass(node.parts, everything));
  t.same(statesOf(node), ['weft-p3 adding'], 'only what this process is working on is left');
  t.match(repairsOf(node), [/^the ADD of container container-1, eth0 was interrupted: removed/, /^the DEL of container container-2/, /^the ADD of container container-4/]);
  t.same(callsOf(node).filter((call) => call.startsWith('port')), [], 'what is not attached is not repaired');
  await runPass(node.parts, portScope('weft-p3'));
  t.same(statesOf(node), ['weft-p3 adding'], 'a pass over parts undoes nothing');
});

t.test('an interrupted call that cannot be undone is reported until it can', async (t) => {
  const node = playNode(t);
  node.put(attached(1, { state: 'adding' }));
  node.put(attached(2));
  node.answers.detach = () => Promise.reject(new Error('not permitted'));
  await runPass(node.parts, everything);
  t.match(node.parts.findings.openFaults.filter((fault) => fault.startsWith('container')), ['container container-1, eth0 cannot be removed: not permitted']);
  t.same(statesOf(node), ['weft-p1 deleting', 'weft-p2 attached']);
  await runPass(node.parts, everything);
  t.equal(node.said.filter((line) => line.includes('cannot be removed')).length, 1, 'said once');
  node.answers.detach = () => Promise.resolve();
  await runPass(node.parts, everything);
  t.same(statesOf(node), ['weft-p2 attached']);
  t.same(node.parts.findings.openFaults.filter((fault) => fault.startsWith('container')), []);
});

t.test('a removal waits for the calls about its container', async (t) => {
  const node = playNode(t);
  node.put(attached(1, { state: 'adding' }));
  const keys: string[] = [];
  const parts = { ...node.parts, exclusively: <T>(containerId: string, work: () => Promise<T>) => { keys.push(containerId); return work(); } };
  await runPass(parts, everything);
  t.same(keys, ['container-1']);
});

t.test('a container that vanished is collected at the second observation', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  node.put(attached(2));
  node.answers.port = (hostIf) => (hostIf === 'weft-p1' ? gone : nothingWrong);
  node.answers.container = node.answers.port;
  await runPass(node.parts, portScope('weft-p1'));
  t.same(statesOf(node), ['weft-p1 attached', 'weft-p2 attached'], 'not at the first');
  t.same([...node.parts.vanished.pending.values()], ['weft-p1']);
  node.clock.now = 10_000;
  await runPass(node.parts, portScope('weft-p1'));
  t.same(statesOf(node), ['weft-p2 attached']);
  t.same(repairsOf(node), ['the namespace /run/netns/1 of container container-1, eth0 is gone and no DEL came: removed']);
  t.equal(node.parts.vanished.pending.size, 0, 'it is looked at no more');
  t.same(node.parts.findings.openFaults, []);
});

t.test('when its DEL has come it is forgotten, whatever the pass was about', async (t) => {
  const node = playNode(t);
  const { seq } = node.put(attached(1));
  node.put(attached(2));
  node.answers.port = (hostIf) => (hostIf === 'weft-p1' ? gone : nothingWrong);
  node.answers.container = node.answers.port;
  await runPass(node.parts, portScope('weft-p1'));
  node.ledger.write((tx) => tx.deleteAttachment(seq));
  await runPass(node.parts, portScope('weft-p2'));
  t.equal(node.parts.vanished.pending.size, 0);
});

t.test('an attachment that goes behind the snapshot is not made anew', async (t) => {
  const rows: readonly (readonly [string, (node: PlayedNode, seq: number) => void])[] = [
    ['deleted', ({ ledger }, seq) => void ledger.write((tx) => tx.deleteAttachment(seq))],
    ['being deleted', ({ ledger }, seq) => void ledger.write((tx) => tx.updateAttachment(seq, { state: 'deleting' }))],
  ];
  for (const [what, del] of rows) {
    const node = playNode(t);
    const [, second] = [node.put(attached(1)), node.put(attached(2))];
    node.answers.port = (hostIf) => {
      // A DEL that comes between the two ports.
      if (hostIf === 'weft-p1') queueMicrotask(() => del(node, second.seq));
      return nothingWrong;
    };
    await runPass(node.parts, portScope('weft-p1', 'weft-p2'));
    t.same(callsOf(node), ['port weft-p1 now'], what);
  }
});

t.test('garbage and what the guard lacked are reported', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  node.answers.collect = () => ['veth weft-p000000009', '2 elements of the nft set bridge weft ports'];
  node.answers.mendGuard = () => ['the guard lacks the nft table bridge weft'];
  t.equal(await runPass(node.parts, everything), false);
  t.same(repairsOf(node), ['the guard lacks the nft table bridge weft', 'veth weft-p000000009 belonged to no attachment: removed', '2 elements of the nft set bridge weft ports belonged to no attachment: removed']);
});

t.test('garbage that cannot be removed stops nothing and is reported', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  node.answers.collect = () => fail('not permitted');
  t.equal(await runPass(node.parts, everything), false, 'the next pass over the node tries again');
  t.ok(node.parts.findings.openFaults.includes('what belongs to no attachment cannot be removed: not permitted'));
});

t.test('a segment without attachments goes', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  node.ledger.write((tx) => tx.putSegment({ vni: redVni, segment: red }));
  await runPass(node.parts, everything);
  t.same(node.ledger.read((tx) => tx.listSegments()).map(({ vni }) => vni), [blueSegment.vni]);
  const calls = callsOf(node);
  t.ok(calls.includes('remove 1002'));
  t.notOk(calls.includes('segment 1002 seen'), 'it is not repaired before');
});

t.test('DELs that were written down are done by a pass over the node', async (t) => {
  const node = playNode(t);
  node.put(attached(1));
  writePendingDel(node.parts.engine.pendingDirectories, { network: 'blue', containerId: 'container-1', ifName: 'eth0', requestedAt: Date.now() });
  await runPass(node.parts, portScope('weft-p1'));
  t.same(statesOf(node), ['weft-p1 attached'], 'not by one over parts');
  await runPass(node.parts, everything);
  t.same(statesOf(node), []);
  t.same(listPendingDels(node.parts.engine.pendingDirectories).entries, []);
});

t.test('a pass that finds nothing writes nothing into the ledger', async (t) => {
  const node = playNode(t);
  for (const n of [1, 2, 3]) node.put(attached(n));
  const log = join(node.parts.engine.pendingDirectories[0] ?? '', 'ledger.db-wal');
  const before = statSync(log);
  await runPass(node.parts, everything);
  await runPass(node.parts, portScope('weft-p1'));
  t.same([statSync(log).size, statSync(log).mtimeMs], [before.size, before.mtimeMs]);
  node.ledger.write((tx) => tx.deleteAttachment(3));
  t.ok(statSync(log).size > before.size, 'a change would show');
});

function fail(message: string): never {
  throw new Error(message);
}
