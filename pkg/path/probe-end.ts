/**
 * This node's end of the underlay's probes: one UDP socket at a VTEP's address. It asks the ends of other nodes, and answers theirs.
 *
 * Nobody but a known peer is answered, from its VTEP and the same port, so many times a second, and with less than was asked. What a router says of
 * a packet that was too big is believed only where it quotes the probe's nonce, which nobody off the path knows (RFC 8899 §4.6).
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import { startTimer } from '../sys/timer.ts';
import { watchReadable, type Watch } from '../sys/wait.ts';
import type { UdpAddress } from '../sys/socket-address.ts';
import { openWholeUdp, type UdpDatagram, type UdpError, type WholeUdp } from '../sys/whole-udp.ts';
import { decodeMessage, encodeAnswer, encodeQuestion, headerBytes, messageBytesMax, quotedNonce, type Answer } from './message.ts';
import type { Probe, ProbeOutcome, Prober } from './prober.ts';
import { TokenBucket, type Rate } from './token-bucket.ts';

export interface ProbeEndOptions {
  /** This node's VTEP, and `path.port`, which is that of the peers as well. */
  readonly at: UdpAddress;
  /** This node's name. */
  readonly node: () => string;
  /** Whether it is the VTEP of another node of some tenant that is here. */
  readonly isPeer: (address: Address) => boolean;
  /** A peer's daemon is there: it has asked. */
  readonly onAsked?: (peer: Address) => void;
  /** A peer says what its node is called. */
  readonly onNamed?: (peer: Address, node: string) => void;
  /** How many questions of one peer are answered; default: answersOfPeer. */
  readonly rate?: Rate;
}

/** A search takes some 80 questions within a second or two. */
export const answersOfPeer: Rate = { perSecond: 100, burst: 300 };

/** More than there are nodes. */
const ratesMax = 10_000;
/** Readings in one turn of the event loop; the rest of the process has its turn then. */
const readingsPerTurn = 8;

interface Waiting {
  readonly peer: Address;
  readonly packetBytes: number;
  readonly settle: (outcome: ProbeOutcome) => void;
  readonly sentAt: number;
}

/** An open end; it keeps the process alive until it is closed. */
export class ProbeEnd implements Prober {
  readonly way = 'underlay';
  readonly #options: ProbeEndOptions;
  readonly #socket: WholeUdp;
  readonly #watch: Watch;
  /** By nonce. */
  readonly #waiting = new Map<string, Waiting>();
  /** By peer; others have none. */
  readonly #rates = new Map<string, TokenBucket>();

  /** Opens it in the thread's network namespace. @throws SystemCallError, such as EADDRINUSE and EADDRNOTAVAIL */
  constructor(options: ProbeEndOptions) {
    this.#options = options;
    this.#socket = openWholeUdp(options.at, { dataBytes: messageBytesMax });
    this.#watch = watchReadable(this.#socket.fd, () => this.#read());
  }

  /** Of the peer's family; another one is silent. */
  probe({ peer, packetBytes, deadlineMs }: Probe): Promise<ProbeOutcome> {
    const { at } = this.#options;
    const nonce = randomBytes(16).toString('hex');
    return new Promise((resolve) => {
      if (peer.family !== at.address.family) return resolve({ kind: 'silent' });
      const cancel = startTimer(deadlineMs, () => this.#expire(nonce));
      const settle = (outcome: ProbeOutcome): void => {
        this.#waiting.delete(nonce);
        cancel();
        resolve(outcome);
      };
      this.#waiting.set(nonce, { peer, packetBytes, settle, sentAt: performance.now() });
      const sent = this.#socket.send(encodeQuestion(nonce, packetBytes - headerBytes[peer.family]), { address: peer, port: at.port });
      if (sent.kind === 'tooBig') settle({ kind: 'tooBig' });
      else if (sent.kind === 'refused') settle({ kind: 'silent' });
    });
  }

  /** Ends it; what waits is silent. */
  close(): void {
    this.#watch.close();
    this.#socket.close();
    for (const { settle } of [...this.#waiting.values()]) settle({ kind: 'silent' });
  }

  /** A process that was busy is late with its timers and with its reading: what has come by now has come in time. */
  #expire(nonce: string): void {
    this.#read();
    this.#waiting.get(nonce)?.settle({ kind: 'silent' });
  }

  #read(): void {
    for (const error of this.#socket.receiveErrors()) this.#noteError(error);
    for (let reading = 0; reading < readingsPerTurn; reading += 1) {
      const datagrams = this.#socket.receive();
      for (const datagram of datagrams) this.#note(datagram);
      if (datagrams.length === 0) return;
    }
  }

  #note({ from, data, wholeBytes }: UdpDatagram): void {
    const { at, isPeer, onAsked } = this.#options;
    if (from.port !== at.port) return;
    const message = decodeMessage(data, wholeBytes);
    if (message === undefined || !isPeer(from.address)) return;
    if (message.kind === 'answer') return this.#noteAnswer(from.address, message);
    if (this.#isAllowed(from.address)) this.#socket.send(encodeAnswer({ nonce: message.nonce, receivedBytes: wholeBytes, node: this.#options.node() }), from);
    onAsked?.(from.address);
  }

  #noteAnswer(from: Address, { nonce, receivedBytes, node }: Answer): void {
    const waiting = this.#waiting.get(nonce);
    if (waiting === undefined || formatAddress(waiting.peer) !== formatAddress(from)) return;
    this.#options.onNamed?.(from, node);
    if (receivedBytes === waiting.packetBytes - headerBytes[from.family]) waiting.settle({ kind: 'answered', milliseconds: performance.now() - waiting.sentAt });
  }

  #noteError({ quoted, errno, mtuBytes }: UdpError): void {
    const waiting = this.#waiting.get(quotedNonce(quoted) ?? '');
    if (waiting === undefined) return;
    const isSensible = mtuBytes >= headerBytes[waiting.peer.family] && mtuBytes < waiting.packetBytes;
    if (errno === constants.errno.EMSGSIZE) waiting.settle({ kind: 'tooBig', ...(isSensible ? { mtuBytes } : {}) });
    // The port is closed, or the way is: no answer will come.
    else waiting.settle({ kind: 'silent' });
  }

  #isAllowed(peer: Address): boolean {
    const key = formatAddress(peer);
    const bucket = this.#rates.get(key) ?? new TokenBucket(this.#options.rate ?? answersOfPeer);
    // Peers come and go; whoever is forgotten here has his burst once more.
    if (this.#rates.size >= ratesMax) this.#rates.clear();
    this.#rates.set(key, bucket);
    return bucket.take(performance.now());
  }
}
