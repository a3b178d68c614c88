/** The way to Open vSwitch's database: opened when it is first used, and kept up from then on. */
import { WeftError } from '../../../errors/weft-error.ts';
import type { ChangeBatch, OvsdbMonitor } from '../../../ovsdb/monitor.ts';
import type { Operation } from '../../../ovsdb/operations.ts';
import { isOvsdbError } from '../../../ovsdb/ovsdb-error.ts';
import type { OperationResult } from '../../../ovsdb/results.ts';
import { openSession, type OvsdbSession } from '../../../ovsdb/session.ts';
import { openSwitchDatabase, switchDatabaseName, type SwitchDatabase } from '../../../ovsdb/switch-database.ts';
import type { Deadline } from './deadline.ts';
import { watched, type SwitchRows, type Watched } from './rows.ts';
import type { SwitchOptions } from './settings.ts';

interface Opened {
  readonly database: SwitchDatabase;
  readonly monitor: OvsdbMonitor<Watched>;
}

/** Told what has changed, and the rows as they are by then. It must not throw. */
export type ChangeListener = (batch: ChangeBatch<Watched>, rows: SwitchRows) => void;

/** The database, its rows, and what is changed in it. For any number of callers at once. */
export class SwitchConfiguration {
  readonly #path: string;
  readonly #options: Pick<SwitchOptions, 'backOffMaxMs' | 'probeMs'>;
  /** Told also that the copy is there for the first time; of an initial batch the tables say more than its changes. */
  readonly #onChange: ChangeListener;
  #session: OvsdbSession | undefined;
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;
  #isClosed = false;

  constructor(path: string, options: Pick<SwitchOptions, 'backOffMaxMs' | 'probeMs'> & { readonly onChange: ChangeListener }) {
    this.#path = path;
    this.#options = options;
    this.#onChange = options.onChange;
  }

  /** The rows as they are now. @throws WeftError tryAgainLater while they are not known */
  get rows(): SwitchRows {
    if (this.#opened?.monitor.isCurrent === true) return this.#opened.monitor;
    throw new WeftError('tryAgainLater', `What Open vSwitch has is not known: ${this.outage ?? 'its database was not read yet'}`, {
      details: `Look whether ovsdb-server runs and listens on ${this.#path}.`,
    });
  }

  /** Whether `rows` can be asked for. */
  get isKnown(): boolean {
    return this.#opened?.monitor.isCurrent === true;
  }

  /** Why the database cannot be reached; undefined where it can be, or nobody has tried. */
  get outage(): string | undefined {
    const state = this.#session?.state;
    return state === undefined || state.isConnected ? undefined : state.reason;
  }

  /** The rows once they are known. @throws OvsdbError unavailable, refused where it is no database of Open vSwitch */
  async read(deadline: Deadline): Promise<SwitchRows> {
    const { monitor } = await this.#open(deadline);
    if (!monitor.isCurrent) await monitor.waitFor(() => true, { what: 'the tables of Open vSwitch', deadlineMs: deadline.deadlineMs });
    return monitor;
  }

  /** Waits until the function finds something in the rows. @throws OvsdbError notRealised, unavailable; what the function throws */
  async waitFor<R>(find: (rows: SwitchRows) => R | undefined, { what, deadline }: { readonly what: string; readonly deadline: Deadline }): Promise<R> {
    const { monitor } = await this.#open(deadline);
    return monitor.waitFor(find, { what, deadlineMs: deadline.deadlineMs });
  }

  /** Carries out a transaction and waits until ovs-vswitchd has done what it says. @throws OvsdbError as SwitchDatabase.transactRealised() does */
  async transact(operations: readonly Operation[], deadline: Deadline): Promise<readonly OperationResult[]> {
    const { database } = await this.#open(deadline);
    return database.transactRealised(operations, deadline);
  }

  /** Asks for what is not watched; undefined where the database is not connected to. @throws OvsdbError */
  async ask(operations: readonly Operation[], deadline: Deadline): Promise<readonly OperationResult[] | undefined> {
    return this.isKnown ? this.#session?.transact(operations, deadline) : undefined;
  }

  /** Ends it, for good. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#session?.close();
  }

  /** Whoever comes first opens; who has more time than the first goes on where that one gave up. */
  async #open(deadline: Deadline): Promise<Opened> {
    for (;;) {
      if (this.#opened !== undefined) return this.#opened;
      const isFirst = this.#opening === undefined;
      this.#opening ??= this.#begin(deadline).finally(() => (this.#opening = undefined));
      try {
        return await this.#opening;
      } catch (error) {
        if (isFirst || deadline.isOver || !isOvsdbError(error, 'unavailable')) throw error;
      }
    }
  }

  async #begin(deadline: Deadline): Promise<Opened> {
    if (this.#isClosed) throw new WeftError('internal', 'The switch was closed');
    const { backOffMaxMs, probeMs } = this.#options;
    this.#session ??= openSession({
      path: this.#path,
      database: switchDatabaseName,
      ...(backOffMaxMs === undefined ? {} : { backOffMaxMs }),
      ...(probeMs === undefined ? {} : { probeMs }),
    });
    const opened = await watch(this.#session, deadline);
    this.#opened = opened;
    opened.monitor.onChange((batch) => this.#onChange(batch, opened.monitor));
    this.#onChange({ isInitial: true, changes: [] }, opened.monitor);
    return opened;
  }
}

/** Both or none: what is watched for nobody would be reported all the same. */
async function watch(session: OvsdbSession, deadline: Deadline): Promise<Opened> {
  const [database, monitor] = await Promise.allSettled([openSwitchDatabase(session, deadline), session.monitor(watched, deadline)]);
  if (database.status === 'fulfilled' && monitor.status === 'fulfilled') return { database: database.value, monitor: monitor.value };
  if (database.status === 'fulfilled') database.value.close();
  if (monitor.status === 'fulfilled') monitor.value.close();
  throw database.status === 'rejected' ? database.reason : (monitor as PromiseRejectedResult).reason;
}
