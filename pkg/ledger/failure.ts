/** What SQLite and the file system say when something fails, in weft's words. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { WeftError, describeError } from '../errors/weft-error.ts';

/** Primary result codes (sqlite3.h, "Result Codes"); an extended code carries its primary code in the low byte. */
const sqlite = {
  error: 1, perm: 3, busy: 5, locked: 6, readonly: 8, ioErr: 10, corrupt: 11, full: 13, cantOpen: 14, protocol: 15,
  constraint: 19, notADatabase: 26,
} as const;
const primaryCodeMask = 0xff;

/** What to do about a ledger that cannot be read, and what it costs. */
const damagedRemedy =
  'Drain the node, move ledger.db, ledger.db-wal and ledger.db-shm aside together and keep them; weft begins a new ledger. ' +
  'What is lost: which container holds which address on this node, and the addresses and MACs kept for endpoints.';

/** A ledgerDamaged with what to do about it. */
export function damaged(message: string, cause?: unknown): WeftError {
  return new WeftError('ledgerDamaged', message, { details: damagedRemedy, cause });
}

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & primaryCodeMask;
}

/** True for what another process's lock causes; trying again later can succeed. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === sqlite.busy || code === sqlite.locked || code === sqlite.protocol;
}

/** True when a UNIQUE, CHECK or foreign key constraint refused a statement. */
export function isConstraint(error: unknown): boolean {
  return sqliteCode(error) === sqlite.constraint;
}

/** The code of a failed system call, such as `ENOSPC`, or of another of Node's own errors. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

const stateRemedy = 'weft needs a directory that it can write for its state: /var/lib/weft, or what WEFT_STATE_DIR names.';

/** A failed system call on the path as an ioFailure; the details say what weft needs there. */
export function fileFailure(path: string, error: unknown, details: string = stateRemedy): WeftError {
  const text = isNoSpace(error) ? diskFullText(path) : `cannot use ${path}: ${describeError(error)}`;
  return new WeftError('ioFailure', text, { details, cause: error });
}

/** Anything thrown while the ledger at the path was used: SQLite's errors as WeftErrors, everything else unchanged. */
export function translate(path: string, error: unknown): unknown {
  const code = sqliteCode(error);
  if (error instanceof WeftError || code === undefined) return error;
  switch (code) {
    case sqlite.full:
      return new WeftError('ioFailure', diskFullText(path), { cause: error });
    case sqlite.perm: case sqlite.readonly: case sqlite.ioErr: case sqlite.cantOpen:
      // Growing the -shm file on a full disk is reported as an I/O error, not as SQLITE_FULL.
      return hasSpace(path) ? fileFailure(path, error) : new WeftError('ioFailure', diskFullText(path), { cause: error });
    case sqlite.corrupt: case sqlite.notADatabase: case sqlite.error:
      // SQLITE_ERROR: a table or column is missing. The statements are fixed, so the file is what differs.
      return damaged(`the ledger ${path} is damaged: ${describeError(error)}`, error);
    case sqlite.busy: case sqlite.locked: case sqlite.protocol:
      return new WeftError('tryAgainLater', `the ledger ${path} is in use by another process`, { cause: error });
    default:
      return new WeftError('internal', `the ledger ${path} refused a statement: ${describeError(error)}`, { cause: error });
  }
}

function diskFullText(path: string): string {
  return `cannot write ${path}: the disk is full; free some space on it`;
}

function isNoSpace(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

function hasSpace(path: string): boolean {
  try {
    return statfsSync(dirname(path)).bavail > 0;
  } catch {
    return true;
  }
}
