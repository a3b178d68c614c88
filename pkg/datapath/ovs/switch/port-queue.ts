/**
 * Ports that come and go, many with one transaction.
 *
 * Every row that is inserted has a token of its own. A connection that is lost leaves unknown whether a transaction was applied; then
 * the token tells: the row is there and is taken for what was asked for, or it is not and is inserted again.
 */
import { WeftError } from '../../../errors/weft-error.ts';
import { isOvsdbError } from '../../../ovsdb/ovsdb-error.ts';
import type { Uuid } from '../../../ovsdb/values.ts';
import type { SwitchConfiguration } from './configuration.ts';
import { Deadline } from './deadline.ts';
import { findBridge, findByName, findByToken, findOccupant, isPortNumber, ownPortRows, type Occupant, type OwnBridge, type SwitchInterface, type SwitchRows } from './rows.ts';
import { insertPorts, removePorts, type NewPort } from './transactions.ts';
import { NameTurns, TurnBatch } from './turn.ts';

/** So long, in milliseconds, who could not add a port waits for the row to be gone. */
const undoMs = 1000;
/** So often something else may come in between, such as another process that takes the name. */
const attemptsMax = 5;

interface Settlement<R> {
  readonly resolve: (value: R) => void;
  readonly reject: (error: unknown) => void;
}

interface Addition extends Settlement<number> {
  readonly port: NewPort;
  /** Whether a transaction with it has left: from then on there may be a row. */
  wasSent: boolean;
}

interface Removal extends Settlement<void> {
  /** Absent: everything of the name. */
  readonly token?: string;
  readonly names: ReadonlySet<string>;
}

/** What the queue works on. */
export interface PortQueueParts {
  readonly configuration: SwitchConfiguration;
  /** The bridge, made where it is missing. @throws WeftError as BridgeKeeper.require() does */
  readonly requireBridge: (deadline: Deadline) => Promise<OwnBridge>;
  readonly bridge: string;
  /** How long one call may take, in milliseconds. */
  readonly deadlineMs: number;
}

/** Adds and removes ports of one bridge. For any number of callers at once. */
export class PortQueue {
  readonly #parts: PortQueueParts;
  readonly #turns = new NameTurns();
  readonly #additions = new TurnBatch<Addition>((batch) => void this.#addAll(batch, new Deadline(this.#parts.deadlineMs)));
  readonly #removals = new TurnBatch<Removal>((batch) => void this.#removeAll(batch, new Deadline(this.#parts.deadlineMs)));
  readonly #undos = new TurnBatch<Removal>((batch) => void this.#removeAll(batch, new Deadline(undoMs)));

  constructor(parts: PortQueueParts) {
    this.#parts = parts;
  }

  /**
   * Adds a port in the place of one of the name that is weft's.
   * @returns its number
   * @throws WeftError foreignObject (the name is somebody else's), kernelRefused (ovs-vswitchd cannot open it), as BridgeKeeper.require() does;
   * OvsdbError. The row is removed again.
   */
  add(port: NewPort): Promise<number> {
    return this.inTurn(port.name, () => this.addInTurn(port));
  }

  /** Removes what is weft's of these names. Fulfilled when ovs-vswitchd has closed them; no error where nothing is. @throws OvsdbError */
  remove(names: Iterable<string>): Promise<void> {
    const all = new Set(names);
    return all.size === 0 ? Promise.resolve() : this.#turns.run([...all], () => new Promise((resolve, reject) => this.#removals.push({ names: all, resolve, reject })));
  }

  /** Whether somebody is at work on the name. */
  isBusy(name: string): boolean {
    return this.#turns.has(name);
  }

  /** Runs the task when nothing is under way for the name. In it ports of the name are added by addInTurn(). */
  inTurn<R>(name: string, task: () => Promise<R>): Promise<R> {
    return this.#turns.run([name], task);
  }

  /** As add(), for whoever has the name's turn. */
  addInTurn(port: NewPort): Promise<number> {
    return new Promise((resolve, reject) => this.#additions.push({ port, wasSent: false, resolve, reject }));
  }

  async #addAll(batch: readonly Addition[], deadline: Deadline, attempt = 1): Promise<void> {
    let open = batch;
    try {
      const bridge = await this.#parts.requireBridge(deadline);
      open = refuseForeign(open, this.#parts.configuration.rows, bridge);
      await this.#insert(open, bridge, deadline);
    } catch (error) {
      if (isFaultOfOne(error) && open.length > 1) return void open.forEach((addition) => void this.#addAll([addition], deadline, attempt));
      if (mayLookAgain(error) && attempt < attemptsMax && !deadline.isOver) return this.#addAll(open, deadline, attempt + 1);
      return void open.forEach((addition) => void this.#giveUp(addition, error));
    }
    for (const addition of open) void this.#await(addition, deadline, attempt);
  }

  /** Inserts what is not there yet. A port that is dead looks alive, so what had the name goes first, all the way. */
  async #insert(open: readonly Addition[], bridge: OwnBridge, deadline: Deadline): Promise<void> {
    const { configuration } = this.#parts;
    const found = open.map((addition) => ({ addition, occupant: findOccupant(configuration.rows, bridge, addition.port.name) }));
    const missing = found.filter(({ addition: { port }, occupant }) => !isTakenFor(port, occupant, configuration.rows));
    const stale = missing.flatMap(({ occupant }) => (occupant.kind === 'own' ? [occupant.port] : []));
    if (stale.length > 0) await configuration.transact(removePorts(bridge.uuid, stale), deadline);
    if (missing.length === 0) return;
    for (const { addition } of missing) addition.wasSent = true;
    await configuration.transact(insertPorts(bridge.uuid, missing.map(({ addition }) => addition.port)), deadline);
  }

  /** Settles an addition whose row is there. */
  async #await(addition: Addition, deadline: Deadline, attempt: number): Promise<void> {
    const { port } = addition;
    let uuid: Uuid | undefined;
    const find = (rows: SwitchRows): number | 'gone' | undefined => {
      uuid ??= port.isShared === true ? findByName(rows, port.name) : findByToken(rows, port.token);
      return numberOf(uuid === undefined ? undefined : rows.table('Interface').get(uuid), port.name);
    };
    try {
      const number = await this.#parts.configuration.waitFor(find, { what: `ovs-vswitchd to open ${port.name}`, deadline });
      if (number !== 'gone') return addition.resolve(number);
    } catch (error) {
      return this.#giveUp(addition, error);
    }
    // Another process has removed the bridge, or what it shares with this one, believing that nobody needs it any more.
    if (attempt < attemptsMax && !deadline.isOver) return this.#addAll([addition], deadline, attempt + 1);
    return this.#giveUp(addition, new WeftError('tryAgainLater', `The port ${port.name} was removed while ovs-vswitchd opened it`));
  }

  /** The reason is what matters to the caller; a row that cannot be removed now is found by collect(). */
  async #giveUp({ port: { name, token }, wasSent, reject }: Addition, error: unknown): Promise<void> {
    if (wasSent) await new Promise<void>((resolve) => this.#undos.push({ names: new Set([name]), token, resolve, reject: () => resolve() }));
    reject(error);
  }

  async #removeAll(batch: readonly Removal[], deadline: Deadline): Promise<void> {
    const isMeant = (name: string, token: string | undefined): boolean => batch.some((removal) => removal.names.has(name) && (removal.token === undefined || removal.token === token));
    try {
      while (!(await this.#removeOnce(isMeant, deadline)));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  /** @returns whether it is done; else the connection was lost, and what became of it has to be looked at */
  async #removeOnce(isMeant: Parameters<typeof ownPortRows>[2], deadline: Deadline): Promise<boolean> {
    const { configuration, bridge } = this.#parts;
    const rows = await configuration.read(deadline);
    const found = findBridge(rows, bridge);
    const ports = found.kind === 'own' ? ownPortRows(rows, found, isMeant) : [];
    if (found.kind !== 'own' || ports.length === 0) return true;
    try {
      await configuration.transact(removePorts(found.uuid, ports), deadline);
      return true;
    } catch (error) {
      if (!isOvsdbError(error, 'outcomeUnknown') || deadline.isOver) throw error;
      return false;
    }
  }
}

/** Rejects additions whose name is somebody else's. @returns the others */
function refuseForeign(additions: readonly Addition[], rows: SwitchRows, bridge: OwnBridge): readonly Addition[] {
  return additions.filter(({ port: { name }, reject }) => {
    if (findOccupant(rows, bridge, name).kind !== 'foreign') return true;
    reject(new WeftError('foreignObject', `Cannot add the port ${name}: Open vSwitch has one of this name that weft did not make`, { details: `remove it: ovs-vsctl del-port ${name}` }));
    return false;
  });
}

/** Whether what has the port's name is what is asked for: inserted for this caller, or for another one who shares it and is being or was opened. */
function isTakenFor(port: NewPort, occupant: Occupant, rows: SwitchRows): boolean {
  if (occupant.kind !== 'own') return false;
  if (occupant.token === port.token) return true;
  const row = rows.table('Interface').get(occupant.interface);
  return port.isShared === true && row?.type === port.type && (row.error ?? '') === '' && (row.ofport === undefined || isPortNumber(row.ofport));
}

/** The number of an interface that was inserted; undefined while ovs-vswitchd has not looked. @throws WeftError where there will be none */
function numberOf(row: SwitchInterface | undefined, name: string): number | 'gone' | undefined {
  if (row === undefined) return 'gone';
  if (isPortNumber(row.ofport)) return row.ofport;
  if (row.ofport === undefined && (row.error ?? '') === '') return undefined;
  throw new WeftError('kernelRefused', `Open vSwitch cannot open the port ${name}: ${row.error ?? 'it does not say why'}`);
}

/** What one port of a transaction is refused for has nothing to do with the others. */
function isFaultOfOne(error: unknown): boolean {
  return isOvsdbError(error, 'refused', 'waitFailed');
}

/** Where it is not known what is there, or somebody else was quicker. */
function mayLookAgain(error: unknown): boolean {
  return isOvsdbError(error, 'outcomeUnknown', 'unavailable', 'waitFailed', 'refused');
}
