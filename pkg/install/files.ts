/**
 * Files of a node, replaced so that whoever opens one at any moment finds the old or the new, whole: written under another name
 * in the same directory, brought to the disk, renamed. A program that runs keeps the file it was started from.
 */
import { createHash } from 'node:crypto';
import {
  closeSync, constants, copyFileSync, fchmodSync, fchownSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, realpathSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { WeftError } from '../errors/weft-error.ts';
import { uniqueSuffix } from '../sys/unique.ts';
import type { FileState, WantedFile } from './plan.ts';

/** In front of a file's name while it is not yet the file. No runtime takes such a name for a network's or a plugin's. */
const stagedPrefix = '.weft-install.';
const chunkBytes = 1024 * 1024;

/** A file on the disk that has not its name yet. */
export interface StagedFile {
  /** As the node names it. */
  readonly path: string;
  /** Where it is, and where it will be. */
  readonly from: string;
  readonly to: string;
}

/** A node's files below the root under which this process sees them. */
export class NodeFilesystem {
  readonly #root: string;

  /** @throws WeftError ioFailure where there is no such directory */
  constructor(root: string) {
    this.#root = attempt(`find the root of the node, ${root}`, () => realpathSync(root));
  }

  /** Where this process sees a path of the node's. */
  locate(path: string): string {
    return join(this.#root, path);
  }

  /** What stands there. */
  stateOf(path: string): FileState {
    const stat = lstatSync(this.locate(path), { throwIfNoEntry: false });
    if (stat === undefined) return { kind: 'absent' };
    if (stat.isSymbolicLink()) return { kind: 'link' };
    if (!stat.isFile()) return { kind: 'other' };
    return { kind: 'file', digest: attempt(`read ${path}`, () => digestOfFile(this.locate(path))), mode: stat.mode & 0o7777 };
  }

  /** The file's text, or undefined where there is none. */
  readText(path: string): string | undefined {
    if (lstatSync(this.locate(path), { throwIfNoEntry: false }) === undefined) return undefined;
    return attempt(`read ${path}`, () => readFileSync(this.locate(path), 'utf8'));
  }

  /** Names in a directory; none where it is not there. */
  list(directory: string): readonly string[] {
    if (lstatSync(this.locate(directory), { throwIfNoEntry: false }) === undefined) return [];
    return attempt(`read the directory ${directory}`, () => readdirSync(this.locate(directory)).sort());
  }

  /** Writes a file to the disk beside its place. Nothing is changed by that. @throws WeftError ioFailure, with nothing left behind */
  stage({ path, mode, content }: Pick<WantedFile, 'path' | 'mode' | 'content'>): StagedFile {
    const to = this.locate(path);
    const from = join(dirname(to), `${stagedPrefix}${basename(to)}.${uniqueSuffix()}`);
    return attempt(`write ${path}`, () => {
      this.#makeDirectory(dirname(path));
      try {
        // A copy on a file system that can shares the blocks.
        if (content.kind === 'copy') copyFileSync(content.from, from, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
        else writeFileSync(from, content.text, { flag: 'wx', mode: 0o600 });
        finish(from, mode);
      } catch (error) {
        rmSync(from, { force: true });
        throw error;
      }
      return { path, from, to };
    });
  }

  /** Gives a staged file its name, for good. @throws WeftError ioFailure: then the file before still has it */
  place({ path, from, to }: StagedFile): void {
    attempt(`put ${path} in its place`, () => {
      renameSync(from, to);
      syncDirectory(dirname(to));
    });
  }

  /** Takes back what was staged and not placed. */
  discard({ from }: StagedFile): void {
    rmSync(from, { force: true });
  }

  /** Removes what an installation that was killed has staged. Only for who knows that no other is under way. */
  sweep(directory: string): void {
    for (const name of this.list(directory)) {
      if (name.startsWith(stagedPrefix)) rmSync(join(this.locate(directory), name), { force: true });
    }
  }

  /** Renames within a directory, for good. */
  rename(path: string, name: string): void {
    const from = this.locate(path);
    attempt(`rename ${path}`, () => {
      renameSync(from, join(dirname(from), name));
      syncDirectory(dirname(from));
    });
  }

  /** Removes a file, for good; a missing one is no fault. */
  remove(path: string): void {
    const file = this.locate(path);
    attempt(`remove ${path}`, () => {
      rmSync(file, { force: true });
      syncDirectory(dirname(file));
    });
  }

  /** A link out of the root would lead into this process's own files in place of the node's. */
  #makeDirectory(path: string): void {
    const directory = this.locate(path);
    // What is made now is for everybody to look into, as /opt and /etc are; the state directory is not.
    mkdirSync(directory, { recursive: true, mode: path.startsWith('/var/') ? 0o700 : 0o755 });
    const real = realpathSync(directory);
    if (real === this.#root || real.startsWith(this.#root === sep ? sep : `${this.#root}${sep}`)) return;
    throw new Error(`a link on the node leads out of ${this.#root}, to ${real}: mount the directory it leads to as ${directory}`);
  }
}

/** SHA-256 of a file, in hex, without having it in memory at once. */
export function digestOfFile(path: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const fd = openSync(path, 'r');
  try {
    for (let length = readSync(fd, chunk); length > 0; length = readSync(fd, chunk)) hash.update(chunk.subarray(0, length));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

/** SHA-256 of a text, in hex. */
export function digestOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The mode is set whatever the umask; the file is on the disk before anything has its name. */
function finish(path: string, mode: number): void {
  const fd = openSync(path, 'r+');
  try {
    fchownSync(fd, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
    fchmodSync(fd, mode);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** So that the name outlives a power failure as well. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const advice: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: make room, and run it again; nothing was replaced by half.',
  EDQUOT: 'The quota is used up: make room, and run it again; nothing was replaced by half.',
  EROFS: 'The file system is read-only: mount the directory writable.',
  EACCES: 'Run it as root.',
  EPERM: 'Run it as root; a file may also be immutable (chattr).',
};

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new WeftError('ioFailure', `Cannot ${what}`, { cause: error, ...(code in advice ? { details: advice[code] ?? '' } : {}) });
  }
}
