/**
 * koffi (calls into libc) as a native addon, found wherever weft runs.
 *
 * In the source tree it is loaded from node_modules. In the single executable it is an asset, and the dynamic loader wants
 * a file: the asset is written once to `<directory>/<sha256>.node` and used from there ever after. Rejected: an anonymous
 * file (O_TMPFILE) at every start, which costs a megabyte of writing for each CNI call and fails on a noexec /run.
 */
import { chmodSync, closeSync, fsyncSync, lstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { getAsset, getRawAsset, isSea } from 'node:sea';
import { describeError, WeftError } from '../errors/weft-error.ts';
import { uniqueSuffix } from './unique.ts';

export type Koffi = typeof import('koffi');

/** Asset names in the single executable; scripts/build.ts writes them. */
const addonAsset = 'koffi.node';
const addonDigestAsset = 'koffi.sha256';

let loaded: Koffi | undefined;
let directories: readonly string[] = [];

/**
 * Names the directories, best first, where the single executable may keep its addon. Call it before the first use;
 * it has no effect in the source tree.
 */
export function keepAddonIn(candidates: readonly string[]): void {
  directories = candidates;
}

/** koffi, loaded at the first call. @throws WeftError ioFailure when no directory can hold the addon. */
export function koffi(): Koffi {
  loaded ??= isSea() ? loadFromAsset() : (createRequire(import.meta.filename)('koffi') as Koffi);
  return loaded;
}

function loadFromAsset(): Koffi {
  const failures: string[] = [];
  for (const directory of directories) {
    try {
      return loadFile(unpackAddon(directory));
    } catch (error) {
      // A read-only or noexec file system is no reason to give up while another directory is left.
      failures.push(`${directory}: ${describeError(error)}`);
    }
  }
  throw new WeftError('ioFailure', 'Cannot unpack the native addon: make one of the directories writable and executable', {
    details: failures.join('; '),
  });
}

function loadFile(path: string): Koffi {
  const module = { exports: {} };
  process.dlopen(module, path);
  return module.exports as Koffi;
}

/** Writes the addon to `directory` unless it is there; its name is its digest, so another version's file never matches. */
function unpackAddon(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  requireOwn(directory, (stat) => stat.isDirectory());
  const path = join(directory, `${getAsset(addonDigestAsset, 'utf8').trim()}.node`);
  const content = Buffer.from(getRawAsset(addonAsset) as ArrayBuffer);
  if (lstatSync(path, { throwIfNoEntry: false })?.size !== content.length) writeAtomically(path, content);
  requireOwn(path, (stat) => stat.isFile());
  return path;
}

/** Code is about to be loaded from here: nobody else may have been able to write it. */
function requireOwn(path: string, isKind: (stat: { isFile(): boolean; isDirectory(): boolean }) => boolean): void {
  const stat = lstatSync(path);
  const owner = process.geteuid?.() ?? 0;
  if (isKind(stat) && stat.uid === owner && (stat.mode & 0o022) === 0) return;
  throw new WeftError('ioFailure', `${path} must be a plain entry owned by user ${owner} that nobody else can write`);
}

function writeAtomically(path: string, content: Uint8Array): void {
  const temporary = `${path}.${uniqueSuffix()}`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    let written = 0;
    while (written < content.length) written += writeSync(fd, content, written);
    fsyncSync(fd);
    chmodSync(temporary, 0o500);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
