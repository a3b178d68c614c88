/** Where other nodes knock: everybody may connect, and nothing happens for whoever does not authenticate in time. */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { isWeftError, WeftError } from '../errors/weft-error.ts';
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import { startTimer } from '../sys/timer.ts';
import type { ChannelLimits } from './limits.ts';
import type { RefusalLog } from './refusal-log.ts';
import { describeTlsError } from './tls-errors.ts';

export interface DoorkeeperParts {
  readonly options: TlsOptions;
  readonly limits: ChannelLimits;
  readonly refusals: RefusalLog;
  /** Connections of the whole channel that are authenticated. */
  readonly authenticated: () => number;
  /**
   * Takes over who has authenticated. The place among the strangers is kept until the returned promise is fulfilled; where the
   * connection is over before, it is rejected with a WeftError that says why in its details, if that is known.
   */
  readonly welcome: (socket: TLSSocket, address: string) => Promise<void>;
}

/** A connection that is not authenticated yet. */
interface Stranger {
  readonly address: string;
  readonly stop: () => void;
  /** Why it is closed. */
  reason: string;
}

/** Connections that the kernel keeps until they are accepted (listen(2)). */
const backlog = 128;

/** Listens, and hands over who has authenticated. */
export class Doorkeeper {
  readonly #parts: DoorkeeperParts;
  readonly #server: Server;
  /** Does not listen itself: it is given connections when there is a place for them. */
  readonly #tls: ReturnType<typeof createTlsServer>;
  /** By the address and port that they come from. */
  readonly #strangers = new Map<string, Stranger>();
  readonly #sockets = new Set<Socket>();

  constructor(parts: DoorkeeperParts) {
    this.#parts = parts;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#tls = createTlsServer(parts.options, (socket) => this.#welcome(socket));
    this.#tls.on('tlsClientError', (error, socket) => {
      const stranger = this.#strangers.get(placeOf(socket));
      if (stranger !== undefined) stranger.reason = describeTlsError(error);
    });
  }

  /** @throws WeftError ioFailure where the address or the port is not to be had */
  async listen(address: Address, port: number): Promise<void> {
    const host = formatAddress(address);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => reject(new WeftError('ioFailure', `cannot listen on ${host}, TCP port ${port}, for other nodes: set migration.listen and migration.port to what is free on this node`, { cause })));
      this.#server.listen({ host, port, backlog }, resolve);
    });
    // For example EMFILE; the server goes on.
    this.#server.removeAllListeners('error').on('error', (error) => this.#parts.refusals.note('this node', error.message));
  }

  /** Listens no more, and closes on strangers. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    // What goes wrong is followed by the socket's end.
    socket.on('error', () => undefined);
    const { limits, refusals } = this.#parts;
    const address = socket.remoteAddress;
    // It has gone again already.
    if (address === undefined) return void socket.destroy();
    const refusal = this.#refusalOf(address);
    if (refusal !== undefined) {
      refusals.note(address, refusal);
      return void socket.resetAndDestroy();
    }
    const place = placeOf(socket);
    const stop = startTimer(limits.handshakeMs, () => {
      stranger.reason = `it did not authenticate within ${limits.handshakeMs} ms`;
      socket.destroy();
    });
    // TLS closes without a word on certificates that it does not trust.
    const reason = this.#parts.options.requestCert === true ? 'it showed no certificate of this authority' : 'it did not authenticate';
    const stranger: Stranger = { address, stop, reason };
    this.#strangers.set(place, stranger);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (this.#forget(place)) refusals.note(address, stranger.reason);
    });
    this.#tls.emit('connection', socket);
  }

  #refusalOf(address: string): string | undefined {
    const { limits, authenticated } = this.#parts;
    const strangers = this.#strangers.size;
    if (strangers + authenticated() >= limits.connectionsMax) return `${limits.connectionsMax} connections are open`;
    if (strangers >= limits.strangersMax) return `${strangers} connections have not authenticated yet`;
    const same = this.#strangers.values().filter((stranger) => stranger.address === address).toArray().length;
    return same >= limits.strangersPerAddressMax ? `${same} connections from there have not authenticated yet` : undefined;
  }

  #welcome(socket: TLSSocket): void {
    const place = placeOf(socket);
    const stranger = this.#strangers.get(place);
    const { options, welcome } = this.#parts;
    // TLS has closed on whoever shows no certificate; that it has not cannot be, and would be grave.
    if (stranger === undefined || (options.requestCert === true && !socket.authorized)) return void socket.destroy();
    stranger.reason = 'it did not greet';
    welcome(socket, stranger.address).then(
      () => this.#forget(place),
      (error: unknown) => {
        if (isWeftError(error) && error.details !== '') stranger.reason = error.details;
      },
    );
  }

  #forget(place: string): boolean {
    this.#strangers.get(place)?.stop();
    return this.#strangers.delete(place);
  }
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
