/** The operations of a transaction (RFC 7047 §5.2), as they are sent. Pure. */
import type { Row, Value } from './values.ts';

/** How a condition compares a column with its value (RFC 7047 §5.1, `function`). */
export type Comparison = '<' | '<=' | '==' | '!=' | '>=' | '>' | 'includes' | 'excludes';

/** What must hold of a row: a column, how it is compared, and with what. `_uuid` is a column as any other. */
export type Condition = readonly [column: string, comparison: Comparison, value: Value];

/** How a column is changed (RFC 7047 §5.1, `mutator`); `insert` and `delete` are for sets and maps. */
export type Mutator = '+=' | '-=' | '*=' | '/=' | '%=' | 'insert' | 'delete';

/** A change of a column: the column, how, and with what. */
export type Mutation = readonly [column: string, mutator: Mutator, value: Value];

/** One operation; a transaction is an array of them, applied in order, all or none. */
export type Operation =
  | { readonly op: 'insert'; readonly table: string; readonly row: Row; readonly 'uuid-name'?: string }
  | { readonly op: 'select'; readonly table: string; readonly where: readonly Condition[]; readonly columns: readonly string[] }
  | { readonly op: 'update'; readonly table: string; readonly where: readonly Condition[]; readonly row: Row }
  | { readonly op: 'mutate'; readonly table: string; readonly where: readonly Condition[]; readonly mutations: readonly Mutation[] }
  | { readonly op: 'delete'; readonly table: string; readonly where: readonly Condition[] }
  | {
      readonly op: 'wait';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly columns: readonly string[];
      readonly until: '==' | '!=';
      readonly rows: readonly Row[];
      readonly timeout: number;
    }
  | { readonly op: 'commit'; readonly durable: boolean }
  | { readonly op: 'comment'; readonly comment: string }
  | { readonly op: 'assert'; readonly lock: string }
  | { readonly op: 'abort' };

/**
 * Adds a row; columns that are left out have their defaults.
 * @param name by which other operations of the transaction refer to it, with namedUuid()
 */
export function insertRow(table: string, row: Row, name?: string): Operation {
  return { op: 'insert', table, row, ...(name === undefined ? {} : { 'uuid-name': name }) };
}

/** Reads the rows for which all conditions hold. */
export function selectRows(table: string, where: readonly Condition[], columns: readonly string[]): Operation {
  return { op: 'select', table, where, columns };
}

/** Overwrites columns of the rows for which all conditions hold. None is no error: see countOf(). */
export function updateRows(table: string, where: readonly Condition[], row: Row): Operation {
  return { op: 'update', table, where, row };
}

/** Changes columns of the rows for which all conditions hold. None is no error: see countOf(). */
export function mutateRows(table: string, where: readonly Condition[], mutations: readonly Mutation[]): Operation {
  return { op: 'mutate', table, where, mutations };
}

/** Removes the rows for which all conditions hold. None is no error: see countOf(). */
export function deleteRows(table: string, where: readonly Condition[]): Operation {
  return { op: 'delete', table, where };
}

/** What a `wait` operation expects of the rows for which all conditions hold. */
export interface Expectation {
  readonly where: readonly Condition[];
  readonly columns: readonly string[];
  /** Whether the rows must be these, or must not be exactly these. @default '==' */
  readonly until?: '==' | '!=';
  /** The expected contents of the columns, in any order. */
  readonly rows: readonly Row[];
}

/** Fails the transaction, as waitFailed, unless the database is as expected now; it does not wait (`timeout` 0). */
export function requireRows(table: string, { until = '==', ...expectation }: Expectation): Operation {
  return { op: 'wait', table, until, ...expectation, timeout: 0 };
}

/** Has the transaction answered only when it is on disk. */
export function commitDurably(): Operation {
  return { op: 'commit', durable: true };
}

/** Leaves a note in the server's log of transactions. */
export function comment(text: string): Operation {
  return { op: 'comment', comment: text };
}

/** Fails the transaction unless this client holds the lock. */
export function assertLock(lock: string): Operation {
  return { op: 'assert', lock };
}

/** Fails the transaction, always. */
export function abort(): Operation {
  return { op: 'abort' };
}
