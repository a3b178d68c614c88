/** The demo's measurements as text. Pure. */
import type { Reach } from '../harness/reach.ts';
import { renderTable } from '../harness/text-table.ts';

/** Who reaches whom: a row for each sender, a column for each receiver. A cell that is not as expected is marked. */
export function renderReach(reaches: readonly Reach[]): string {
  const names = [...new Set(reaches.map(({ from }) => from.name))];
  const cell = (from: string, to: string): string => {
    const reach = reaches.find((one) => one.from.name === from && one.to.name === to);
    if (reach === undefined) return '·';
    const isRight = reach.isReached === reach.isExpected && reach.isBroadcastReached === reach.isExpected;
    return `${reach.isReached ? '✓' : '✗'}${isRight ? '' : ' WRONG'}`;
  };
  return renderTable([['from \\ to', ...names], ...names.map((from) => [from, ...names.map((to) => cell(from, to))])]);
}

/** Middle and extremes of some durations. */
export function renderDurations(milliseconds: readonly number[]): string {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (share: number): string => `${Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)} ms`;
  return `median ${at(0.5)}, fastest ${at(0)}, slowest ${at(1)}`;
}
