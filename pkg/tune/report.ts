/** `weft tune` for people. Pure. */
import { renderTable, type Cell } from '../report/text.ts';
import type { Applied } from './apply.ts';
import type { TuneItem, TuneState } from './plan.ts';
import { persistentLines } from './setting.ts';

const stateWords: Readonly<Record<TuneState, string>> = { good: 'good', differs: 'change', 'not-offered': 'not offered', free: 'as you like' };

/** A row for each item, and the reasons below. */
export function renderTuning(items: readonly TuneItem[]): string {
  const rows: readonly (readonly Cell[])[] = items.map(({ id, state, present, recommended }) => [id, present ?? '', recommended ?? '', stateWords[state]]);
  const differing = items.filter(({ state }) => state === 'differs');
  const reasons = differing.map(({ id, why, command }) => `${id}: ${why}\n  ${command ?? ''}\n`);
  const end = differing.length === 0 ? 'nothing is to be changed\n' : 'nothing was changed: weft tune --apply [ITEM...] does, until the next reboot\n';
  return [renderTable([['ITEM', 'PRESENT', 'RECOMMENDED', 'STATE'], ...rows]), ...(reasons.length === 0 ? [] : [reasons.join('')]), end].join('\n');
}

/** A line for each item that was to be applied. */
export function renderApplied(applied: readonly Applied[]): string {
  if (applied.length === 0) return 'nothing is to be changed\n';
  const rows = applied.map(({ id, before, after, outcome, problem }): readonly Cell[] => [id, before ?? '', outcome === 'refused' ? '' : (after ?? ''), outcome, problem ?? '']);
  const back = applied.flatMap(({ back: command }) => command ?? []);
  return [renderTable([['ITEM', 'BEFORE', 'AFTER', 'OUTCOME', ''], ...rows]), ...(back.length === 0 ? [] : [`to go back:\n${back.map((line) => `  ${line}\n`).join('')}`])].join('\n');
}

/** Files for what is recommended and can be set: values that are good already are in it, for they may not outlast a reboot either. */
export function renderConfiguration(items: readonly TuneItem[]): string {
  const { sysctl, udev } = persistentLines(items.flatMap(({ setting, state, present, recommended }) => {
    if (recommended === null) return [];
    return [{ setting, value: state === 'good' && present !== null ? present : recommended }];
  }));
  return [
    '# /etc/sysctl.d/60-weft.conf, or what names sysctl.d(5) gives', ...sysctl, '',
    '# /etc/udev/rules.d/60-weft.rules', ...udev, '',
  ].join('\n');
}
