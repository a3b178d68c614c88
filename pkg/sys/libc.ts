/**
 * The system calls that Node does not offer, by koffi. All of them are synchronous: a netlink request does its work
 * inside sendto(), and entering a network namespace must not be interleaved with anything else on the thread.
 */
import { constants } from 'node:os';
import { koffi, type Koffi } from './koffi.ts';

/** A failed system call. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly errno: number;
  /** Such as `ENOENT`. */
  readonly code: string;

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoText(errno)}`);
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** Names the kernel uses and Node does not know, or calls otherwise (include/uapi/asm-generic/errno.h, include/linux/errno.h). */
const kernelNames: readonly (readonly [number, string])[] = [[54, 'EXFULL'], [95, 'EOPNOTSUPP'], [524, 'ENOTSUPP']];
const errnoNames: ReadonlyMap<number, string> = new Map([
  // Of two names for one number the first counts: EAGAIN, not EWOULDBLOCK.
  ...Object.entries(constants.errno).map(([name, errno]) => [errno, name] as const).reverse(),
  ...kernelNames,
]);

/** `EEXIST` for 17; `errno 12345` for one that has no name. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

/** `file exists (EEXIST)` for 17: what strerror(3) says, and the name to search for. */
export function errnoText(errno: number): string {
  return `${libc().strerror(errno)} (${errnoName(errno)})`;
}

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number;
  sendto(fd: number, data: Uint8Array, length: number, flags: number, address: Uint8Array, addressLength: number): number;
  recvfrom(fd: number, data: Uint8Array, length: number, flags: number, address: Uint8Array, addressLength: Uint8Array): number;
  close(fd: number): number;
  setns(fd: number, kind: number): number;
  poll(fds: Uint8Array, count: number, timeoutMs: number): number;
  strerror(errno: number): string;
}

let bound: Libc | undefined;

function libc(): Libc {
  bound ??= bindLibc(koffi());
  return bound;
}

function bindLibc(library: Koffi): Libc {
  const c = library.load('libc.so.6');
  return {
    socket: c.func('int socket(int, int, int)'),
    bind: c.func('int bind(int, const void *, uint32)'),
    getsockname: c.func('int getsockname(int, void *, void *)'),
    setsockopt: c.func('int setsockopt(int, int, int, const void *, uint32)'),
    sendto: c.func('int64 sendto(int, const void *, size_t, int, const void *, uint32)'),
    recvfrom: c.func('int64 recvfrom(int, void *, size_t, int, void *, void *)'),
    close: c.func('int close(int)'),
    setns: c.func('int setns(int, int)'),
    poll: c.func('int poll(void *, unsigned long, int)'),
    strerror: c.func('const char *strerror(int)'),
  } as unknown as Libc;
}

function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, koffi().errno());
  return result;
}

/** Opens a socket, closed on exec. socket(2). */
export function openSocket(domain: number, type: number, protocol: number): number {
  const sockCloexec = 0o2000000;
  return checked('socket', libc().socket(domain, type | sockCloexec, protocol));
}

/** bind(2). */
export function bindSocket(fd: number, address: Uint8Array): void {
  checked('bind', libc().bind(fd, address, address.length));
}

/** getsockname(2) into `address`. */
export function readSocketName(fd: number, address: Uint8Array): void {
  checked('getsockname', libc().getsockname(fd, address, int32(address.length)));
}

/** setsockopt(2). */
export function setSocketOption(fd: number, option: { level: number; name: number; value: Uint8Array }): void {
  checked('setsockopt', libc().setsockopt(fd, option.level, option.name, option.value, option.value.length));
}

/** Sends one datagram; for netlink the kernel has done the work when this returns. sendto(2). */
export function sendTo(fd: number, data: Uint8Array, address: Uint8Array): void {
  checked('sendto', libc().sendto(fd, data, data.length, 0, address, address.length));
}

/** Receives one datagram into `data`, its sender into `address`; returns its full length, also where it was cut. recvfrom(2). */
export function receiveFrom(fd: number, data: Uint8Array, address: Uint8Array): number {
  const msgTrunc = 0x20;
  return Number(checked('recvfrom', Number(libc().recvfrom(fd, data, data.length, msgTrunc, address, int32(address.length)))));
}

/** close(2) of a descriptor opened here; errors are of no use to anybody. */
export function closeSocket(fd: number): void {
  libc().close(fd);
}

/** Moves the calling thread into the network namespace of the descriptor. setns(2). */
export function setNetns(fd: number): void {
  const cloneNewnet = 0x40000000;
  checked('setns', libc().setns(fd, cloneNewnet));
}

/** Waits until the descriptor can be read, is at its end, or the time is up; false for the last. poll(2). */
export function waitReadable(fd: number, timeoutMs: number): boolean {
  const pollIn = 0x1;
  const entry = new Uint8Array(8);
  const view = new DataView(entry.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, pollIn, true);
  return checked('poll', libc().poll(entry, 1, timeoutMs)) > 0;
}

/** A C `int` in memory. */
export function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
