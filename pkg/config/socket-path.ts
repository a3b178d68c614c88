/** Readers for the places of unix sockets: what is too long is told where it is written, not when somebody connects. */
import { malformed, text, type Reader } from './readers.ts';

/** sun_path with its NUL (include/uapi/linux/un.h), bytes. */
const socketPathBytesMax = 108 - 1;

/** The path of a unix socket. */
export const socketPath: Reader<string> = text('the path of a unix socket', (value, name) => {
  if (isAbsolutePath(value, socketPathBytesMax)) return value;
  throw malformed(name, `the absolute path of a unix socket, at most ${socketPathBytesMax} bytes`, value);
}, { kind: 'text', noun: 'the absolute path of a unix socket', pattern: '^/' });

/** The path of a directory with sockets in it; `/` and the longest of their names, so many bytes, are yet to fit behind it. */
export function socketDirectory(nameBytes: number): Reader<string> {
  const bytesMax = socketPathBytesMax - nameBytes;
  return text('the path of a directory', (value, name) => {
    if (isAbsolutePath(value, bytesMax)) return value;
    throw malformed(name, `the absolute path of a directory, at most ${bytesMax} bytes`, value);
  }, { kind: 'text', noun: `the absolute path of a directory, at most ${bytesMax} bytes`, pattern: '^/' });
}

function isAbsolutePath(value: string, bytesMax: number): boolean {
  return value.startsWith('/') && !value.includes('\0') && Buffer.byteLength(value) <= bytesMax;
}
