/** Which of weft's ports have changed or gone without anybody here having asked for it. */
import type { ChangeBatch } from '../../../ovsdb/monitor.ts';
import type { WatchedRow } from '../../../ovsdb/replica.ts';
import { roleOf, type SwitchRows, type Watched } from './rows.ts';

type InterfaceRow = WatchedRow<Watched, 'Interface'>;
/** What matters of a port. Whether its link is up does not: containers do as they like with theirs. */
type Content = Pick<InterfaceRow, 'ofport' | 'ifindex'> & { readonly rest: string };

/** Told the names of ports that are gone, or are not what they were. */
export type PortsListener = (names: ReadonlySet<string>) => void;

/** Compares what a monitor tells with what it told before, also over a lost connection. */
export class PortChanges {
  readonly #isBusy: (name: string) => boolean;
  readonly #listeners = new Set<PortsListener>();
  /** What every port was when it was last heard of. */
  readonly #known = new Map<string, Content>();

  /** @param isBusy whether somebody here is at work on the port, who will see for himself */
  constructor(isBusy: (name: string) => boolean) {
    this.#isBusy = isBusy;
  }

  /** Adds a listener. @returns a function that ends it */
  onChange(listener: PortsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes what the monitor tells. */
  take({ isInitial, changes }: ChangeBatch<Watched>, rows: SwitchRows): void {
    const names = isInitial ? this.#renew(rows) : this.#apply(changes);
    const unasked = new Set(names.filter((name) => !this.#isBusy(name)));
    if (unasked.size === 0) return;
    for (const listener of [...this.#listeners]) listener(unasked);
  }

  /** The monitor has begun anew: everything may be different. @returns what is */
  #renew(rows: SwitchRows): readonly string[] {
    const before = new Map(this.#known);
    this.#known.clear();
    for (const row of rows.table('Interface').values()) if (isPort(row)) this.#known.set(row.name, contentOf(row, before.get(row.name)));
    return [...before].filter(([name, content]) => differs(content, this.#known.get(name))).map(([name]) => name);
  }

  /** @returns which of those that were known are different or gone */
  #apply(changes: ChangeBatch<Watched>['changes']): readonly string[] {
    const touched = new Map<string, InterfaceRow | undefined>();
    for (const change of changes) {
      if (change.table !== 'Interface') continue;
      const { before, after } = change;
      // One may go and another come under its name in any order.
      if (before !== undefined && !touched.has(before.name)) touched.set(before.name, undefined);
      if (after !== undefined) touched.set(after.name, after);
    }
    return [...touched].filter(([name, row]) => this.#replace(name, row)).map(([name]) => name);
  }

  /** @returns whether it was known, and is another now */
  #replace(name: string, row: InterfaceRow | undefined): boolean {
    const before = this.#known.get(name);
    const after = row !== undefined && isPort(row) ? contentOf(row, before) : undefined;
    if (after === undefined) this.#known.delete(name);
    else this.#known.set(name, after);
    return before !== undefined && differs(before, after);
  }
}

function isPort({ external_ids }: InterfaceRow): boolean {
  const role = roleOf(external_ids);
  return role === 'port' || role === 'tunnel';
}

/** The number of the device is not on disk: where the row has none it counts as it was, until ovs-vswitchd has looked again. */
function contentOf({ type, ofport, error, ifindex, external_ids, options }: InterfaceRow, before: Content | undefined): Content {
  return { ofport, ifindex: ifindex ?? before?.ifindex, rest: JSON.stringify([type, error ?? '', [...external_ids], [...options]]) };
}

/** That ovs-vswitchd has got round to a number is no change. */
function differs(before: Content, after: Content | undefined): boolean {
  if (after === undefined || before.rest !== after.rest) return true;
  return (['ofport', 'ifindex'] as const).some((column) => before[column] !== undefined && before[column] !== after[column]);
}
