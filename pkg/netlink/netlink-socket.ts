/**
 * Requests and replies over one netlink socket.
 *
 * Synchronous on purpose: the kernel carries a request out inside sendto(2), so nothing could overlap with it anyway, and
 * a socket opened inside a container's namespace works on that namespace from wherever the thread is afterwards.
 * Requests that are sent together travel in few datagrams and are carried out in order; **one that fails does not stop the
 * ones behind it**, so only requests that do not build on each other's success may share a call.
 */
import { isWeftError, WeftError } from '../errors/weft-error.ts';
import { bindSocket, closeSocket, openSocket, readSocketName, receiveFrom, sendTo, sendToAside, setReceiveBuffer, setSocketOption, int32, SystemCallError, waitReadable } from '../sys/libc.ts';
import { insideNetns } from '../sys/netns.ts';
import { decodeAttributes, decodeMessages, decodeString, encodeMessage, type NetlinkMessage, type NetlinkRequest } from './codec.ts';
import { NetlinkError } from './netlink-error.ts';

/** Anything that carries requests out; the seam at which tests make the kernel fail. */
export interface Netlink {
  /**
   * Carries out requests in order.
   * @returns for each request the messages it was answered with, without its acknowledgement
   * @throws NetlinkError of the first request that was refused, after all of them were carried out
   */
  request(requests: readonly NetlinkRequest[]): NetlinkMessage[][];
  /** One outcome for each request: its reply, or its refusal. */
  tryRequest(requests: readonly NetlinkRequest[]): (NetlinkMessage[] | NetlinkError)[];
  /** Every object the request selects. @throws NetlinkError; WeftError tryAgainLater when the table kept changing */
  dump(request: NetlinkRequest): NetlinkMessage[];
  close(): void;
}

// include/uapi/linux/netlink.h
const afNetlink = 16;
const sockRaw = 3;
const solNetlink = 270;
const netlinkNoEnobufs = 5;
const netlinkExtAck = 11;
const netlinkGetStrictCheck = 12;
const nlmsgError = 2;
const nlmsgDone = 3;
const flagRequest = 0x1;
const flagAck = 0x4;
const flagDumpInterrupted = 0x10;
const flagDump = 0x300;
const flagCapped = 0x100;
const flagAckTlvs = 0x200;
const ackExplanation = 1;
/** sockaddr_nl: family, padding, port id, groups. */
const addressBytes = 12;

const solSocket = 1;
const soReceiveTimeout = 20;

/** The kernel answers at once or not at all: a reply that takes this long is lost. */
const replyDeadlineSeconds = 5;
/** A dump is sent in pieces of at most 32 KiB (NLMSG_GOODSIZE grows to it), single replies are far smaller. */
const receiveBufferBytes = 128 * 1024;
/** One for all sockets: what arrives is copied out of it before anybody else has a turn, and an ADD opens a socket of its own. */
const receiveBuffer = Buffer.allocUnsafeSlow(receiveBufferBytes);
const dumpAttemptsMax = 5;
/**
 * The kernel writes all answers to a datagram before the first is read, and counts a link's description with up to 4.5 KiB against the
 * socket's buffer: the default of 208 KiB (net.core.rmem_default) has no room for 64.
 */
export const requestsPerDatagram = 64;
const unreadBytesMax = 1024 * 1024;

export type Protocol = 'route' | 'netfilter';
const protocolNumbers: Readonly<Record<Protocol, number>> = { route: 0, netfilter: 12 };

/** Opens a socket in the namespace of the descriptor, or in the process's own. @throws SystemCallError */
export function openNetlink(protocol: Protocol, netnsFd?: number): NetlinkSocket {
  return netnsFd === undefined ? new NetlinkSocket(protocol) : insideNetns(netnsFd, () => new NetlinkSocket(protocol));
}

/** One socket; close it in the call that opened it unless it serves the process's own namespace. */
export class NetlinkSocket implements Netlink {
  readonly #fd: number;
  readonly #portId: number;
  #sequence = 1;

  constructor(protocol: Protocol) {
    this.#fd = openSocket(afNetlink, sockRaw, protocolNumbers[protocol]);
    setReceiveBuffer(this.#fd, unreadBytesMax);
    setSocketOption(this.#fd, { level: solNetlink, name: netlinkExtAck, value: int32(1) });
    if (protocol === 'route') setSocketOption(this.#fd, { level: solNetlink, name: netlinkGetStrictCheck, value: int32(1) });
    // A batch is one datagram, however long. Of its refusals the first matters; those that find the buffer full are no error.
    if (protocol === 'netfilter') setSocketOption(this.#fd, { level: solNetlink, name: netlinkNoEnobufs, value: int32(1) });
    setSocketOption(this.#fd, { level: solSocket, name: soReceiveTimeout, value: new Uint8Array(BigInt64Array.of(BigInt(replyDeadlineSeconds), 0n).buffer) });
    const address = kernelAddress();
    bindSocket(this.#fd, address);
    readSocketName(this.#fd, address);
    this.#portId = address.readUInt32LE(4);
  }

  /** By which the kernel's events name the socket that asked for a change. */
  get portId(): number {
    return this.#portId;
  }

  request(requests: readonly NetlinkRequest[]): NetlinkMessage[][] {
    return requireAnswers(this.tryRequest(requests));
  }

  tryRequest(requests: readonly NetlinkRequest[]): (NetlinkMessage[] | NetlinkError)[] {
    if (requests.some((request) => request.isUnacknowledged === true)) return this.#exchange(requests);
    const outcomes: (NetlinkMessage[] | NetlinkError)[] = [];
    for (let at = 0; at < requests.length; at += requestsPerDatagram) outcomes.push(...this.#exchange(requests.slice(at, at + requestsPerDatagram)));
    return outcomes;
  }

  /**
   * As tryRequest() for one datagram of requests, with the kernel's work done on another thread. Until the promise is settled
   * the socket must not be used for anything else.
   */
  async tryRequestAside(requests: readonly NetlinkRequest[]): Promise<(NetlinkMessage[] | NetlinkError)[]> {
    const { first, bytes } = this.#encode(requests, flagRequest);
    await sendToAside(this.#fd, bytes, kernelAddress());
    return this.#collect(first, requests);
  }

  /** As request(), in the way of tryRequestAside(). */
  async requestAside(requests: readonly NetlinkRequest[]): Promise<NetlinkMessage[][]> {
    return requireAnswers(await this.tryRequestAside(requests));
  }

  /** Sends one datagram of requests and waits until each of them is answered. */
  #exchange(requests: readonly NetlinkRequest[]): (NetlinkMessage[] | NetlinkError)[] {
    return this.#collect(this.#send(requests, flagRequest), requests);
  }

  /**
   * The answers to the requests, the first of which was sent with this sequence number. The last that is acknowledged ends them: the
   * kernel answers in order, and refusals also where no acknowledgement was asked for.
   */
  #collect(first: number, requests: readonly NetlinkRequest[]): (NetlinkMessage[] | NetlinkError)[] {
    const outcomes: (NetlinkMessage[] | NetlinkError)[] = requests.map(() => []);
    const last = acknowledgedOf(requests);
    for (let isComplete = last < 0; !isComplete;) {
      for (const message of this.#receive(first)) {
        const index = message.sequence - first;
        const request = requests[index];
        const outcome = outcomes[index];
        if (request === undefined || !Array.isArray(outcome)) continue;
        if (message.type !== nlmsgError) {
          outcome.push(message);
          continue;
        }
        const refusal = decodeAcknowledgement(message, request.what);
        // It speaks for the whole batch: nothing of it was done, and nothing else need be answered.
        if (request.isUnacknowledged === true && refusal !== undefined) {
          this.#drain();
          throw refusal;
        }
        if (refusal !== undefined && request.tolerated?.includes(refusal.errnoCode) !== true) outcomes[index] = refusal;
        isComplete ||= index === last;
      }
    }
    return outcomes;
  }

  /** Further refusals of a batch would leave the next answer no room. */
  #drain(): void {
    while (waitReadable(this.#fd, 0)) this.#receive(this.#sequence);
  }

  dump(request: NetlinkRequest): NetlinkMessage[] {
    for (let attempt = 0; attempt < dumpAttemptsMax; attempt += 1) {
      const messages = this.#dumpOnce(request);
      if (messages !== undefined) return messages;
    }
    throw new WeftError('tryAgainLater', `Cannot ${request.what}: the table changed during each of ${dumpAttemptsMax} readings`);
  }

  close(): void {
    closeSocket(this.#fd);
  }

  /** One reading of a table; undefined when it changed in between (NLM_F_DUMP_INTR) and may miss entries. */
  #dumpOnce(request: NetlinkRequest): NetlinkMessage[] | undefined {
    const first = this.#send([request], flagRequest | flagDump);
    const messages: NetlinkMessage[] = [];
    for (;;) {
      messages.push(...this.#receive(first));
      const end = messages.findIndex((message) => message.type === nlmsgError || message.type === nlmsgDone);
      if (end < 0) continue;
      const refusal = decodeAcknowledgement(messages[end] as NetlinkMessage, request.what);
      if (refusal !== undefined && refusal.errnoCode !== 'EINTR') throw refusal;
      const isInterrupted = refusal !== undefined || messages.some((message) => (message.flags & flagDumpInterrupted) !== 0);
      return isInterrupted ? undefined : messages.slice(0, end);
    }
  }

  /** Sends the requests as one datagram; returns the sequence number of the first. */
  #send(requests: readonly NetlinkRequest[], flags: number): number {
    const { first, bytes } = this.#encode(requests, flags);
    sendTo(this.#fd, bytes, kernelAddress());
    return first;
  }

  #encode(requests: readonly NetlinkRequest[], flags: number): { first: number; bytes: Buffer } {
    const first = this.#sequence;
    this.#sequence += requests.length;
    const last = acknowledgedOf(requests);
    const parts = requests.map((request, index) => encodeMessage({ ...request, flags: request.flags | flags | (index === last ? flagAck : 0) }, first + index));
    return { first, bytes: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts) };
  }

  /** The next datagram's messages that answer a request from `first` on; what somebody else sent is dropped. */
  #receive(first: number): NetlinkMessage[] {
    const sender = kernelAddress();
    let length: number;
    try {
      length = receiveFrom(this.#fd, receiveBuffer, sender);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== 'EAGAIN') throw error;
      throw new WeftError('tryAgainLater', `The kernel did not answer a netlink request within ${replyDeadlineSeconds} s`, { cause: error });
    }
    if (length > receiveBuffer.length) throw new WeftError('internal', `A netlink reply of ${length} bytes does not fit the buffer`);
    // Any process may send to our port id: only the kernel's own port is 0.
    if (sender.readUInt32LE(4) !== 0) return [];
    return decodeMessages(receiveBuffer.subarray(0, length)).filter((m) => m.portId === this.#portId && m.sequence >= first);
  }
}

/** The answers to requests, all of which must have been carried out. @throws NetlinkError of the first that was refused */
export function requireAnswers(outcomes: readonly (NetlinkMessage[] | NetlinkError)[]): NetlinkMessage[][] {
  return outcomes.map((outcome) => {
    if (outcome instanceof NetlinkError) throw outcome;
    return outcome;
  });
}

/** Position of the request that is acknowledged: the last one may be. */
function acknowledgedOf(requests: readonly NetlinkRequest[]): number {
  return requests.findLastIndex((request) => request.isUnacknowledged !== true);
}

function kernelAddress(): Buffer {
  const address = Buffer.alloc(addressBytes);
  address.writeUInt16LE(afNetlink, 0);
  return address;
}

/** The refusal in an NLMSG_ERROR or NLMSG_DONE, or undefined where it says that all went well. */
function decodeAcknowledgement(message: NetlinkMessage, what: string): NetlinkError | undefined {
  const errno = message.payload.length >= 4 ? -message.payload.readInt32LE(0) : 0;
  if (errno === 0) return undefined;
  if ((message.flags & flagAckTlvs) === 0) return new NetlinkError(what, errno);
  // struct nlmsgerr: the errno, the request's header, the request's payload unless it was left out, then the attributes.
  const request = (message.flags & flagCapped) !== 0 ? 16 : message.payload.readUInt32LE(4);
  const offset = message.type === nlmsgError ? 4 + ((request + 3) & ~3) : 4;
  return new NetlinkError(what, errno, decodeString(decodeAttributes(message.payload, offset).get(ackExplanation)));
}

/** Carries out requests, taking refusals with the given errno names for done. @throws NetlinkError for any other */
export function requestTolerating(netlink: Netlink, requests: readonly NetlinkRequest[], ...codes: readonly string[]): void {
  for (const outcome of netlink.tryRequest(requests)) {
    if (isWeftError(outcome) && !codes.includes(outcome.errnoCode)) throw outcome;
  }
}
