/** Which of weft's ports have changed or gone without anybody here having asked for it. */
import type { ChangeBatch } from '../../../ovsdb/monitor.ts';
import type { WatchedRow } from '../../../ovsdb/replica.ts';
import { roleOf, type SwitchRows, type Watched } from './rows.ts';

type InterfaceRow = WatchedRow<Watched, 'Interface'>;

/** Told the names of ports that are gone, or are not what they were. */
export type PortsListener = (names: ReadonlySet<string>) => void;

/** Compares what a monitor tells with what it told before, also over a lost connection. */
export class PortChanges {
  readonly #isBusy: (name: string) => boolean;
  readonly #listeners = new Set<PortsListener>();
  /** What every port was when it was last heard of. */
  readonly #known = new Map<string, string>();

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
    for (const row of rows.table('Interface').values()) if (isPort(row)) this.#known.set(row.name, contentOf(row));
    return [...before].filter(([name, content]) => this.#known.get(name) !== content).map(([name]) => name);
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
    const after = row !== undefined && isPort(row) ? contentOf(row) : undefined;
    if (after === undefined) this.#known.delete(name);
    else this.#known.set(name, after);
    return before !== undefined && before !== after;
  }
}

function isPort({ external_ids }: InterfaceRow): boolean {
  const role = roleOf(external_ids);
  return role === 'port' || role === 'tunnel';
}

function contentOf({ type, ofport, error, ifindex, link_state, external_ids, options }: InterfaceRow): string {
  return JSON.stringify([type, ofport, error, ifindex, link_state, [...external_ids], [...options]]);
}
