/** Watching tables of a database: a copy of their rows, and what happens to them. */
import { startTimer } from '../sys/timer.ts';
import type { OvsdbConnection, RequestOptions } from './connection.ts';
import { isOvsdbError, OvsdbError } from './ovsdb-error.ts';
import { Replica, type RowChange, type UpdateFormat, type WatchedRows, type WatchedTables } from './replica.ts';

/** What one message of the server changed. */
export interface ChangeBatch<T extends WatchedTables> {
  /** The copy was made, or made anew after the connection was lost: every row appears, whatever was known before. */
  readonly isInitial: boolean;
  readonly changes: readonly RowChange<T>[];
}

/** What a monitor needs of whoever has the connection. */
export interface MonitorHost {
  readonly database: string;
  /** Asks for a connection, and that the process lives on meanwhile, until the returned function is called. */
  readonly hold: () => () => void;
  /** Why nothing is heard of the server; undefined where it is. */
  readonly outage: () => string | undefined;
  /** The monitor is of no more use. */
  readonly forget: (id: number) => void;
}

interface Waiter {
  readonly look: () => void;
  readonly fail: (error: OvsdbError) => void;
}

/** A server that knows nothing but RFC 7047 has no `monitor_cond`. */
const unknownMethod = 'unknown method';

/** Tables that are watched; made by OvsdbSession.monitor(). While the connection is lost its tables are empty. */
export class OvsdbMonitor<T extends WatchedTables> {
  /** By which the server's messages name it. */
  readonly id: number;
  readonly #host: MonitorHost;
  readonly #tables: T;
  readonly #replica: Replica<T>;
  readonly #listeners = new Set<(batch: ChangeBatch<T>) => void>();
  readonly #waiters = new Set<Waiter>();
  #isCurrent = false;
  #wasCurrent = false;
  #isClosed = false;

  constructor(id: number, { host, tables }: { readonly host: MonitorHost; readonly tables: T }) {
    this.id = id;
    this.#host = host;
    this.#tables = tables;
    this.#replica = new Replica(tables);
  }

  /** Whether the tables hold what the server has; false while the connection is lost, and until the copy is made anew. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** Whether the copy has been made at least once: the server takes what is asked of it. */
  get wasCurrent(): boolean {
    return this.#wasCurrent;
  }

  /** The rows of a watched table by their identity; always the same map, which changes. */
  table<N extends keyof T>(name: N): WatchedRows<T, N> {
    return this.#replica.table(name);
  }

  /**
   * Calls the function with every message's changes, after all of them are in the tables.
   * @returns a function that ends it
   */
  onChange(listener: (batch: ChangeBatch<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Waits until the function finds something in the tables: it is asked now, and whenever they have changed, but only while they are
   * current. A lost connection is waited for as well.
   * @param what is waited for, for the message
   * @returns what the function found
   * @throws OvsdbError notRealised when the deadline has passed, unavailable when the monitor was closed; what the function throws
   */
  waitFor<R>(find: (monitor: this) => R | undefined, { what, deadlineMs }: RequestOptions & { readonly what: string }): Promise<R> {
    if (this.#isClosed) return Promise.reject(closed());
    const release = this.#host.hold();
    let settle: () => void = () => undefined;
    const found = new Promise<R>((resolve, reject) => {
      const look = (): void => {
        if (!this.#isCurrent) return;
        try {
          const result = find(this);
          if (result !== undefined) resolve(result);
        } catch (error) {
          reject(error);
        }
      };
      const waiter = { look, fail: reject };
      const stopTimer = startTimer(deadlineMs, () => reject(this.#late(what, deadlineMs)));
      settle = (): void => {
        stopTimer();
        this.#waiters.delete(waiter);
        release();
      };
      this.#waiters.add(waiter);
      look();
    });
    return found.finally(settle);
  }

  /** Ends it; who still waits is told. May be repeated. */
  close(): void {
    if (this.#isClosed) return;
    this.fail(closed());
    this.#host.forget(this.id);
  }

  /** For the session: has the server report to this connection. @throws OvsdbError as a request does; garbled */
  establish(connection: OvsdbConnection, options: RequestOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const ask = (format: UpdateFormat): void => {
        const method = format === 'update2' ? 'monitor_cond' : 'monitor';
        connection.send({ method, params: [this.#host.database, this.id, this.#requests(format)], ...options }, {
          resolve: (result) => resolve(this.#begin(result, format, reject)),
          reject: (error) => {
            if (format === 'update2' && isOvsdbError(error) && error.refusal === unknownMethod) ask('update');
            else reject(error);
          },
        });
      };
      ask('update2');
    });
  }

  /** For the session: what the server reports. @throws OvsdbError garbled */
  report(updates: unknown, format: UpdateFormat): void {
    // Between its cancellation and the server's knowing of it.
    if (this.#isClosed) return;
    this.#tell({ isInitial: false, changes: this.#replica.apply(updates, format) });
  }

  /** For the session: the connection is lost, and what the tables held with it. */
  drop(): void {
    this.#isCurrent = false;
    this.#replica.clear();
  }

  /** For the session: nothing will come any more. */
  fail(error: OvsdbError): void {
    this.#isClosed = true;
    this.drop();
    this.#listeners.clear();
    for (const waiter of [...this.#waiters]) waiter.fail(error);
  }

  /** Called before the message behind the answer is looked at, which may be of this monitor. */
  #begin(result: unknown, format: UpdateFormat, reject: (error: unknown) => void): void {
    if (this.#isClosed) return;
    try {
      this.#replica.clear();
      const changes = this.#replica.apply(result, format);
      this.#isCurrent = true;
      this.#wasCurrent = true;
      this.#tell({ isInitial: true, changes });
    } catch (error) {
      reject(error);
    }
  }

  #tell(batch: ChangeBatch<T>): void {
    for (const listener of [...this.#listeners]) listener(batch);
    for (const waiter of [...this.#waiters]) waiter.look();
  }

  #requests(format: UpdateFormat): Readonly<Record<string, unknown>> {
    const requests = Object.entries(this.#tables).map(([table, { columns, where }]) => {
      const condition = where === undefined || format === 'update' ? {} : { where };
      return [table, [{ columns: Object.keys(columns), ...condition }]] as const;
    });
    return Object.fromEntries(requests);
  }

  #late(what: string, deadlineMs: number): OvsdbError {
    const outage = this.#host.outage();
    const because = outage === undefined ? '' : `: the OVSDB server cannot be reached (${outage})`;
    return new OvsdbError('notRealised', `Waited ${deadlineMs} ms in vain for ${what}${because}`);
  }
}

function closed(): OvsdbError {
  return new OvsdbError('unavailable', 'The OVSDB monitor was closed');
}
