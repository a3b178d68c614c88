/**
 * The daemon's socket as a file. It is bound under another name and renamed: at no moment is there no socket while a daemon runs,
 * a caller meets either the old daemon or the new one, and what a dead daemon has left is replaced.
 */
import { chmodSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { pid } from 'node:process';
import { WeftError } from '../errors/weft-error.ts';

/** Connections that wait to be accepted; the kernel takes at most net.core.somaxconn, 4096 on today's kernels. */
const backlog = 4096;
const socketMode = 0o600;
const directoryMode = 0o700;
/** unix(7): sun_path, without the zero byte at its end. */
const pathBytesMax = 107;

/** A socket that is listening. */
export interface SocketFile {
  /** Takes the name away, unless a newer daemon has it by now. */
  remove(): void;
}

/** Has the server listen on the path. @throws WeftError ioFailure */
export async function listenOn(server: Server, path: string): Promise<SocketFile> {
  const draft = `${path}.${pid}`;
  if (Buffer.byteLength(draft) > pathBytesMax) {
    throw new WeftError('ioFailure', `Cannot listen on ${path}: the name of a socket may have ${pathBytesMax} bytes`, { details: 'Give WEFT_RUN_DIR a shorter path.' });
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: directoryMode });
    rmSync(draft, { force: true });
    await bind(server, draft);
    chmodSync(draft, socketMode);
    const own = identity(draft);
    renameSync(draft, path);
    return { remove: () => removeOwn(path, own) };
  } catch (error) {
    server.close();
    removeQuietly(draft);
    throw new WeftError('ioFailure', `Cannot listen on ${path}`, { cause: error });
  }
}

/** What cannot be removed is not what the caller must be told. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The directory is not there, or is none.
  }
}

/** The directory keeps others out until the mode is set. */
function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function identity(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

function removeOwn(path: string, own: string | undefined): void {
  if (own !== undefined && identity(path) === own) rmSync(path, { force: true });
}
