import { readSync } from 'node:fs';
import { describeError, WeftError } from '../errors/weft-error.ts';
import { waitReadable } from './libc.ts';

export interface ReadLimits {
  /** Reading stops behind so many bytes; what is returned may then be longer than this, by less than one read. */
  readonly bytesMax: number;
  /** For the whole of it, in milliseconds. */
  readonly deadlineMs: number;
}

const chunkBytes = 64 * 1024;

/** Everything a descriptor has, as UTF-8, up to its end. @throws WeftError ioFailure when it cannot be read, or the end does not come within the deadline */
export function readAll(fd: number, { bytesMax, deadlineMs }: ReadLimits): string {
  const until = performance.now() + deadlineMs;
  const chunks: Buffer[] = [];
  let length = 0;
  while (length <= bytesMax) {
    if (!waitReadable(fd, Math.max(0, Math.ceil(until - performance.now())))) {
      throw new WeftError('ioFailure', `The network configuration must come on stdin and end: it did not within ${deadlineMs} ms`);
    }
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const read = readChunk(fd, chunk);
    if (read === 0) break;
    chunks.push(chunk.subarray(0, read));
    length += read;
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readChunk(fd: number, chunk: Buffer): number {
  try {
    return readSync(fd, chunk, 0, chunk.length, null);
  } catch (error) {
    throw new WeftError('ioFailure', `The network configuration on stdin cannot be read: ${describeError(error)}`, { cause: error });
  }
}
