/**
 * UDP in whole packets: none is ever fragmented, whatever the kernel believes of the path, and what routers say of them is
 * heard. node:dgram has neither.
 */
import type { Address, Family } from '../netaddr/netaddr.ts';
import { createDatagramReader, type Datagram, type DatagramReader } from './datagram.ts';
import { bindSocket, closeSocket, int32, openSocket, sendTo, setReceiveBuffer, setSocketOption, SystemCallError } from './libc.ts';
import { decodeSocketAddress, domains, encodeSocketAddress, type UdpAddress } from './socket-address.ts';

/** What came. Its bytes are overwritten by the next reading. */
export interface UdpDatagram {
  readonly from: UdpAddress;
  /** Its beginning. */
  readonly data: Buffer;
  /** All of it, without UDP's header. */
  readonly wholeBytes: number;
}

/** What became of a datagram that was sent, as ICMP says. */
export interface UdpError {
  /** Where it was sent. */
  readonly to: Address;
  /** The datagram's data, as much as the router has quoted. */
  readonly quoted: Buffer;
  /** Why, as errno has it: EMSGSIZE, ECONNREFUSED, EHOSTUNREACH and others. */
  readonly errno: number;
  /** What passes, bytes of the IP packet, with EMSGSIZE (RFC 1191 §4, RFC 4443 §3.2). */
  readonly mtuBytes: number;
}

export type SendOutcome =
  | { readonly kind: 'sent' }
  /** The link it would leave by cannot carry it. */
  | { readonly kind: 'tooBig' }
  /** There is no way, or no room, or a rule of the host's against it. */
  | { readonly kind: 'refused'; readonly code: string };

// include/linux/socket.h, include/uapi/linux/in.h, include/uapi/linux/in6.h, include/uapi/linux/errqueue.h
const sockDatagram = 2;
const messageDontWait = 0x40;
const messageErrorQueue = 0x2000;
/** IP_PMTUDISC_PROBE and IPV6_PMTUDISC_PROBE: DF always, and no regard to what the kernel remembers of the path. */
const discoverProbe = 3;
const options = {
  4: { level: 0, discover: 10, errors: 11, only: [] },
  // IPV6_DONTFRAG, and IPV6_V6ONLY.
  6: { level: 41, discover: 23, errors: 25, only: [62, 26] },
} as const;
/** SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6; what the own kernel says is known from sending. */
const icmpOrigins: ReadonlySet<number> = new Set([2, 3]);
/** struct sock_extended_err. */
const extendedErrorBytes = 16;
const datagramsPerReading = 16;
/** ICMP may say something between one attempt and the next. */
const readingAttempts = 3;
/** Of the heap for what is not read yet: some hundred packets of 9000 bytes. */
const receiveBufferBytes = 2 * 1024 * 1024;

/** An open socket. */
export interface WholeUdp {
  /** For watchReadable(). */
  readonly fd: number;
  /** Sends a datagram in one packet or not at all; it never waits. */
  send(data: Uint8Array, to: UdpAddress): SendOutcome;
  /** What has come, until there is none. */
  receive(): readonly UdpDatagram[];
  /** What ICMP has said, until there is none. */
  receiveErrors(): readonly UdpError[];
  close(): void;
}

/**
 * Opens a socket at an address in the thread's network namespace. Of each datagram `dataBytes` are kept.
 * @throws SystemCallError, such as EADDRINUSE and EADDRNOTAVAIL
 */
export function openWholeUdp(at: UdpAddress, { dataBytes }: { readonly dataBytes: number }): WholeUdp {
  const { family } = at.address;
  const fd = openSocket(domains[family], sockDatagram, 0);
  try {
    const { level, discover, errors, only } = options[family];
    setSocketOption(fd, { level, name: discover, value: int32(discoverProbe) });
    for (const name of [errors, ...only]) setSocketOption(fd, { level, name, value: int32(1) });
    setReceiveBuffer(fd, receiveBufferBytes);
    bindSocket(fd, encodeSocketAddress(at));
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
  return new Socket(fd, family, createDatagramReader({ dataBytes, count: datagramsPerReading }));
}

class Socket implements WholeUdp {
  readonly fd: number;
  readonly #family: Family;
  readonly #read: DatagramReader;

  constructor(fd: number, family: Family, read: DatagramReader) {
    this.fd = fd;
    this.#family = family;
    this.#read = read;
  }

  send(data: Uint8Array, to: UdpAddress): SendOutcome {
    const address = encodeSocketAddress(to);
    // What ICMP has said of an earlier datagram is told by the next call, once, whatever it is about (net/ipv4/udp.c, udp_err()).
    const code = this.#attempt(data, address) ?? this.#attempt(data, address, { isLast: true });
    if (code === undefined || code === '') return { kind: 'sent' };
    return code === 'EMSGSIZE' ? { kind: 'tooBig' } : { kind: 'refused', code };
  }

  /** Empty where it was sent; undefined where it was not and another attempt may tell more. */
  #attempt(data: Uint8Array, address: Uint8Array, { isLast = false } = {}): string | undefined {
    try {
      sendTo(this.fd, data, address, messageDontWait);
      return '';
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return isLast ? error.code : undefined;
    }
  }

  receive(): readonly UdpDatagram[] {
    return this.#next(0).flatMap(({ data, sender, wholeBytes }) => {
      const from = decodeSocketAddress(this.#family, sender);
      return from === undefined ? [] : [{ from, data, wholeBytes }];
    });
  }

  receiveErrors(): readonly UdpError[] {
    const { level, errors } = options[this.#family];
    return this.#next(messageErrorQueue).flatMap(({ data, sender, control }) => {
      const error = control.find((message) => message.level === level && message.type === errors)?.data;
      const to = decodeSocketAddress(this.#family, sender);
      if (to === undefined || error === undefined || error.length < extendedErrorBytes || !icmpOrigins.has(error.readUInt8(4))) return [];
      return [{ to: to.address, quoted: data, errno: error.readUInt32LE(0), mtuBytes: error.readUInt32LE(8) }];
    });
  }

  close(): void {
    closeSocket(this.fd);
  }

  #next(flags: number): readonly Datagram[] {
    for (let attempt = 0; attempt < readingAttempts; attempt += 1) {
      try {
        return this.#read(this.fd, flags);
      } catch (error) {
        if (!(error instanceof SystemCallError) || error.code === 'EBADF') throw error;
        // As in send(): it is about a datagram that was sent, and said once.
      }
    }
    return [];
  }
}
