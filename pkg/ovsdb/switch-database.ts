/**
 * The little of Open vSwitch's schema that is needed to know when ovs-vswitchd has done what a transaction says
 * (ovs-vswitchd.conf.db(5), table Open_vSwitch): whoever changes the configuration increments `next_cfg`, and ovs-vswitchd
 * writes what it has read there to `cur_cfg` when it has carried everything out.
 */
import type { RequestOptions } from './connection.ts';
import type { OvsdbMonitor } from './monitor.ts';
import { mutateRows, requireRows, selectRows, type Operation } from './operations.ts';
import { OvsdbError } from './ovsdb-error.ts';
import { rowsOf, type OperationResult } from './results.ts';
import { leftOf, type OvsdbSession } from './session.ts';

/** The name of the database that ovs-vswitchd reads. */
export const switchDatabaseName = 'Open_vSwitch';

const table = 'Open_vSwitch';
const watched = { Open_vSwitch: { columns: { cur_cfg: 'integer' } } } as const;

/** Without the row, which `ovs-vsctl init` makes, nothing may be applied: ovs-vswitchd would never carry it out. */
const countConfiguration: readonly Operation[] = [
  requireRows(table, { where: [], columns: ['next_cfg'], until: '!=', rows: [] }),
  mutateRows(table, [], [['next_cfg', '+=', 1]]),
  selectRows(table, [], ['next_cfg']),
];

/** Watches how far ovs-vswitchd is. @throws OvsdbError as OvsdbSession.monitor() does */
export async function openSwitchDatabase(session: OvsdbSession, options: RequestOptions): Promise<SwitchDatabase> {
  return new SwitchDatabase(session, await session.monitor(watched, options));
}

/** Transactions that are done when ovs-vswitchd has carried them out; made by openSwitchDatabase(). For any number of callers at once. */
export class SwitchDatabase {
  readonly #session: OvsdbSession;
  readonly #monitor: OvsdbMonitor<typeof watched>;

  constructor(session: OvsdbSession, monitor: OvsdbMonitor<typeof watched>) {
    this.#session = session;
    this.#monitor = monitor;
  }

  /** The configuration that ovs-vswitchd has carried out; undefined while the connection is lost. */
  get currentConfiguration(): number | undefined {
    const [row] = this.#monitor.table(table).values();
    return row?.cur_cfg;
  }

  /**
   * Carries out a transaction, and waits until ovs-vswitchd has done what it says. That an interface could be opened does not follow
   * from it: its row tells.
   * @param options.deadlineMs for both together
   * @returns the results, one for each of the operations given
   * @throws OvsdbError as OvsdbSession.transact() does; notRealised where it was applied, but ovs-vswitchd is not done in time
   */
  async transactRealised(operations: readonly Operation[], { deadlineMs }: RequestOptions): Promise<readonly OperationResult[]> {
    const startedAt = performance.now();
    const results = await this.#session.transact([...operations, ...countConfiguration], { deadlineMs });
    const [row] = rowsOf(results.at(-1), { next_cfg: 'integer' });
    if (row === undefined) throw new OvsdbError('garbled', `The OVSDB table ${table} had a row, and does not show it`);
    await this.#realised(row.next_cfg, leftOf(deadlineMs, startedAt));
    return results.slice(0, operations.length);
  }

  /** Ends the watching; the session stays. */
  close(): void {
    this.#monitor.close();
  }

  async #realised(configuration: number, deadlineMs: number): Promise<void> {
    const isRealised = (): true | undefined => ((this.currentConfiguration ?? -1) >= configuration ? true : undefined);
    await this.#monitor.waitFor(isRealised, { what: `ovs-vswitchd to carry out configuration ${configuration}`, deadlineMs });
  }
}
