/** The tables of Open vSwitch. Pure. */
import type { GoalFigures } from './goals.ts';
import type { OvsFigures, OvsLoad } from './ovs.ts';
import { formatMs, formatRatio, renderTable } from './table.ts';
import { percentiles, verbCells } from './verbs.ts';

/** One call at a time, beside the same work done by hand. */
export function renderOvsCalls({ singleCalls, ratios }: OvsFigures): string {
  return renderTable([
    ['', ...percentiles],
    ...singleCalls.map(([{ name }, verbs]) => [name, ...verbCells(verbs, formatMs)]),
    ['weft : by hand', ...verbCells(ratios, formatRatio)],
  ]);
}

/** By what is on the switch. What grows for both contenders is Open vSwitch's own. */
export function renderOvsLoads({ loads }: OvsFigures): string {
  return renderTable([
    ['endpoints', 'elsewhere', ...percentiles, 'by hand: ADD', 'DEL', 'ADD ratio'],
    ...loads.map(({ endpoints, remotes, weft, byHand }) => [
      String(endpoints), String(remotes), ...verbCells(weft, formatMs), formatMs(byHand.add.p50), formatMs(byHand.del.p50), formatRatio(weft.add.p50 / byHand.add.p50),
    ]),
  ]);
}

/** What the goals are about. @throws RangeError when a load is missing */
export function ovsGoalFigures({ ratios, loads }: OvsFigures): Pick<GoalFigures, 'ovsAddP50' | 'ovsAddFullNode' | 'ovsAddRemotes'> {
  const addAt = (load: OvsLoad | undefined): number => {
    if (load === undefined) throw new RangeError('there are no figures of a switch with endpoints here and elsewhere');
    return load.weft.add.p50;
  };
  const empty = addAt(loads[0]);
  return { ovsAddP50: ratios.add.p50, ovsAddFullNode: addAt(loads.at(-1)) / empty, ovsAddRemotes: addAt(loads.find(({ remotes }) => remotes > 0)) / empty };
}
