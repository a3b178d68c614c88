/**
 * The file ledger.db as a file: made whole or not at all, and looked at before SQLite is let near it.
 *
 * A new ledger is built under another name, flushed, and linked to its own name: link(2) refuses an existing name, so of
 * any number of processes one wins, and a process killed meanwhile leaves no half-made ledger. (Building it in place under
 * BEGIN EXCLUSIVE was rejected: between open and commit a crash leaves an empty ledger.db, which nothing tells from a lost one.)
 *
 * The header is checked first because opening a database in WAL mode writes: it makes -wal and -shm beside it and copies
 * one into the file at the end. Nothing of that may happen to a file that a newer weft, or somebody else, has written.
 */
import {
  closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readSync, statSync, unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { WeftError } from '../errors/weft-error.ts';
import { uniqueSuffix } from '../sys/unique.ts';
import { damaged, errnoOf, fileFailure, translate } from './failure.ts';
import { applicationId, schemaSql, schemaVersion } from './schema.ts';

const directoryMode = 0o700;
const fileMode = 0o600;

/** The database header (https://sqlite.org/fileformat2.html §1.3): byte offsets, numbers big-endian. */
const headerBytes = 100;
const magic = 'SQLite format 3\0';
const writeVersionOffset = 18;
const userVersionOffset = 60;
const applicationIdOffset = 68;
/** File format write version of a database in WAL mode. */
const walWriteVersion = 2;

/** What the header says. */
export interface LedgerHeader {
  /** False after a restore with a tool that writes databases in rollback mode. */
  readonly isWal: boolean;
}

/**
 * Makes the ledger where there is none.
 * @throws WeftError ioFailure; ledgerDamaged when only a -wal file of an earlier ledger is there.
 */
export function ensureLedgerFile(path: string, bootId: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: directoryMode });
    if (existsSync(path)) return;
    refuseOrphanWal(path);
    buildLedger(path, bootId);
  } catch (error) {
    const translated = translate(path, error);
    throw translated instanceof WeftError ? translated : fileFailure(path, error);
  }
}

/**
 * Whether there is a ledger; nothing is made.
 * @throws WeftError ioFailure where one may not look; ledgerDamaged when only a -wal file of an earlier ledger is there.
 */
export function hasLedgerFile(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fileFailure(path, error);
  }
  refuseOrphanWal(path);
  return false;
}

/** SQLite would replay the -wal of a ledger that was moved away into the new one. */
function refuseOrphanWal(path: string): void {
  // In this order: a ledger, once linked, stays, so a -wal seen before a missing ledger is no other process's new one.
  if (!existsSync(`${path}-wal`) || existsSync(path)) return;
  throw damaged(`the ledger ${path} is missing, but its ${path}-wal is there: move ${path}-wal and ${path}-shm aside too, or put the ledger back`);
}

function buildLedger(path: string, bootId: string): void {
  const draft = `${path}.${uniqueSuffix()}.new`;
  closeSync(openSync(draft, 'wx', fileMode));
  try {
    writeDraft(draft, bootId);
    linkSync(draft, path);
    flush(dirname(path));
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
}

function writeDraft(draft: string, bootId: string): void {
  const db = new DatabaseSync(draft);
  try {
    db.exec(`PRAGMA journal_mode = MEMORY; BEGIN; ${schemaSql}
      PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion};`);
    db.prepare('INSERT INTO boot (id, boot_id) VALUES (1, ?)').run(bootId);
    // Last: so the file alone is the whole database, even if what this mode does at close finds the disk full.
    db.exec('COMMIT; PRAGMA journal_mode = WAL;');
  } finally {
    db.close();
  }
}

/**
 * Reads and checks the header. Only for a file that this process has not open: closing a descriptor drops the locks that
 * the process holds on the file through any other (fcntl(2), "Advisory record locking"), SQLite's too.
 * @throws WeftError ledgerDamaged, ledgerNewer, ioFailure.
 */
export function readHeader(path: string): LedgerHeader {
  return checkHeader(path, readStart(path));
}

function checkHeader(path: string, start: Buffer): LedgerHeader {
  if (start.length < headerBytes || start.toString('latin1', 0, magic.length) !== magic) {
    throw damaged(`the ledger ${path} is damaged: it does not begin as an SQLite database does`);
  }
  if (start.readUInt32BE(applicationIdOffset) !== applicationId) {
    throw damaged(`${path} is an SQLite database, but not weft's ledger`);
  }
  checkVersion(path, start.readUInt32BE(userVersionOffset));
  return { isWal: start[writeVersionOffset] === walWriteVersion };
}

/** @throws WeftError ledgerNewer. */
export function checkVersion(path: string, version: number): void {
  if (version <= schemaVersion) return;
  throw new WeftError('ledgerNewer', `the ledger ${path} has version ${version}, and this weft knows versions up to ${schemaVersion}: install the weft that wrote it, or a newer one`);
}

function readStart(path: string): Buffer {
  try {
    const fd = openSync(path, 'r');
    try {
      const start = Buffer.alloc(headerBytes);
      return start.subarray(0, readSync(fd, start, 0, headerBytes, 0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fileFailure(path, error);
  }
}

/** `device:inode`, which tells a ledger from one that was put in its place. @throws WeftError ioFailure. */
export function fileIdentity(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    throw fileFailure(path, error);
  }
}

/** Waits until what was committed to the ledger's -wal file is on the disk. @throws WeftError ioFailure. */
export function flushWal(path: string): void {
  // SQLite's locks are on the file itself and on -shm, so opening and closing -wal takes none away.
  try {
    flush(`${path}-wal`);
  } catch (error) {
    throw fileFailure(`${path}-wal`, error);
  }
}

function flush(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
