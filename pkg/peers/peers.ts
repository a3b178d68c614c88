/**
 * The channel between the daemons of two nodes: TLS over TCP, both ends authenticated by a key that all nodes have or by
 * certificates; questions of JSON, and answers.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { MigrationConf } from '../config/migration-conf.ts';
import { isWeftError, WeftError } from '../errors/weft-error.ts';
import type { Log } from '../log/log.ts';
import { formatAddress, parseAddress, type Address } from '../netaddr/netaddr.ts';
import { startInterval, startTimer, withDeadline } from '../sys/timer.ts';
import { readCredentials, type Credentials } from './credentials.ts';
import { Doorkeeper } from './doorkeeper.ts';
import { channelLimits, type ChannelLimits } from './limits.ts';
import { Link, type PeerHandler } from './link.ts';
import type { JsonValue } from './message.ts';
import { RefusalLog } from './refusal-log.ts';
import { describeTlsError, isTlsError } from './tls-errors.ts';

export { channelLimits, type ChannelLimits } from './limits.ts';
export type { Peer, PeerHandler } from './link.ts';
export type { JsonValue } from './message.ts';

export interface PeerChannelParts {
  readonly conf: Pick<MigrationConf, 'authentication' | 'port'>;
  /** This node's name. */
  readonly node: string;
  readonly handler: PeerHandler;
  readonly log: Log;
  /** Absent: those of every weft. */
  readonly limits?: Partial<ChannelLimits>;
}

/** After how many milliseconds, all in all, nobody waits for an answer any more. */
export interface AskOptions {
  readonly deadlineMs: number;
}

/** The kernel asks a silent connection for a sign of life; ten without an answer, a second apart (libuv, uv_tcp_keepalive()), are its end. */
const keepAliveMs = 10_000;

/** How often a connection that is kept open is used. Of silenceMs: three times before it would count as silent. */
const keepOpenShare = 0.3;

/**
 * This node's end of the channel. Connections are made when they are needed, serve both directions, and are kept for a
 * while. A changed configuration takes a new one: close() this, and then open that, for both have the same port.
 */
export class PeerChannel {
  readonly #parts: PeerChannelParts;
  readonly #limits: ChannelLimits;
  readonly #refusals: RefusalLog;
  /** By the other end's address; those that have not greeted yet are among them. */
  readonly #links = new Map<string, Set<Link>>();
  readonly #dialling = new Map<string, Promise<Link>>();
  /** Connections that this node makes. */
  readonly #dialled = new Set<TLSSocket>();
  /** What ends keeping connections open. */
  readonly #kept = new Set<() => void>();
  /** Connections whose ends know each other. */
  #count = 0;
  #credentials: Promise<Credentials> | undefined;
  #door: Doorkeeper | undefined;
  #address: Address | undefined;
  #isClosed = false;

  constructor(parts: PeerChannelParts) {
    this.#parts = parts;
    this.#limits = { ...channelLimits, ...parts.limits };
    this.#refusals = new RefusalLog(parts.log, this.#limits.reportMs);
  }

  /** Connections that are open, or that this node is making. */
  get connections(): number {
    return this.#count + this.#dialled.size;
  }

  /**
   * Answers other nodes from now on; what this node asks leaves from the same address.
   * @throws WeftError ioFailure (the address or the port is not to be had, a file cannot be read), invalidConfiguration (a file cannot be used)
   */
  async listen(address: Address, port: number = this.#parts.conf.port): Promise<void> {
    const { server } = await this.#readCredentials();
    if (this.#isClosed) throw closedError();
    const door = new Doorkeeper({
      options: server,
      limits: this.#limits,
      refusals: this.#refusals,
      authenticated: () => this.connections,
      welcome: (socket, from) => this.#adopt(socket, addressOf(from)).opened,
    });
    await door.listen(address, port);
    if (this.#isClosed) return door.close();
    this.#door = door;
    this.#address = address;
  }

  /**
   * Asks another node.
   * @throws WeftError what its handler threw; tryAgainLater where it cannot be reached, its answer is late, or the connection was lost, and then
   * nobody knows whether it has done what it was asked; invalidConfiguration where the two do not know each other, or a file cannot be used;
   * ioFailure where a file cannot be read
   */
  async ask(peer: Address, body: JsonValue, { deadlineMs }: AskOptions): Promise<JsonValue> {
    const until = performance.now() + deadlineMs;
    for (;;) {
      if (this.#isClosed) throw closedError();
      // Nothing happens between the two: a connection that is usable now takes the question.
      const leftMs = until - performance.now();
      const link = this.#usable(peer);
      if (link !== undefined) return link.ask(body, { deadlineMs, leftMs });
      const reached = await withDeadline(this.#dialOnce(peer), { ms: leftMs, late: () => undefined });
      if (reached === undefined) throw new WeftError('tryAgainLater', `the node at ${formatAddress(peer)} could not be reached within ${deadlineMs} ms`);
      // Others who waited for it may have filled it; otherwise there is no sense in another one.
      if (reached.isClosed) throw new WeftError('tryAgainLater', `the node at ${formatAddress(peer)} closed the connection`);
    }
  }

  /**
   * Keeps a connection with another node open, so that a question need not wait for one; where it cannot, it tries again and again.
   * @returns what ends that; may be repeated
   */
  keepOpen(peer: Address): () => void {
    const look = (): void => {
      // Who asks hears what is wrong; here it is only tried.
      (this.#usable(peer)?.ping() ?? this.#dialOnce(peer)).catch(() => undefined);
    };
    look();
    const end = startInterval(this.#limits.silenceMs * keepOpenShare, look);
    const stop = (): void => {
      end();
      this.#kept.delete(stop);
    };
    this.#kept.add(stop);
    return stop;
  }

  /** Whether the other node's daemon has been there until now: a question to it need not wait for a connection. */
  isConnected(peer: Address): boolean {
    return this.#usable(peer) !== undefined;
  }

  /** Ends everything; whoever waits for an answer hears so. Nothing can be asked any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of [...this.#kept]) stop();
    for (const links of this.#links.values()) for (const link of [...links]) link.close();
    for (const socket of this.#dialled) socket.destroy();
    await this.#door?.close();
    this.#refusals.flush();
  }

  #usable(peer: Address): Link | undefined {
    return this.#links.get(formatAddress(peer))?.values().find(({ isUsable }) => isUsable);
  }

  /** However many want to ask, one connection is made. */
  async #dialOnce(peer: Address): Promise<Link> {
    const key = formatAddress(peer);
    const running = this.#dialling.get(key) ?? this.#dial(peer).finally(() => this.#dialling.delete(key));
    this.#dialling.set(key, running);
    return running;
  }

  async #dial(peer: Address): Promise<Link> {
    const { client } = await this.#readCredentials();
    if (this.#isClosed) throw closedError();
    const { connectionsMax, handshakeMs } = this.#limits;
    if (this.connections >= connectionsMax) throw new WeftError('tryAgainLater', `${connectionsMax} connections with other nodes are open`);
    const local = this.#address?.family === peer.family ? { localAddress: formatAddress(this.#address) } : {};
    const socket = connect({ ...client, ...local, host: formatAddress(peer), port: this.#parts.conf.port });
    const stop = startTimer(handshakeMs, () => socket.destroy(new WeftError('tryAgainLater', `the node at ${formatAddress(peer)} did not greet within ${handshakeMs} ms`)));
    this.#dialled.add(socket);
    try {
      await securing(socket, peer);
      socket.setNoDelay(true);
      const link = this.#adopt(socket, peer);
      await link.opened;
      return link;
    } catch (error) {
      if (!isWeftError(error, 'tryAgainLater') || error.details !== '') throw error;
      throw new WeftError('tryAgainLater', error.message, { details: 'Perhaps it does not know this node: its log says why.' });
    } finally {
      stop();
      this.#dialled.delete(socket);
    }
  }

  /** A connection that is authenticated. */
  #adopt(socket: TLSSocket, address: Address): Link {
    socket.setKeepAlive(true, keepAliveMs);
    const { node, handler, log } = this.#parts;
    const key = formatAddress(address);
    const link = new Link({ socket, address, node, handler, limits: this.#limits, onClose: (fault) => this.#forget(link, fault) });
    this.#links.set(key, (this.#links.get(key) ?? new Set()).add(link));
    link.opened.then(() => {
      this.#count += 1;
      log.debug({ node: link.node, address: key }, 'a connection with another node is open');
    }, () => undefined);
    return link;
  }

  #forget(link: Link, fault: string | undefined): void {
    const key = formatAddress(link.address);
    const links = this.#links.get(key);
    links?.delete(link);
    if (links?.size === 0) this.#links.delete(key);
    // Of one that has not greeted the doorkeeper says it, or whoever wanted to ask.
    if (link.node === '') return;
    this.#count -= 1;
    if (fault !== undefined) this.#refusals.note(key, fault);
    this.#parts.log.debug({ node: link.node, address: key }, 'a connection with another node is closed');
  }

  /** A file that cannot be used is looked at again the next time. */
  async #readCredentials(): Promise<Credentials> {
    this.#credentials ??= readCredentials(this.#parts.conf.authentication).catch((error: unknown) => {
      this.#credentials = undefined;
      throw error;
    });
    return this.#credentials;
  }
}

/** Fulfilled when the other end is authenticated. */
async function securing(socket: TLSSocket, peer: Address): Promise<void> {
  const address = formatAddress(peer);
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', (error) => reject(connectError(error, address)));
    socket.once('close', () => reject(new WeftError('tryAgainLater', `the node at ${address} closed the connection`)));
  });
}

function connectError(error: Error, address: string): WeftError {
  if (error instanceof WeftError) return error;
  if (isTlsError(error)) {
    return new WeftError('invalidConfiguration', `the node at ${address} and this one do not know each other: ${describeTlsError(error)}`, {
      details: 'migration in weft.yaml must have the same key, or certificates of the same authority, on all nodes.',
    });
  }
  return new WeftError('tryAgainLater', `the node at ${address} cannot be reached`, { details: 'Is its weft daemon running, with migration in its weft.yaml?', cause: error });
}

function closedError(): WeftError {
  return new WeftError('tryAgainLater', 'the channel to other nodes is closed');
}

/** As the kernel tells it; IPv4 on a socket of IPv6 is IPv4. */
function addressOf(text: string): Address {
  return parseAddress(text.replace(/^::ffff:(?=[\d.]+$)/, '').replace(/%.*$/, ''));
}
