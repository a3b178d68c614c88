/**
 * A copy of the rows that a monitor reports, kept up to date by its messages. Pure: `update` of RFC 7047 §4.1.6 has whole rows,
 * `update2` of ovsdb-server(7), 4.1.14, has differences, and leaves out what has its default.
 */
import { isObject } from './message.ts';
import type { Condition } from './operations.ts';
import { OvsdbError } from './ovsdb-error.ts';
import { decodeColumn, decodeRow, decodeValue, parseUuid, shapeOf, type Columns, type ColumnType, type RowOf, type Uuid } from './values.ts';

/** What is watched of a table. */
export interface WatchedTable<C extends Columns = Columns> {
  readonly columns: C;
  /**
   * Any of which must hold of a row; an optimisation: a server that speaks nothing but RFC 7047 sends all rows.
   * @default all rows
   */
  readonly where?: readonly Condition[];
}

/** What is watched: tables by name. */
export type WatchedTables = Readonly<Record<string, WatchedTable>>;

/** A decoded row of a watched table. */
export type WatchedRow<T extends WatchedTables, N extends keyof T> = RowOf<T[N]['columns']>;

/** The rows of a watched table by their identity. */
export type WatchedRows<T extends WatchedTables, N extends keyof T> = ReadonlyMap<Uuid, WatchedRow<T, N>>;

/** What happened to one row: without `before` it appeared, without `after` it went away. */
export type RowChange<T extends WatchedTables> = {
  readonly [N in keyof T]: { readonly table: N; readonly uuid: Uuid; readonly before?: WatchedRow<T, N>; readonly after?: WatchedRow<T, N> };
}[keyof T];

type AnyRow = Readonly<Record<string, unknown>>;
interface AnyChange {
  readonly table: string;
  readonly uuid: Uuid;
  readonly before?: AnyRow;
  readonly after?: AnyRow;
}

/** How a message writes what happened to a row: whole rows, or differences. */
export type UpdateFormat = 'update' | 'update2';

/** Rows of tables. They are never changed in place: who holds one sees it as it was. */
export class Replica<T extends WatchedTables> {
  readonly #tables: T;
  readonly #rows = new Map<keyof T, Map<Uuid, AnyRow>>();

  constructor(tables: T) {
    this.#tables = tables;
    this.clear();
  }

  /** The rows of a table; the same map always, which changes. */
  table<N extends keyof T>(name: N): WatchedRows<T, N> {
    return this.#rows.get(name) as unknown as WatchedRows<T, N>;
  }

  /** Forgets all rows, as when nobody reports any more what becomes of them. */
  clear(): void {
    for (const name of Object.keys(this.#tables)) {
      const rows = this.#rows.get(name);
      if (rows === undefined) this.#rows.set(name, new Map());
      else rows.clear();
    }
  }

  /**
   * Applies what a monitor reports: tables of rows of what happened to them.
   * @returns the rows that are different now, in the order of the message
   * @throws OvsdbError garbled: then the copy is of no more use
   */
  apply(updates: unknown, format: UpdateFormat): readonly RowChange<T>[] {
    const changes: AnyChange[] = [];
    for (const [table, rows] of Object.entries(requireObject(updates, 'what a monitor reports'))) {
      const watched = this.#tables[table];
      if (watched === undefined) throw new OvsdbError('garbled', `Nobody watches the table "${table}"`);
      for (const [uuid, update] of Object.entries(requireObject(rows, `the rows of the table "${table}"`))) {
        const change = this.#applyRow({ table, columns: watched.columns }, parseUuid(uuid), decoders[format](requireObject(update, 'a row update')));
        if (change !== undefined) changes.push(change);
      }
    }
    return changes as unknown as readonly RowChange<T>[];
  }

  #applyRow({ table, columns }: { table: string; columns: Columns }, uuid: Uuid, next: RowDecoder): AnyChange | undefined {
    const rows = this.#rows.get(table) as Map<Uuid, AnyRow>;
    const before = rows.get(uuid);
    const after = next(columns, before);
    if (after === undefined) rows.delete(uuid);
    else rows.set(uuid, after);
    if (before === undefined && after === undefined) return undefined;
    return { table, uuid, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
  }
}

/** What becomes of a row: from what it was to what it is; undefined is no row. */
type RowDecoder = (columns: Columns, before: AnyRow | undefined) => AnyRow | undefined;

const decoders: Readonly<Record<UpdateFormat, (update: AnyRow) => RowDecoder>> = {
  /** `old` and `new`: without `new` the row is gone. */
  update: ({ new: row }) => (columns) => row === undefined || row === null ? undefined : decodeRow(columns, requireObject(row, 'a row')),
  /** One of `initial`, `insert`, `modify`, `delete`. */
  update2: (update) => {
    if ('delete' in update) return () => undefined;
    if ('modify' in update) return (columns, before) => modifyRow(columns, before, requireObject(update['modify'], 'a row'));
    return (columns) => decodeRow(columns, requireObject(update['initial'] ?? update['insert'], 'a row'));
  },
};

function modifyRow(columns: Columns, before: AnyRow | undefined, differences: AnyRow): AnyRow {
  if (before === undefined) throw new OvsdbError('garbled', 'A row that is not there cannot be modified');
  const after: Record<string, unknown> = { ...before };
  for (const [name, difference] of Object.entries(differences)) {
    const type = columns[name];
    if (type !== undefined) after[name] = decodeColumn(name, () => applyDifference(type, before[name], difference));
  }
  return after;
}

/** ovsdb-server(7), 4.1.14: of a scalar, or of at most one value, the new value; of sets and maps what is in one of both only. */
function applyDifference(type: ColumnType, before: unknown, difference: unknown): unknown {
  const decoded = decodeValue(type, difference);
  switch (shapeOf(type).kind) {
    case 'set': return symmetricDifference(before as ReadonlySet<unknown>, decoded as ReadonlySet<unknown>);
    case 'map': return applyMapDifference(before as ReadonlyMap<unknown, unknown>, decoded as ReadonlyMap<unknown, unknown>);
    default: return decoded;
  }
}

function symmetricDifference(before: ReadonlySet<unknown>, difference: ReadonlySet<unknown>): ReadonlySet<unknown> {
  const after = new Set(before);
  for (const element of difference) if (!after.delete(element)) after.add(element);
  return after;
}

/** A pair that was there as it is has gone; any other is new, or its key's new value. */
function applyMapDifference(before: ReadonlyMap<unknown, unknown>, difference: ReadonlyMap<unknown, unknown>): ReadonlyMap<unknown, unknown> {
  const after = new Map(before);
  for (const [key, value] of difference) {
    if (after.has(key) && after.get(key) === value) after.delete(key);
    else after.set(key, value);
  }
  return after;
}

function requireObject(value: unknown, what: string): AnyRow {
  if (isObject(value)) return value;
  throw new OvsdbError('garbled', `It must be an object, as ${what} is`);
}
