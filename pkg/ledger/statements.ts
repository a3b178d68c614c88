import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { damaged, errnoOf } from './failure.ts';

export type Row = Readonly<Record<string, SQLOutputValue>>;

/** The prepared statements of one connection, each prepared when it is first needed: a plugin process needs only a few. */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** The first row, if there is one. */
  first(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#reading(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#reading(() => this.#statement(sql).all(...values));
  }

  /** Runs a statement; returns how many rows it changed, cascades not counted. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** Runs a statement with `:name` parameters; returns the row id of the row it inserted, if it inserts. */
  runNamed(sql: string, values: Readonly<Record<string, SQLInputValue>>): number {
    return Number(this.#statement(sql).run(values).lastInsertRowid);
  }

  /** An integer beyond 2^53 is one that weft did not write; Node refuses to read it. */
  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw errnoOf(error) === 'ERR_OUT_OF_RANGE' ? damaged('the ledger is damaged: a number in it is too large', error) : error;
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
