/** The tables of a run, for a terminal of 100 columns. Pure. */
import type { BurstTimes } from './bursts.ts';
import type { Contender } from './contender.ts';
import type { CountFigures } from './endpoint-counts.ts';
import type { Footprint } from './footprint.ts';
import { describeGoals, goalsOf, isReached, type Goal, type GoalFigures } from './goals.ts';
import type { BenchFigures } from './measure.ts';
import { ovsGoalFigures, renderOvsCalls, renderOvsLoads } from './ovs-report.ts';
import type { Settings } from './settings.ts';
import { percentiles, verbCells, verbRatios, type Verbs } from './verbs.ts';
import type { Summary } from './statistics.ts';
import type { DaemonTimes } from './steps.ts';
import type { Throughput } from './throughput.ts';
import { formatMiB, formatMs, formatRatio, renderTable } from './table.ts';

/** Tables and goals. @throws RangeError when a part of the figures is missing */
export function renderReport(figures: BenchFigures, settings: Settings): string {
  const ratios = verbRatios(...endsOf(figures.singleCalls));
  const burstRatios = burstRatiosOf(figures.bursts);
  const goals = goalsOf(goalFigures(figures, { ratios, burstRatios }));
  const { doneAlone, launched } = figures.fallback;
  return [
    section(`One call at a time, ${settings.rounds} rounds by turns; ms from exec to exit, started by a small C program`, renderSingleCalls(figures.singleCalls, ratios)),
    section(`Calls at once, ${settings.burstRounds} rounds by turns; ms from the first exec to the last exit, median; same C program`, renderBursts(figures.bursts, { ratios: burstRatios, size: settings.burstSize })),
    section('The launcher alone; ms from exec to exit', renderLauncher(figures.launcher)),
    section('In the daemon; ms by its log, waiting for a turn included', renderDaemonTimes(figures.daemonTimes, figures.tracedTimes)),
    section(`Calls on a full node, ${settings.endpointRounds} rounds; ms, and p50 as a share of the reference's with one endpoint`, renderCounts(figures.counts)),
    section('The daemon', renderFootprint(figures.footprint, figures)),
    section(`A TCP stream between two nodes, ${settings.throughputRounds} rounds by turns; Gbit/s, median, and weft's share of it`, renderThroughput(figures.throughput)),
    ...ovsSections(figures.ovs, settings),
    section('Goals', renderGoals(goals)),
    `${doneAlone === 0 ? 'All' : `${launched - doneAlone} of`} ${launched} ADDs and DELs of the launcher were done by the daemon${doneAlone === 0 ? '' : ', the others by weft alone: the figures are not the daemon\'s'}.`,
    describeGoals(goals),
  ].join('\n');
}

function ovsSections(ovs: BenchFigures['ovs'], { rounds, ovsLoadRounds }: Settings): readonly string[] {
  return [
    section(`Open vSwitch, userspace: one call at a time, ${rounds} rounds by turns; a port with ${ovs.flows} flows`, renderOvsCalls(ovs)),
    section('Open vSwitch: in the daemon; ms by its log; what is no step is waiting for the switch', renderDaemonTimes(ovs.daemonTimes, ovs.tracedTimes)),
    section(`Open vSwitch: calls by what is on the switch, ${ovsLoadRounds} rounds; by hand p50`, renderOvsLoads(ovs)),
  ];
}

function section(title: string, body: string): string {
  return `${title}\n\n${body}\n`;
}

/** The first and the last: weft and the reference. */
function endsOf<T>(figures: readonly (readonly [Contender, T])[]): readonly [T, T] {
  const [first, last] = [figures[0], figures.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('there are no figures of the contenders');
  return [first[1], last[1]];
}

function burstRatiosOf(figures: BenchFigures['bursts']): BurstTimes {
  const [own, reference] = endsOf(figures);
  return { add: own.add / reference.add, del: own.del / reference.del };
}

function goalFigures({ footprint, counts, throughput, ovs }: BenchFigures, { ratios, burstRatios }: { readonly ratios: Verbs; readonly burstRatios: BurstTimes }): GoalFigures {
  const [empty, full] = [counts[0], counts.at(-1)];
  if (empty === undefined || full === undefined) throw new RangeError('there are no figures of nodes with endpoints');
  return {
    addP50: ratios.add.p50, addP95: ratios.add.p95, delP50: ratios.del.p50,
    burstAdd: burstRatios.add, burstDel: burstRatios.del,
    addFullNode: full.weft.add.p50 / empty.weft.add.p50,
    memoryGrowth: growthOf(footprint) / 2 ** 20,
    idleCpu: (footprint.idleCpuMs / footprint.idleMs) * 100,
    throughput: 1 / throughput.ratios.byHand,
    ...ovsGoalFigures(ovs),
  };
}

/** @param ratios the first contender's as shares of the last one's */
function renderSingleCalls(figures: readonly (readonly [Contender, Verbs])[], ratios: Verbs): string {
  return renderTable([
    ['', ...percentiles],
    ...figures.map(([{ name }, verbs]) => [name, ...verbCells(verbs, formatMs)]),
    ['weft : bridge+host-local', ...verbCells(ratios, formatRatio)],
  ]);
}

function renderBursts(figures: readonly (readonly [Contender, BurstTimes])[], { ratios, size }: { readonly ratios: BurstTimes; readonly size: number }): string {
  return renderTable([
    ['', `${size} ADDs`, `${size} DELs`],
    ...figures.map(([{ name }, { add, del }]) => [name, formatMs(add), formatMs(del)]),
    ['weft : bridge+host-local', formatRatio(ratios.add), formatRatio(ratios.del)],
  ]);
}

function renderLauncher(figures: readonly (readonly [string, Summary])[]): string {
  return renderTable([['', 'p50', 'p95'], ...figures.map(([name, { p50, p95 }]) => [name, formatMs(p50), formatMs(p95)])]);
}

/** @param inUse as the daemon logged them during the single calls */
function renderDaemonTimes(inUse: readonly DaemonTimes[], traced: readonly DaemonTimes[]): string {
  const rows = [
    ...inUse.map(({ verb, whole }) => [`${verb}, as measured above`, formatMs(whole.p50), formatMs(whole.p95)]),
    ...traced.flatMap(({ verb, whole, steps }) => [
      [`${verb}, with --log-level debug`, formatMs(whole.p50), formatMs(whole.p95)],
      ...steps.map(([name, ms]) => [`    ${name}`, formatMs(ms)]),
    ]),
  ];
  const table = renderTable([['', 'p50', 'p95'], ...rows]);
  return traced.some(({ steps }) => steps.length > 0) ? table : `${table}\n  This daemon does not log steps.`;
}

function renderCounts(figures: readonly CountFigures[]): string {
  return renderTable([
    ['endpoints', ...percentiles, 'ADD ratio', 'DEL ratio', 'daemon'],
    ...figures.map(({ endpoints, weft, ratios, resident }) => [String(endpoints), ...verbCells(weft, formatMs), formatRatio(ratios.add.p50), formatRatio(ratios.del.p50), `${formatMiB(resident)} MiB`]),
  ]);
}

function renderFootprint({ memory, idleCpuMs, idleMs }: Footprint, { startMs }: { readonly startMs: Summary }): string {
  const rows = memory.map(({ calls, memory: { resident, anonymous } }, index) => [
    calls === 0 ? 'idle' : `after ${calls} ADD and DEL`,
    formatMiB(resident),
    formatMiB(anonymous),
    index === 0 ? '' : formatMiB(resident - (memory[index - 1]?.memory.resident ?? Number.NaN)),
  ]);
  return [
    renderTable([['memory, MiB', 'resident', 'its own', 'growth'], ...rows]),
    `  processor time of the idle daemon: ${idleCpuMs} ms in ${idleMs / 1000} s, in steps of 10 ms`,
    `  from the exec of the daemon to its taking calls: p50 ${formatMs(startMs.p50)} ms, longest ${formatMs(startMs.p95)} ms`,
  ].join('\n');
}

function renderThroughput({ weft, byHand, underlay, ratios }: Throughput): string {
  return renderTable([
    ['', 'Gbit/s', 'weft to it'],
    ['weft', weft.toFixed(2), ''],
    ['bridge and VXLAN device by hand', byHand.toFixed(2), formatRatio(ratios.byHand)],
    ['the bare underlay', underlay.toFixed(2), formatRatio(ratios.underlay)],
  ]);
}

/** Bytes from the last look but one to the last. */
function growthOf({ memory }: Footprint): number {
  const [before, last] = memory.slice(-2);
  return (last?.memory.resident ?? Number.NaN) - (before?.memory.resident ?? Number.NaN);
}

function renderGoals(goals: readonly Goal[]): string {
  return renderTable([
    ['goal', 'figure', 'at most', ''],
    ...goals.map((goal) => [goal.name, `${goal.value.toFixed(2)} ${goal.unit}`, `${goal.most} ${goal.unit}`, isReached(goal) ? 'reached' : 'not reached']),
  ]);
}
