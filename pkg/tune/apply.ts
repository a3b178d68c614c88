/** Applying what was chosen, one setting at a time, and reading it back. Pure but for the hands it is given. */
import { describeError } from '../errors/weft-error.ts';
import type { TuneItem } from './plan.ts';
import { setCommand, type Setting } from './setting.ts';

/** What came of applying one item. */
export interface Applied {
  readonly id: string;
  readonly before: string | null;
  /** As it was read back; with a dry run, what would be written. */
  readonly after: string | null;
  readonly outcome: 'applied' | 'would-apply' | 'unchanged' | 'refused';
  /** Why it was refused or nothing was to be done, in words; null where it was applied. */
  readonly problem: string | null;
  /** The command that goes back; null where nothing was changed. */
  readonly back: string | null;
}

/** What settings are read and written with. */
export interface TuneHands {
  /** @throws where it cannot be read */
  read(setting: Setting): string | undefined;
  /** @throws where it is refused */
  write(setting: Setting, value: string): void;
}

/**
 * The chosen items.
 * @param ids empty: all that differ
 * @throws RangeError naming the first id that no item has
 */
export function chooseItems(items: readonly TuneItem[], ids: readonly string[]): readonly TuneItem[] {
  if (ids.length === 0) return items.filter(({ state }) => state === 'differs');
  return [...new Set(ids)].map((id) => {
    const item = items.find((candidate) => candidate.id === id);
    if (item === undefined) throw new RangeError(`an item must be one that weft tune shows: current value is ${JSON.stringify(id)}`);
    return item;
  });
}

/** Applies them in their order; one that is refused does not stop the others. */
export function applyItems(items: readonly TuneItem[], hands: TuneHands, { isDryRun }: { readonly isDryRun: boolean }): readonly Applied[] {
  return items.map((item) => applyItem(item, hands, isDryRun));
}

function applyItem(item: TuneItem, hands: TuneHands, isDryRun: boolean): Applied {
  const { id, state, present, recommended } = item;
  const nothing = { id, before: present, after: present, back: null };
  if (state === 'not-offered') return { ...nothing, outcome: 'refused', problem: 'not offered by the device or the kernel' };
  if (state !== 'differs' || recommended === null) return { ...nothing, outcome: 'unchanged', problem: state === 'good' ? 'it is as recommended, or better' : 'nothing is recommended' };
  if (isDryRun) return { ...nothing, outcome: 'would-apply', after: recommended, problem: null };
  return write({ ...item, recommended }, hands);
}

function write({ id, setting, present, recommended }: TuneItem & { readonly recommended: string }, hands: TuneHands): Applied {
  let before = present;
  try {
    // What is gone back to is what is there now.
    before = hands.read(setting) ?? null;
    hands.write(setting, recommended);
    const after = hands.read(setting) ?? null;
    const back = before === null || after === before ? null : setCommand(setting, before);
    if (isSame(after, recommended)) return { id, before, after, outcome: 'applied', problem: null, back };
    return { id, before, after, outcome: 'refused', problem: `the kernel has taken ${recommended} and made it ${after ?? 'nothing'}`, back };
  } catch (error) {
    return { id, before, after: before, outcome: 'refused', problem: describeError(error), back: null };
  }
}

/** The kernel writes masks with zeros in front. */
function isSame(after: string | null, wanted: string): boolean {
  const plain = (text: string): string => text.replace(/^[0,]+(?=.)/, '');
  return after !== null && plain(after) === plain(wanted);
}
