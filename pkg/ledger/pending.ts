/**
 * DELs that could not be done, written down to be done later. Plain files, because the launcher, a C program, writes them
 * too, and because they must be writable when the ledger is not.
 *
 * One file a DEL, in the folder `pending-dels` (mode 0700) of the state directory, or of the run directory where that fails:
 *
 *     <16 hexadecimal digits>.json      mode 0600
 *     {"version": 1, "network": "blue", "containerId": "4bf2…", "ifName": "eth0", "requestedAt": 1767225600000,
 *      "conf": "{\\"cniVersion\\": …}"}
 *
 * - `network` and `conf` (the plugin's stdin, as one string, whatever it was) may be missing; the rest may not.
 * - `requestedAt`: milliseconds since the epoch. The DEL is for an attachment made before that; the same container ID may
 *   have been attached anew since.
 * - The name is the 64-bit FNV-1a hash of containerId, 0x00, ifName, 0x00, network (empty where missing), so that a DEL that
 *   is written twice is one file. The reader does not depend on it.
 * - It is written as `.<digits>.<pid>.tmp`, flushed, and renamed: a reader sees it whole or not at all.
 * - A folder holds at most 1024 files.
 */
import {
  closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync,
  unlinkSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pid } from 'node:process';
import { fnv1a64 } from '../digest/fnv.ts';
import { WeftError, describeError } from '../errors/weft-error.ts';
import { errnoOf, fileFailure } from './failure.ts';
import { integer, optionalText, text, type Fields } from './fields.ts';

const folderName = 'pending-dels';
const folderMode = 0o700;
const fileMode = 0o600;
const formatVersion = 1;
const filesMax = 1024;
/** More than any stdin of a runtime; what is larger is not weft's. */
const fileBytesMax = 4 * 1024 * 1024;

/** A DEL to be done later. */
export interface PendingDel {
  /** Absent: the configuration could not be read. */
  readonly network?: string;
  readonly containerId: string;
  readonly ifName: string;
  /** The plugin's stdin. */
  readonly conf?: string;
  /** Milliseconds since the epoch: only an attachment made before is meant. */
  readonly requestedAt: number;
}

/** A pending DEL and the file that holds it. */
export interface PendingDelEntry {
  readonly path: string;
  readonly del: PendingDel;
}

/** A file, or a folder, that could not be read. */
export interface UnreadablePendingDel {
  readonly path: string;
  readonly reason: string;
}

/** What waits in the directories. */
export interface PendingDels {
  readonly entries: readonly PendingDelEntry[];
  readonly unreadable: readonly UnreadablePendingDel[];
}

/**
 * Writes a DEL down in the first of the directories that takes it; returns the file's path. It is on the disk then.
 * @throws WeftError ioFailure when none does, with each one's reason in the details.
 */
export function writePendingDel(directories: readonly string[], del: PendingDel): string {
  const reasons: string[] = [];
  for (const directory of directories) {
    try {
      return writeIn(join(directory, folderName), del);
    } catch (error) {
      reasons.push(describeError(error));
    }
  }
  const message = `the DEL of container ${del.containerId} ${del.ifName} cannot be written down for later: make one of ${directories.join(', ')} writable`;
  throw new WeftError('ioFailure', message, { details: reasons.join('; ') });
}

/** The DELs that wait in the directories, by file name, and what could not be read there. Never throws. */
export function listPendingDels(directories: readonly string[]): PendingDels {
  const entries: PendingDelEntry[] = [];
  const unreadable: UnreadablePendingDel[] = [];
  for (const directory of directories) {
    const folder = join(directory, folderName);
    for (const path of attempt(folder, () => listFolder(folder), unreadable) ?? []) {
      const del = attempt(path, () => readPendingDel(path), unreadable);
      if (del !== undefined) entries.push({ path, del });
    }
  }
  return { entries, unreadable };
}

/** Removes a pending DEL that is done, or was done by another process. @throws WeftError ioFailure. */
export function removePendingDel(entry: PendingDelEntry): void {
  try {
    unlinkSync(entry.path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fileFailure(entry.path, error);
  }
}

function writeIn(folder: string, del: PendingDel): string {
  mkdirSync(folder, { recursive: true, mode: folderMode });
  const digits = keyDigits(del);
  const path = join(folder, `${digits}.json`);
  if (!existsSync(path) && readdirSync(folder).length >= filesMax) {
    throw new Error(`${folder} holds ${filesMax} files already`);
  }
  const draft = join(folder, `.${digits}.${pid}.tmp`);
  try {
    writeFileSync(draft, `${JSON.stringify({ version: formatVersion, ...del })}\n`, { mode: fileMode, flush: true });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  flush(folder);
  return path;
}

function flush(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function listFolder(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { withFileTypes: true });
  const names = files.filter((file) => file.isFile() && file.name.endsWith('.json')).map((file) => file.name);
  return names.sort().map((name) => join(folder, name));
}

/** Undefined when another process has removed it meanwhile. */
function readPendingDel(path: string): PendingDel | undefined {
  try {
    const { size } = statSync(path);
    if (size > fileBytesMax) throw new Error(`a pending DEL must have at most ${fileBytesMax} bytes: it has ${size}`);
    return parsePendingDel(readFileSync(path, 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** @throws SyntaxError */
function parsePendingDel(json: string): PendingDel {
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed !== 'object' || parsed === null) throw new SyntaxError('a pending DEL must be a JSON object');
  const fields: Fields = { ...parsed };
  if (fields['version'] !== formatVersion) {
    throw new SyntaxError(`version must be ${formatVersion}: current value is ${String(fields['version'])}`);
  }
  const network = optionalText(fields, 'network');
  const conf = optionalText(fields, 'conf');
  return {
    ...(network === undefined ? {} : { network }),
    containerId: text(fields, 'containerId'),
    ifName: text(fields, 'ifName'),
    ...(conf === undefined ? {} : { conf }),
    requestedAt: integer(fields, 'requestedAt'),
  };
}

function attempt<T>(path: string, read: () => T, unreadable: UnreadablePendingDel[]): T | undefined {
  try {
    return read();
  } catch (error) {
    unreadable.push({ path, reason: describeError(error) });
    return undefined;
  }
}

function keyDigits({ network = '', containerId, ifName }: PendingDel): string {
  return fnv1a64(Buffer.from(`${containerId}\0${ifName}\0${network}`)).toString(16).padStart(16, '0');
}
