/**
 * The daemon's socket as a file. It is bound under another name and renamed: at no moment is there no socket while a daemon runs,
 * a caller meets either the old daemon or the new one, and what a dead daemon has left is replaced.
 */
import { chmodSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { pid } from 'node:process';
import { describeError, WeftError } from '../errors/weft-error.ts';

/** Connections that wait to be accepted; the kernel takes at most net.core.somaxconn, 4096 on today's kernels. */
const backlog = 4096;
const socketMode = 0o600;
const directoryMode = 0o700;

/** A socket that is listening. */
export interface SocketFile {
  /** Takes the name away, unless a newer daemon has it by now. */
  remove(): void;
}

/** Has the server listen on the path. @throws WeftError ioFailure */
export async function listenOn(server: Server, path: string): Promise<SocketFile> {
  const draft = `${path}.${pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: directoryMode });
    rmSync(draft, { force: true });
    await bind(server, draft);
    chmodSync(draft, socketMode);
    const own = identity(draft);
    renameSync(draft, path);
    return { remove: () => removeOwn(path, own) };
  } catch (error) {
    throw new WeftError('ioFailure', `Cannot listen on ${path}`, { cause: error, details: `${describeError(error)}; the path may have at most 107 bytes (unix(7))` });
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
