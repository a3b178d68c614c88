/** Telling the service manager how a daemon is: sd_notify(3), over the socket that systemd names in $NOTIFY_SOCKET. */
import { describeError } from '../errors/weft-error.ts';
import { closeSocket, openSocket, sendTo } from './libc.ts';

const afUnix = 1;
const sockDgram = 2;
/** The service manager's queue may be full: a daemon does not stand still for that. */
const sockNonblock = 0o4000;
/** Bytes of sun_path (unix(7)). */
const pathBytesMax = 108;

/**
 * Sends `lines`, such as `READY=1\nSTATUS=12 endpoints`, to the service manager.
 *
 * @param address the value of $NOTIFY_SOCKET: a path, or `@` and an abstract name; undefined or empty where nobody wants to know
 * @returns why they could not be delivered, in words; undefined when they were, or when nobody wants to know. Never throws: a
 * daemon serves whether or not somebody is told.
 */
export function notifyServiceManager(lines: string, address: string | undefined): string | undefined {
  if (address === undefined || address === '') return undefined;
  try {
    send(Buffer.from(lines), encodeAddress(address));
    return undefined;
  } catch (error) {
    return `cannot notify the service manager on ${address}: ${describeError(error)}`;
  }
}

function send(message: Uint8Array, address: Uint8Array): void {
  const fd = openSocket(afUnix, sockDgram | sockNonblock, 0);
  try {
    sendTo(fd, message, address);
  } finally {
    closeSocket(fd);
  }
}

/** struct sockaddr_un: the family in the host's order, then the path; a zero byte in the place of `@` makes a name abstract. */
function encodeAddress(address: string): Uint8Array {
  if (!/^[/@]./.test(address)) throw new SyntaxError('NOTIFY_SOCKET must be a path, or "@" and a name');
  const path = Buffer.from(address);
  if (path.length >= pathBytesMax) throw new RangeError(`NOTIFY_SOCKET must have fewer than ${pathBytesMax} bytes: it has ${path.length}`);
  if (address.startsWith('@')) path[0] = 0;
  const family = Buffer.from(Uint16Array.of(afUnix).buffer);
  // An abstract name ends where the length says, so a zero byte behind it would be part of it.
  return Buffer.concat([family, path, ...(address.startsWith('@') ? [] : [Buffer.alloc(1)])]);
}
