/**
 * A client of an OVSDB server that connects again whenever the connection is lost.
 *
 *     connecting ──(greeted, every monitor's tables are there)──► connected
 *         ▲                                                           │
 *         └──────────(back-off, shorter while somebody waits)◄────(lost)
 *
 * What was asked for on a connection that is lost is never asked again: whether it was carried out only the caller can find out,
 * by what the rows say of themselves. Monitors are asked for again, and their tables made anew.
 *
 * It keeps the process alive only while somebody waits for it.
 */
import { describeError } from '../errors/weft-error.ts';
import { pause, startTimer, withDeadline } from '../sys/timer.ts';
import { startConnection, type OvsdbConnection, type RequestOptions } from './connection.ts';
import { OvsdbMonitor, type MonitorHost } from './monitor.ts';
import type { Operation } from './operations.ts';
import { isOvsdbError, OvsdbError } from './ovsdb-error.ts';
import type { WatchedTables } from './replica.ts';
import type { OperationResult } from './results.ts';

/** Where and how to connect. */
export interface SessionOptions {
  /** The server's Unix socket. */
  readonly path: string;
  readonly database: string;
  /** How long, in milliseconds, the server may take to answer for the first time, and for each monitor. @default 5000 */
  readonly connectDeadlineMs?: number;
  /** How long, in milliseconds, the server may be silent before it is asked for a sign of life, and how long it has for that. @default 5000 */
  readonly probeMs?: number;
  /** The longest time, in milliseconds, between two attempts to connect. @default 5000 */
  readonly backOffMaxMs?: number;
}

/** What is known of the connection. Times are milliseconds since 1970. */
export type SessionState =
  | { readonly isConnected: true; readonly sinceMs: number }
  | { readonly isConnected: false; readonly sinceMs: number; readonly reason: string };

const connectDeadlineMsDefault = 5000;
const backOffFirstMs = 50;
const backOffMaxMsDefault = 5000;
/** The longest time between two attempts while somebody waits; connecting to a Unix socket where nobody listens costs next to nothing. */
const backOffAwaitedMs = 100;

interface Waiter {
  readonly resolve: (connection: OvsdbConnection) => void;
  readonly reject: (error: OvsdbError) => void;
}

/** A monitor, whatever its tables. */
type AnyMonitor = Pick<OvsdbMonitor<WatchedTables>, 'id' | 'wasCurrent' | 'establish' | 'report' | 'drop' | 'fail'>;

/** Begins to connect, and goes on until close(). */
export function openSession(options: SessionOptions): OvsdbSession {
  return new OvsdbSession(options);
}

/** The client; made by openSession(). */
export class OvsdbSession {
  readonly #options: SessionOptions;
  readonly #patience: RequestOptions;
  readonly #host: MonitorHost;
  readonly #monitors = new Map<number, AnyMonitor>();
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<(state: SessionState) => void>();
  readonly #running: Promise<void>;
  #state: SessionState = { isConnected: false, sinceMs: Date.now(), reason: 'not connected yet' };
  /** The connection, or the attempt at one. */
  #connection: OvsdbConnection | undefined;
  /** The connection once the server has answered on it, which is when monitors are asked for. */
  #greeted: OvsdbConnection | undefined;
  #isClosed = false;
  #holders = 0;
  #nextMonitorId = 1;
  #wake: () => void = () => undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#patience = { deadlineMs: options.connectDeadlineMs ?? connectDeadlineMsDefault };
    this.#host = {
      database: options.database,
      hold: () => this.#hold(),
      outage: () => (this.#state.isConnected ? undefined : this.#state.reason),
      forget: (id) => this.#forget(id),
    };
    this.#running = this.#run();
  }

  /** Whether it is connected, since when, and if not, why. */
  get state(): SessionState {
    return this.#state;
  }

  /**
   * Calls the function whenever the connection stands, with every monitor's tables there, and whenever it is lost.
   * @returns a function that ends it
   */
  onStateChange(listener: (state: SessionState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Fulfilled when it is connected. @throws OvsdbError unavailable, with the reason, when the deadline has passed or the session was closed */
  async whenConnected(options: RequestOptions): Promise<void> {
    if (!this.#state.isConnected) await this.#connected(options);
  }

  /**
   * Carries out a transaction, all of it or nothing; waits for the connection where there is none. Those of one turn of the event loop leave together.
   * @returns the results, one for each operation
   * @throws OvsdbError unavailable (nothing was sent), outcomeUnknown, refused, waitFailed, garbled
   */
  async transact(operations: readonly Operation[], { deadlineMs }: RequestOptions): Promise<readonly OperationResult[]> {
    const startedAt = performance.now();
    const connection = this.#state.isConnected ? this.#connection : undefined;
    const ready = connection ?? (await this.#connected({ deadlineMs }));
    return ready.transact(this.#options.database, operations, { deadlineMs: leftOf(deadlineMs, startedAt) });
  }

  /**
   * Watches tables, also over connections to come, until the monitor is closed.
   * @returns when the tables are there
   * @throws OvsdbError refused (no such table or column), garbled (a column is of another type), unavailable when the deadline has passed or the session was closed
   */
  async monitor<T extends WatchedTables>(tables: T, { deadlineMs }: RequestOptions): Promise<OvsdbMonitor<T>> {
    if (this.#isClosed) throw this.#unavailable();
    const monitor = new OvsdbMonitor(this.#nextMonitorId, { host: this.#host, tables });
    this.#nextMonitorId += 1;
    this.#monitors.set(monitor.id, monitor);
    if (this.#greeted !== undefined) void this.#establish(monitor, this.#greeted).catch(() => undefined);
    try {
      await monitor.waitFor(() => true, { what: 'the tables', deadlineMs });
      return monitor;
    } catch (error) {
      monitor.close();
      throw isOvsdbError(error, 'notRealised') ? this.#unavailable() : error;
    }
  }

  /** Ends it, for good; who still waits is told. Fulfilled when nothing goes on any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#connection?.close();
    const error = this.#unavailable();
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    for (const monitor of [...this.#monitors.values()]) monitor.fail(error);
    this.#monitors.clear();
    this.#wake();
    await this.#running;
    this.#listeners.clear();
  }

  async #run(): Promise<void> {
    let delayMs = backOffFirstMs;
    while (!this.#isClosed) {
      const startedAt = performance.now();
      await this.#connectOnce();
      if (this.#isClosed) return;
      // One that lasted was none of a series of failures.
      if (performance.now() - startedAt > delayMs) delayMs = backOffFirstMs;
      await this.#backOff(delayMs);
      delayMs = Math.min(delayMs * 2, this.#options.backOffMaxMs ?? backOffMaxMsDefault);
    }
  }

  /** One connection from its beginning to its end; never rejects. */
  async #connectOnce(): Promise<void> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const connection = startConnection(this.#options.path, {
      ...(this.#options.probeMs === undefined ? {} : { probeMs: this.#options.probeMs }),
      onNotification: (method, params) => this.#notify(method, params),
      onClose: (reason) => {
        this.#lose(reason);
        resolve();
      },
    });
    this.#connection = connection;
    connection.isWanted = this.#holders > 0;
    try {
      await connection.greet(this.#patience);
      // It may have ended behind the answer: then #lose() was here already.
      if (connection.isOpen) this.#greeted = connection;
      // One that is asked for from now on is established by whoever asks.
      await Promise.all([...this.#monitors.values()].map((monitor) => this.#establish(monitor, connection)));
      if (connection.isOpen) this.#gain(connection);
    } catch (error) {
      connection.close(error instanceof OvsdbError ? error : new OvsdbError('unavailable', 'Cannot use the OVSDB server', { cause: error }));
    }
    await ended;
  }

  async #establish(monitor: AnyMonitor, connection: OvsdbConnection): Promise<void> {
    try {
      await monitor.establish(connection, this.#patience);
    } catch (error) {
      // What never worked is a fault of who asked for it; all others can go on.
      if (isOvsdbError(error, 'refused', 'garbled') && !monitor.wasCurrent) {
        monitor.fail(error);
        return this.#forget(monitor.id);
      }
      if (isOvsdbError(error)) connection.close(error);
      throw error;
    }
  }

  #notify(method: string, [id, updates]: readonly unknown[]): void {
    if (method === 'update' || method === 'update2') this.#monitors.get(id as number)?.report(updates, method);
    // The database was removed or converted (ovsdb-server(7), 4.1.16): a new connection finds out what is there now.
    if (method === 'monitor_canceled') throw new OvsdbError('unavailable', 'The OVSDB server no longer reports changes');
  }

  #gain(connection: OvsdbConnection): void {
    this.#setState({ isConnected: true, sinceMs: Date.now() });
    for (const waiter of [...this.#waiters]) waiter.resolve(connection);
  }

  #lose(reason: OvsdbError): void {
    this.#connection = undefined;
    this.#greeted = undefined;
    for (const monitor of this.#monitors.values()) monitor.drop();
    const lost = { isConnected: false, reason: describeError(reason) } as const;
    if (this.#state.isConnected) this.#setState({ ...lost, sinceMs: Date.now() });
    else this.#state = { ...lost, sinceMs: this.#state.sinceMs };
  }

  #setState(state: SessionState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  async #connected({ deadlineMs }: RequestOptions): Promise<OvsdbConnection> {
    if (this.#isClosed) throw this.#unavailable();
    const { promise, ...waiter } = Promise.withResolvers<OvsdbConnection>();
    this.#waiters.add(waiter);
    const release = this.#hold();
    try {
      const connection = await withDeadline(promise, { ms: deadlineMs, late: () => undefined });
      if (connection === undefined) throw this.#unavailable();
      return connection;
    } finally {
      this.#waiters.delete(waiter);
      release();
    }
  }

  /** Somebody waits: the process lives on, and what is put off is done at once. */
  #hold(): () => void {
    this.#changeHolders(1);
    this.#wake();
    return () => this.#changeHolders(-1);
  }

  #changeHolders(by: 1 | -1): void {
    this.#holders += by;
    if (this.#connection !== undefined) this.#connection.isWanted = this.#holders > 0;
  }

  #backOff(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const isAwaited = this.#holders > 0;
      const stop = isAwaited ? () => undefined : startTimer(delayMs, resolve);
      // Unlike a timer of startTimer() it keeps the process alive, and cannot be taken back: so it is short.
      if (isAwaited) void pause(Math.min(delayMs, backOffAwaitedMs)).then(resolve);
      this.#wake = () => {
        stop();
        resolve();
      };
    });
  }

  #forget(id: number): void {
    const wasThere = this.#monitors.delete(id);
    // Whether the server knew it, or answers in time, makes no difference: what it reports is not looked at.
    if (wasThere) void this.#greeted?.request('monitor_cancel', [id], this.#patience).catch(() => undefined);
  }

  #unavailable(): OvsdbError {
    const reason = this.#isClosed ? 'the session was closed' : this.#state.isConnected ? 'it answers too slowly' : this.#state.reason;
    return new OvsdbError('unavailable', `Cannot use the OVSDB server on ${this.#options.path}: ${reason}`, { details: 'Look whether ovsdb-server runs.' });
  }
}

/** What is left of a deadline, in whole milliseconds; at least 1. */
export function leftOf(deadlineMs: number, startedAt: number): number {
  return Math.max(1, Math.ceil(deadlineMs - (performance.now() - startedAt)));
}
