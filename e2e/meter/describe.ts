/** The meter's report for a person. */
import type { FlowReport, MeterReport } from './meter.ts';

/** All flows together. */
export interface Totals {
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
}

/** The sums over all flows. */
export function totalsOf({ flows }: MeterReport): Totals {
  const sum = (count: (flow: FlowReport) => number): number => flows.reduce((total, flow) => total + count(flow), 0);
  return {
    sent: sum(({ sent }) => sent),
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ duplicated }) => duplicated),
    reordered: sum(({ reordered }) => reordered),
    misdelivered: sum(({ misdelivered }) => misdelivered),
  };
}

/** One line for all flows, and one for each that lost something. */
export function describeReport(report: MeterReport): string {
  const { sent, lost, duplicated, reordered, misdelivered } = totalsOf(report);
  const { flows, socketDrops, backlogDrops, longestPauseMs, cpuMs, elapsedMs } = report;
  const head = `${sent} packets sent in ${flows.length} flows: ${lost} lost, ${duplicated} duplicated, ${reordered} reordered, ${misdelivered} misdelivered`;
  const self = `the meter: longest pause ${longestPauseMs.toFixed(0)} ms, processor ${((100 * cpuMs) / elapsedMs).toFixed(0)} %, dropped by its buffers ${socketDrops}, by the machine's queues ${backlogDrops}`;
  return [head, self, ...flows.filter((flow) => flow.lost > 0).map(describeLosses)].join('\n');
}

function describeLosses({ from, to, lost, refused, refusal, gaps }: FlowReport): string {
  const runs = gaps.map(({ first, count, at }) => `${count} from number ${first} at ${new Date(at).toISOString()}`);
  const why = refused > 0 ? `, ${refused} of them refused by the sender's kernel (${refusal})` : '';
  return `${from} to ${to}: ${lost} lost${why}: ${runs.join('; ')}`;
}
