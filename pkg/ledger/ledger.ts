/**
 * The ledger: which attachments there are on this node, and who has which address. One SQLite file, `ledger.db`.
 *
 * Used by many plugin processes at once, each for a few milliseconds, and by a daemon for months. So:
 * - WAL: readers never wait, one writer at a time; BEGIN IMMEDIATE, so that a transaction that has begun cannot fail for a
 *   lock. Who waits, waits to a deadline.
 * - synchronous=NORMAL: a commit survives kill -9 at once, and a power failure only from the next checkpoint on. A power
 *   failure ends every container, and the next boot drops the attachments anyway. Only identities must outlive it: a
 *   transaction that writes one waits for the disk (file.ts, flushWal).
 * - Opening costs a stat, 100 bytes, and one SELECT. No integrity check: SQLite finds damage where it reads.
 * - A process may end without close(); it saves the last one the checkpoint (two fsyncs), and the next one reads the -wal
 *   again, at most walPagesMax pages.
 * - The first process after a boot drops what belonged to the last one.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { WeftError } from '../errors/weft-error.ts';
import { alone, type Company } from '../sys/company.ts';
import { damaged, isBusy, translate } from './failure.ts';
import { integer, text } from './fields.ts';
import { checkVersion, ensureLedgerFile, fileIdentity, flushWal, hasLedgerFile, readHeader } from './file.ts';
import { LedgerReader } from './reader.ts';
import type { AttachmentRecord } from './records.ts';
import { Statements } from './statements.ts';
import { LedgerTransaction } from './transaction.ts';

const fileName = 'ledger.db';
const deadlineMsDefault = 20_000;
/** SQLite's own wait for a lock in one go; between two of them the deadline is looked at. */
const waitMs = 100;
/** Pause after a lock for which SQLite does not wait (recovery of the -wal, a closing last connection). */
const pauseMs = 2;
/** A commit that finds this many 4096-byte pages in the -wal moves them into the file: what the next process may have to read again. */
const walPagesMaxDefault = 200;

export interface LedgerOptions {
  /** The state directory; made, with mode 0700, where it is missing. */
  readonly directory: string;
  /** This boot's id (boot.ts, readBootId). */
  readonly bootId: string;
  /** How long one call waits for other processes, in milliseconds. @default 20000 */
  readonly deadlineMs?: number;
  /**
   * After how many pages in the -wal a commit moves them into the file, which waits for the disk twice. Whoever calls
   * checkpoint() when there is time can have more. @default 200
   */
  readonly walPagesMax?: number;
  /** The calls that are under way, for whose changes writeTogether() waits. @default one */
  readonly company?: Company;
}

/**
 * How many Ledgers this process has open on each file: the header of such a file is not read again, because that would
 * drop the others' locks (see readHeader). One thread of a process, therefore, may use ledgers.
 */
const openFiles = new Map<string, number>();

/**
 * Opens the node's ledger; makes it where there is none. After a reboot it drops what the last boot left.
 * @throws WeftError ioFailure (directory or disk), tryAgainLater (locked to the deadline), ledgerDamaged, ledgerNewer; in the
 * last two cases the file is as it was.
 */
export function openLedger({ directory, bootId, deadlineMs = deadlineMsDefault, walPagesMax = walPagesMaxDefault, company = alone }: LedgerOptions): Ledger {
  const path = join(directory, fileName);
  ensureLedgerFile(path, bootId);
  return openFile({ path, deadlineMs, walPagesMax, company }, bootId);
}

/** A ledger that is only looked at. */
export type LedgerView = Pick<Ledger, 'read' | 'readBootId' | 'close'>;

/**
 * Opens the node's ledger for somebody who only looks: none is made where there is none (undefined), and what the last boot
 * left stays for the first call after it.
 * @throws WeftError as openLedger() does
 */
export function observeLedger({ directory, deadlineMs = deadlineMsDefault }: Omit<LedgerOptions, 'bootId'>): LedgerView | undefined {
  const path = join(directory, fileName);
  return hasLedgerFile(path) ? openFile({ path, deadlineMs, walPagesMax: walPagesMaxDefault, company: alone }) : undefined;
}

/** @param bootId absent: an observer's */
function openFile(settings: Pick<Connection, 'path' | 'deadlineMs' | 'walPagesMax' | 'company'>, bootId?: string): Ledger {
  const { path, deadlineMs } = settings;
  const file = fileIdentity(path);
  const header = openFiles.has(file) ? { isWal: true } : readHeader(path);
  const db = connect(path, deadlineMs);
  countOpen(file, 1);
  try {
    // Going back to WAL is a change, and not an observer's to make.
    return new Ledger({ ...settings, db, file, isWal: header.isWal || bootId === undefined }, bootId);
  } catch (error) {
    disconnect(db, file);
    throw translate(path, error);
  }
}

interface Connection {
  readonly db: DatabaseSync;
  readonly path: string;
  /** device:inode */
  readonly file: string;
  readonly deadlineMs: number;
  readonly walPagesMax: number;
  readonly company: Company;
  readonly isWal: boolean;
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** The open ledger. Its calls are synchronous, and so must be the functions that they are given. */
export class Ledger {
  #dropped: readonly AttachmentRecord[];
  /** What waits to be written together, and the end of that. */
  readonly #queued: ((tx: LedgerTransaction, isAlone: boolean) => void)[] = [];
  #flush: Promise<void> | undefined;
  readonly #connection: Connection;
  readonly #statements: Statements;

  constructor(connection: Connection, bootId: string | undefined) {
    this.#connection = connection;
    this.#statements = new Statements(connection.db);
    waitForLock(connection, () => {
      this.#storedBootId(); // Before anything is changed: it tells a ledger from what only looks like one.
      prepareConnection(connection);
    });
    this.#dropped = bootId === undefined ? [] : this.#beginBoot(bootId);
  }

  /**
   * What this opening, the first after a reboot, has dropped; once. Its kernel objects went with the reboot; what another
   * IPAM plugin has given did not.
   */
  takeDroppedFromLastBoot(): readonly AttachmentRecord[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }

  /**
   * Runs a function in a transaction that alone may write. It is kept when the function returns, undone when it throws.
   * @throws what the function throws; WeftError tryAgainLater, ioFailure, ledgerDamaged.
   */
  write<T>(change: (tx: LedgerTransaction) => T): T {
    const tx = new LedgerTransaction(this.#statements);
    const result = this.#transact('BEGIN IMMEDIATE', () => change(tx));
    if (tx.needsDisk) flushWal(this.#connection.path);
    return result;
  }

  /**
   * As write(), in one transaction with whatever else is asked for so at about this moment: to begin and to commit
   * costs as much as the statements of an ADD. What one of them throws undoes that one alone. It runs behind this turn.
   */
  async writeTogether<T>(change: (tx: LedgerTransaction) => T): Promise<T> {
    if (this.#flush === undefined && this.#connection.company.isAlone()) return this.write(change);
    let outcome: Outcome<T> | undefined;
    this.#queued.push((tx, isAlone) => {
      outcome = isAlone ? { value: change(tx) } : this.#attempt(() => change(tx));
    });
    this.#flush ??= this.#connection.company.gather().then(() => this.#writeQueued());
    await this.#flush;
    if (outcome === undefined) throw new WeftError('internal', 'a change of the ledger was not carried out');
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  #writeQueued(): void {
    this.#flush = undefined;
    const changes = this.#queued.splice(0);
    this.write((tx) => {
      for (const change of changes) change(tx, changes.length === 1);
    });
  }

  /** Undoes only what this function has done when it throws. */
  #attempt<T>(run: () => T): Outcome<T> {
    const { db, path } = this.#connection;
    this.#statements.run('SAVEPOINT change');
    try {
      const value = run();
      this.#statements.run('RELEASE change');
      return { value };
    } catch (error) {
      // Some errors, such as a full disk, end the whole transaction.
      if (!db.isTransaction) throw error;
      this.#statements.run('ROLLBACK TO change');
      this.#statements.run('RELEASE change');
      return { error: translate(path, error) };
    }
  }

  /**
   * Runs a function that sees the ledger as of one moment.
   * @throws what the function throws; WeftError tryAgainLater, ioFailure, ledgerDamaged.
   */
  read<T>(look: (reader: LedgerReader) => T): T {
    return this.#transact('BEGIN', () => look(new LedgerReader(this.#statements)));
  }

  /** The boot whose attachments it has: to an observer, the last one until the first call after a reboot. @throws WeftError as read() does */
  readBootId(): string {
    return this.read(() => this.#storedBootId());
  }

  /** Moves what is in the -wal into the file, as far as nobody reads it at the moment. It waits for the disk. @throws WeftError ioFailure */
  checkpoint(): void {
    const { db, path } = this.#connection;
    try {
      db.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch (error) {
      throw translate(path, error);
    }
  }

  /** Closes the file. A second time it does nothing. */
  close(): void {
    const { db, file } = this.#connection;
    if (db.isOpen) disconnect(db, file);
  }

  #transact<T>(begin: string, run: () => T): T {
    const { db, path } = this.#connection;
    if (db.isTransaction) throw new WeftError('internal', 'a ledger transaction must not be begun within another');
    try {
      waitForLock(this.#connection, () => this.#begin(begin));
      const result = run();
      this.#statements.run('COMMIT');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw translate(path, error);
    }
  }

  /**
   * BEGIN alone takes no lock: the first reading does, and has to be within the patience. A newer weft may have changed the
   * tables since this process opened them.
   */
  #begin(begin: string): void {
    const { db, path } = this.#connection;
    try {
      this.#statements.run(begin);
      checkVersion(path, integer(this.#statements.first('PRAGMA user_version') ?? {}, 'user_version'));
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }

  /** Identities and cursors stay: they are the endpoints' and the tenant's, not the containers'. */
  #beginBoot(bootId: string): readonly AttachmentRecord[] {
    if (this.readBootId() === bootId) return [];
    return this.write((tx) => {
      if (this.#storedBootId() === bootId) return []; // Another process was first.
      const dropped = tx.listAttachments();
      this.#statements.run('DELETE FROM attachment');
      this.#statements.run('DELETE FROM segment');
      this.#statements.run('UPDATE boot SET boot_id = ?', bootId);
      return dropped;
    });
  }

  #storedBootId(): string {
    const { path } = this.#connection;
    const row = this.#statements.first('SELECT boot_id, (SELECT user_version FROM pragma_user_version) AS version FROM boot');
    if (row === undefined) throw damaged(`the ledger ${path} is damaged: its table boot is empty`);
    checkVersion(path, integer(row, 'version'));
    return text(row, 'boot_id');
  }
}

function connect(path: string, deadlineMs: number): DatabaseSync {
  const url = pathToFileURL(path);
  url.searchParams.set('mode', 'rw'); // Never make a file here: only ensureLedgerFile makes a whole one.
  try {
    return new DatabaseSync(url, { timeout: Math.min(waitMs, deadlineMs), enableForeignKeyConstraints: true });
  } catch (error) {
    throw translate(path, error);
  }
}

function prepareConnection({ db, isWal, walPagesMax }: Connection): void {
  if (!isWal) db.exec('PRAGMA journal_mode = WAL');
  db.exec(`PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = ${walPagesMax}`);
}

function disconnect(db: DatabaseSync, file: string): void {
  db.close();
  countOpen(file, -1);
}

function countOpen(file: string, change: 1 | -1): void {
  const count = (openFiles.get(file) ?? 0) + change;
  if (count === 0) openFiles.delete(file);
  else openFiles.set(file, count);
}

/** Calls again what met another process's lock, to the deadline. */
function waitForLock({ path, deadlineMs }: Connection, attempt: () => void): void {
  const end = performance.now() + deadlineMs;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() >= end) throw lockedTooLong(path, deadlineMs, error);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
  }
}

function lockedTooLong(path: string, deadlineMs: number, cause: unknown): WeftError {
  const details = `Another process holds it; \`fuser ${path}\` names those that have it open.`;
  return new WeftError('tryAgainLater', `the ledger ${path} was locked by another process for ${deadlineMs} ms`, { details, cause });
}

export type { LedgerReader } from './reader.ts';
export type { LedgerTransaction } from './transaction.ts';
export type * from './records.ts';
