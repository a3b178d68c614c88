import t from 'tap';
import { repairsMax } from '../report/daemon-status.ts';
import { Findings } from './findings.ts';
import { recordingLog } from './test-parts.ts';

function create(): { findings: Findings; said: string[]; clock: { now: number } } {
  const said: string[] = [];
  const clock = { now: 1 };
  return { findings: new Findings(recordingLog(said), () => clock.now), said, clock };
}

t.test('each repair is in the report with its time, and in the log', (t) => {
  const { findings, said, clock } = create();
  findings.noteRepairs('segment', 'weft-br1', ['weft-br1 is down: set up', 'it has lost its description: written again']);
  clock.now = 2;
  findings.noteRepairs('guard', 'guard', ['the guard lacks the nft table bridge weft']);
  t.same(findings.repairs, [
    { at: 1, what: 'weft-br1 is down: set up' },
    { at: 1, what: 'it has lost its description: written again' },
    { at: 2, what: 'the guard lacks the nft table bridge weft' },
  ]);
  t.same(said, findings.repairs.map(({ what }) => `warn repaired: ${what}`));
  t.same([...findings.repairCounts], [['segment', 2], ['endpoint', 0], ['guard', 1], ['plan', 0], ['mtu', 0], ['garbage', 0], ['removal', 0]]);
  t.end();
});

t.test('nothing to do says nothing', (t) => {
  const { findings, said } = create();
  findings.noteRepairs('segment', 'weft-br1', []);
  findings.noteFaults('weft-br1', []);
  findings.retain(() => false);
  t.same([findings.repairs, findings.openFaults, said], [[], [], []]);
  t.end();
});

t.test('the report keeps the latest repairs, however many there are', (t) => {
  const { findings, said } = create();
  const count = repairsMax + 10;
  for (let n = 1; n <= count; n += 1) findings.noteRepairs('segment', 'weft-br1', [`number ${n}`]);
  t.equal(findings.repairs.length, repairsMax);
  t.same([findings.repairs.at(0)?.what, findings.repairs.at(-1)?.what], ['number 11', `number ${count}`]);
  t.equal(said.length, count, 'the log has them all');
  t.end();
});

t.test('a fault is said when it comes and when it goes, not at each pass', (t) => {
  const { findings, said } = create();
  findings.noteFaults('weft-p1', ['A']);
  findings.noteFaults('weft-p1', ['A']);
  t.same(said, ['warn cannot be repaired: A']);
  findings.noteFaults('weft-p2', ['A']);
  t.same(said.slice(1), ['warn cannot be repaired: A'], 'of another subject it is another fault');
  findings.noteFaults('weft-p1', ['B', 'A']);
  t.same(said.slice(2), ['warn cannot be repaired: B'], 'only what is new');
  t.same(findings.openFaults, ['B', 'A', 'A']);
  findings.noteFaults('weft-p1', ['B']);
  findings.noteFaults('weft-p1', []);
  t.same(said.slice(3), ['info no longer wrong: A', 'info no longer wrong: B']);
  t.same(findings.openFaults, ['A']);
  t.end();
});

t.test('of what is there no more nothing is said', (t) => {
  const { findings, said } = create();
  findings.noteFaults('weft-p1', ['A']);
  findings.noteFaults('weft-p2', ['B']);
  findings.retain((subject) => subject === 'weft-p2');
  t.same(findings.openFaults, ['B']);
  t.equal(said.length, 2, 'it was not mended');
  t.end();
});
