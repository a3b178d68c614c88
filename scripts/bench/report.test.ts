import t from 'tap';
import { emptyProgram, referenceBridge, weftAlone, weftLaunched, weftOverOvs } from './contender.ts';
import type { BenchFigures } from './measure.ts';
import { renderReport } from './report.ts';
import { readSettings } from './settings.ts';

const columns = 100;
const memory = { resident: 100 * 2 ** 20, anonymous: 20 * 2 ** 20 };

/** Verbs whose figures are multiples of one. */
function verbs(ms: number): { add: { p50: number; p95: number }; del: { p50: number; p95: number } } {
  return { add: { p50: ms, p95: 2 * ms }, del: { p50: 3 * ms, p95: 4 * ms } };
}

const [launched, alone, reference] = [weftLaunched('/l', {}), weftAlone('/w', {}), referenceBridge('/d')];
const figures: BenchFigures = {
  startMs: { p50: 100, p95: 120 },
  footprint: { memory: [{ calls: 0, memory }, { calls: 1000, memory }, { calls: 2000, memory: { ...memory, resident: 103 * 2 ** 20 } }], idleCpuMs: 10, idleMs: 5000 },
  singleCalls: [[launched, verbs(3)], [alone, verbs(50)], [reference, verbs(10)]],
  daemonTimes: [{ verb: 'ADD', whole: { p50: 1, p95: 2 }, steps: [] }],
  bursts: [[launched, { add: 100, del: 50 }], [reference, { add: 1000, del: 100 }]],
  launcher: [['/bin/true', { p50: 0.5, p95: 0.75 }]],
  counts: [{ endpoints: 10, weft: verbs(3), ratios: verbs(0.3), resident: 100 }, { endpoints: 900, weft: verbs(3.3), ratios: verbs(0.33), resident: 2 ** 27 }],
  tracedTimes: [{ verb: 'ADD', whole: { p50: 1.1, p95: 2.1 }, steps: [['ledger', 0.25]] }],
  fallback: { launched: 2000, doneAlone: 0 },
  throughput: { weft: 9, byHand: 9.2, underlay: 12, ratios: { byHand: 0.98, underlay: 0.75 } },
  ovs: {
    flows: 22,
    singleCalls: [[weftOverOvs('/l', {}), verbs(8)], [{ ...emptyProgram, name: 'ip, ovs-vsctl, ovs-ofctl' }, verbs(32)]],
    ratios: verbs(0.25),
    loads: [
      { endpoints: 10, remotes: 0, weft: verbs(8), byHand: verbs(32) },
      { endpoints: 10, remotes: 10_000, weft: verbs(8.8), byHand: verbs(33) },
      { endpoints: 500, remotes: 0, weft: verbs(80), byHand: verbs(320) },
    ],
    daemonTimes: [{ verb: 'ADD', whole: { p50: 7, p95: 9 }, steps: [] }],
    tracedTimes: [{ verb: 'ADD', whole: { p50: 7.5, p95: 9.5 }, steps: [['links', 1.25]] }],
    fallback: { launched: 500, doneAlone: 0 },
  },
};

t.test('the report of a run', async (t) => {
  const text = renderReport(figures, readSettings(undefined));
  t.match(text, /weft : bridge\+host-local +0\.30 × +0\.30 × +0\.30 × +0\.30 ×\n/);
  t.match(text, /weft : bridge\+host-local +0\.10 × +0\.50 ×\n/);
  t.match(text, /\n  900 .* 0\.33 × +0\.99 × +128\.0 MiB\n/);
  t.match(text, / {4}ledger +0\.25\n/);
  t.match(text, /idle +100\.0 +20\.0\n {2}after 1000 ADD and DEL +100\.0 +20\.0 +0\.0\n {2}after 2000 ADD and DEL +103\.0 +20\.0 +3\.0\n/);
  t.match(text, /All 2000 ADDs and DELs of the launcher were done by the daemon\.\n/);
  t.match(text, /Open vSwitch, userspace: .* with 22 flows\n\n.*\n {2}weft +8\.00 +16\.00 +24\.00 +32\.00\n {2}ip, ovs-vsctl, ovs-ofctl +32\.00 .*\n {2}weft : by hand +0\.25 × /);
  t.match(text, / {4}links +1\.25\n/);
  t.match(text, /\n {2}10 +10000 +8\.80 .* 33\.00 +99\.00 +0\.27 ×\n {2}500 +0 +80\.00 /);
  t.match(text, /by hand +9\.20 +0\.98 ×\n {2}the bare underlay +12\.00 +0\.75 ×/);
  t.match(text, /10 of 12 goals are reached; not reached: 64 DELs at once 0\.50 × \(at most 0\.15\), ovs: ADD p50, full node to empty 10\.00 × \(at most 1\.25\)\.$/);
  for (const line of text.split('\n').slice(0, -1)) t.ok(line.length <= columns, `${line.length} columns: ${line}`);
});

t.test('what makes the figures doubtful is said', async (t) => {
  const text = renderReport({ ...figures, fallback: { launched: 2000, doneAlone: 5 }, tracedTimes: [{ verb: 'ADD', whole: { p50: 1, p95: 1 }, steps: [] }] }, readSettings('5'));
  t.match(text, /1995 of 2000 ADDs .* the others by weft alone/);
  t.match(text, /does not log steps/);
  t.match(renderReport({ ...figures, footprint: { ...figures.footprint, memory: [] } }, readSettings('5')), /memory growth NaN MiB/);
  t.throws(() => renderReport({ ...figures, counts: [] }, readSettings('5')), RangeError);
  for (const loads of [[], figures.ovs.loads.slice(0, 1)]) t.throws(() => renderReport({ ...figures, ovs: { ...figures.ovs, loads } }, readSettings('5')), RangeError);
});
