/**
 * The system calls that Node does not offer, by koffi. All of them are synchronous: a netlink request does its work
 * inside sendto(), and entering a network namespace must not be interleaved with anything else on the thread.
 */
import { constants } from 'node:os';
import { WeftError } from '../errors/weft-error.ts';
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

type SendTo = (fd: number, data: Uint8Array, length: number, flags: number, address: Uint8Array, addressLength: number) => number;

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array): number;
  sendto: SendTo & { async(...args: [...Parameters<SendTo>, (error: Error | null, result: number) => void]): void };
  recvfrom(fd: number, data: Uint8Array, length: number, flags: number, address: Uint8Array, addressLength: Uint8Array): number;
  recvmmsg(fd: number, headers: Uint8Array, count: number, flags: number, timeout: null): number;
  close(fd: number): number;
  setns(fd: number, kind: number): number;
  ioctl(fd: number, request: number, argument: number): number;
  ioctlOn(fd: number, request: number, argument: Uint8Array): number;
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
    getsockopt: c.func('int getsockopt(int, int, int, void *, void *)'),
    sendto: c.func('int64 sendto(int, const void *, size_t, int, const void *, uint32)'),
    recvfrom: c.func('int64 recvfrom(int, void *, size_t, int, void *, void *)'),
    recvmmsg: c.func('int recvmmsg(int, void *, uint32, int, void *)'),
    close: c.func('int close(int)'),
    setns: c.func('int setns(int, int)'),
    ioctl: c.func('int ioctl(int, unsigned long, long)'),
    ioctlOn: c.func('int ioctl(int, unsigned long, void *)'),
    poll: c.func('int poll(void *, unsigned long, int)'),
    strerror: c.func('const char *strerror(int)'),
  } as unknown as Libc;
}

function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, koffi().errno());
  return result;
}

/**
 * For calls that wait: a signal (SIGHUP, SIGCHLD, a profiler's) ends them with EINTR before they have done anything, even where
 * its handler asks for a restart (signal(7): poll(2), and sockets with a timeout).
 */
function retried(call: string, attempt: () => number): number {
  for (;;) {
    const result = attempt();
    if (result >= 0 || koffi().errno() !== constants.errno.EINTR) return checked(call, result);
  }
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

/** Room for what a socket has not been read of: what is asked for, or, without CAP_NET_ADMIN, as much as net.core.rmem_max allows. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  const [solSocket, soReceiveBuffer, soReceiveBufferForce] = [1, 8, 33];
  const size = { level: solSocket, value: int32(bytes) };
  try {
    setSocketOption(fd, { ...size, name: soReceiveBufferForce });
  } catch {
    setSocketOption(fd, { ...size, name: soReceiveBuffer });
  }
}

/** getsockopt(2) into `value`. */
export function getSocketOption(fd: number, option: { level: number; name: number; value: Uint8Array }): void {
  checked('getsockopt', libc().getsockopt(fd, option.level, option.name, option.value, int32(option.value.length)));
}

/** Puts a program of classic BPF (an array of struct sock_filter) in front of the socket's queue. setsockopt(2), SO_ATTACH_FILTER. */
export function attachFilter(fd: number, program: ArrayBuffer): void {
  const [solSocket, soAttachFilter, instructionBytes] = [1, 26, 8];
  // struct sock_fprog: how many instructions, padding, where they are.
  const value = Buffer.alloc(16);
  value.writeUInt16LE(program.byteLength / instructionBytes, 0);
  value.writeBigUInt64LE(memoryAddress(program), 8);
  setSocketOption(fd, { level: solSocket, name: soAttachFilter, value });
}

/** Sends one datagram, with flags (MSG_*); for netlink the kernel has done the work when this returns. sendto(2). */
export function sendTo(fd: number, data: Uint8Array, address: Uint8Array, flags = 0): void {
  retried('sendto', () => Number(libc().sendto(fd, data, data.length, flags, address, address.length)));
}

/**
 * As sendTo(), on a thread of libuv's pool (there are 4, UV_THREADPOOL_SIZE): what the kernel does inside the call keeps nobody
 * waiting. Why it failed is not known then: errno is another thread's.
 */
export async function sendToAside(fd: number, data: Uint8Array, address: Uint8Array): Promise<void> {
  const sent = await new Promise<number>((resolve, reject) => {
    libc().sendto.async(fd, data, data.length, 0, address, address.length, (error, result) => (error === null ? resolve(Number(result)) : reject(error)));
  });
  if (sent !== data.length) throw new WeftError('tryAgainLater', 'The kernel did not take a datagram of netlink requests');
}

/** Receives one datagram into `data`, its sender into `address`; returns its full length, also where it was cut. recvfrom(2). */
export function receiveFrom(fd: number, data: Uint8Array, address: Uint8Array): number {
  const msgTrunc = 0x20;
  return retried('recvfrom', () => Number(libc().recvfrom(fd, data, data.length, msgTrunc, address, int32(address.length))));
}

/**
 * Receives at most `count` datagrams without waiting, as an array of struct mmsghdr says, which the kernel fills in, their lengths
 * also where they were cut; returns how many, 0 when there is none. `flags`: further MSG_*. recvmmsg(2).
 */
export function receiveMessages(fd: number, headers: Uint8Array, count: number, flags = 0): number {
  const [msgTrunc, msgDontWait] = [0x20, 0x40];
  const received = libc().recvmmsg(fd, headers, count, msgTrunc | msgDontWait | flags, null);
  // Every reading of a queue to its end comes here: no error object is made for it.
  if (received < 0 && koffi().errno() === constants.errno.EAGAIN) return 0;
  return checked('recvmmsg', received);
}

/**
 * Where memory is, for a struct that points to it. An ArrayBuffer, and not a view: the engine keeps small typed arrays in its
 * own heap and moves them. It must outlive the use of its address.
 */
export function memoryAddress(memory: ArrayBuffer): bigint {
  return koffi().address(memory);
}

/** close(2) of a descriptor opened here; errors are of no use to anybody. */
export function closeSocket(fd: number): void {
  libc().close(fd);
}

/** CLONE_NEWNET, include/uapi/linux/sched.h. */
const cloneNewnet = 0x40000000;

/** Whether a namespace's descriptor is a network namespace's. ioctl_nsfs(2), NS_GET_NSTYPE. */
export function isNetworkNamespace(fd: number): boolean {
  const getType = 0xb703;
  return checked('ioctl', libc().ioctl(fd, getType, 0)) === cloneNewnet;
}

/** Asks something of the device that `argument`, a struct ifreq, names. ioctl(2), netdevice(7). */
export function controlSocket(fd: number, request: number, argument: Uint8Array): void {
  checked('ioctl', libc().ioctlOn(fd, request, argument));
}

/** Moves the calling thread into the network namespace of the descriptor. setns(2). */
export function setNetns(fd: number): void {
  checked('setns', libc().setns(fd, cloneNewnet));
}

/** Waits until the descriptor can be read, is at its end, or the time is up; false for the last. poll(2). */
export function waitReadable(fd: number, timeoutMs: number): boolean {
  const pollIn = 0x1;
  return poll(fd, pollIn, timeoutMs) !== 0;
}

/** Which of the events (POLL* bits) a descriptor has, without waiting. poll(2). */
export function pollNow(fd: number, events: number): number {
  return poll(fd, events, 0);
}

/** struct pollfd of one descriptor; returns its revents. */
function poll(fd: number, events: number, timeoutMs: number): number {
  const entry = Buffer.alloc(8);
  entry.writeInt32LE(fd, 0);
  entry.writeUInt16LE(events, 4);
  return retried('poll', () => libc().poll(entry, 1, timeoutMs)) === 0 ? 0 : entry.readUInt16LE(6);
}

/** A C `int` in memory. */
export function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
