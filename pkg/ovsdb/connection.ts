/**
 * One connection to an OVSDB server (RFC 7047 §4): requests with their answers, and notifications. It lives once; what goes on
 * when it is lost is OvsdbSession's business.
 *
 * Requests of one turn of the event loop leave together, and are answered in any order. Every one has a deadline, and is settled
 * when the connection ends, by then in the only honest way: nobody knows what became of it.
 */
import { connect, type Socket } from 'node:net';
import { nextTurn, startInterval, startTimer } from '../sys/timer.ts';
import { MessageSplitter } from './framing.ts';
import { decodeMessage, encodeRequest, encodeResponse, type Message } from './message.ts';
import type { Operation } from './operations.ts';
import { isOvsdbError, OvsdbError } from './ovsdb-error.ts';
import { checkResults, refusalOf, type OperationResult } from './results.ts';

/** What the owner of a connection is told, each within the event that brought it. */
export interface ConnectionHandlers {
  /** Another notification than those the connection answers itself. An OvsdbError thrown here ends the connection. */
  readonly onNotification: (method: string, params: readonly unknown[]) => void;
  /** The connection has ended, once, before any request that is still open is settled. */
  readonly onClose: (reason: OvsdbError) => void;
}

/** How to connect. */
export interface ConnectionOptions extends ConnectionHandlers {
  /** How long, in milliseconds, the server may be silent before it is asked for a sign of life, and how long it has for that. @default 5000 */
  readonly probeMs?: number;
}

/** A deadline for one request. */
export interface RequestOptions {
  /** In milliseconds from now. */
  readonly deadlineMs: number;
}

/** ovsdb-server's own default for its clients (`inactivity_probe`). */
const probeMsDefault = 5000;
/** How many requests may wait for answers; more is a fault of the caller, and would only fill memory. */
const requestsMax = 4096;

/** What is asked of the server. */
export interface OvsdbRequest extends RequestOptions {
  readonly method: string;
  readonly params: readonly unknown[];
}

/** Where the answer to a request goes; called within the event that brought it, before any later message is looked at. */
export interface Settlement {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Pending extends Settlement {
  readonly method: string;
  readonly stopTimer: () => void;
}

/** Begins to connect to the Unix socket of a server; greet() says whether it stands. */
export function startConnection(path: string, options: ConnectionOptions): OvsdbConnection {
  return new OvsdbConnection(connect({ path }), options);
}

/** A connection, from startConnection() to close(). */
export class OvsdbConnection {
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #pending = new Map<number, Pending>();
  readonly #splitter = new MessageSplitter();
  readonly #stopProbe: () => void;
  #nextId = 1;
  #isOpen = true;
  #isCorked = false;
  #isWanted = false;
  #hasHeard = true;
  #isProbed = false;

  constructor(socket: Socket, { probeMs = probeMsDefault, ...handlers }: ConnectionOptions) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(new OvsdbError('unavailable', 'The connection to the OVSDB server failed', { cause: error })));
    socket.on('close', () => this.#end(new OvsdbError('unavailable', 'The OVSDB server ended the connection')));
    this.#stopProbe = startInterval(probeMs, () => this.#probe());
  }

  /** False from the moment it has ended. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether the connection keeps the process alive also while no request is open. @default false */
  set isWanted(isWanted: boolean) {
    this.#isWanted = isWanted;
    this.#holdProcess();
  }

  /**
   * Waits until the connection stands and the server has answered for the first time.
   * @throws OvsdbError as request() does
   */
  async greet(options: RequestOptions): Promise<void> {
    try {
      // Without it the server ends the connection when a database is converted to another schema (ovsdb-server(7), 4.1.17).
      await this.request('set_db_change_aware', [true], options);
    } catch (error) {
      // One that does not know it has answered, too, which is what matters.
      if (!isOvsdbError(error, 'refused')) throw error;
    }
  }

  /**
   * Asks the server.
   * @returns the `result` of its answer
   * @throws OvsdbError unavailable (nothing was sent), outcomeUnknown (late, or the connection was lost), refused
   */
  request(method: string, params: readonly unknown[], { deadlineMs }: RequestOptions): Promise<unknown> {
    return new Promise((resolve, reject) => this.send({ method, params, deadlineMs }, { resolve, reject }));
  }

  /** As request(), for who must have the answer before the next message is looked at. What `resolve` throws ends the connection. */
  send({ method, params, deadlineMs }: OvsdbRequest, settlement: Settlement): void {
    const obstacle = !this.#isOpen ? 'the connection has ended' : this.#pending.size >= requestsMax ? `${requestsMax} requests wait for their answers` : undefined;
    if (obstacle !== undefined) return settlement.reject(new OvsdbError('unavailable', `Cannot send "${method}" to the OVSDB server: ${obstacle}`));
    const id = this.#nextId;
    this.#nextId += 1;
    const stopTimer = startTimer(deadlineMs, () => this.#giveUp(id, deadlineMs));
    this.#pending.set(id, { method, stopTimer, ...settlement });
    this.#holdProcess();
    this.#write(encodeRequest({ id, method, params }));
  }

  /**
   * Carries out a transaction: all operations or none.
   * @throws OvsdbError as request() does, and as checkResults() does
   */
  async transact(database: string, operations: readonly Operation[], options: RequestOptions): Promise<readonly OperationResult[]> {
    return checkResults(operations, await this.request('transact', [database, ...operations], options));
  }

  /** Ends the connection; what is open is settled. May be repeated. */
  close(reason: OvsdbError = new OvsdbError('unavailable', 'The connection to the OVSDB server was closed')): void {
    this.#end(reason);
  }

  #receive(chunk: Buffer): void {
    this.#hasHeard = true;
    try {
      for (const bytes of this.#splitter.push(chunk)) {
        if (this.#isOpen) this.#dispatch(decodeMessage(bytes));
      }
    } catch (error) {
      if (!isOvsdbError(error)) throw error;
      this.#end(error);
    }
  }

  #dispatch(message: Message): void {
    if (message.kind === 'response') return this.#settle(message);
    if (message.kind === 'notification') return this.#handlers.onNotification(message.method, message.params);
    const isEcho = message.method === 'echo';
    return this.#write(encodeResponse({ id: message.id, result: isEcho ? message.params : null, error: isEcho ? null : 'unknown method' }));
  }

  #settle({ id, result, error }: Extract<Message, { kind: 'response' }>): void {
    if (typeof id !== 'number' || id < 1 || id >= this.#nextId) throw new OvsdbError('garbled', `The OVSDB server answered a request that was never made: ${JSON.stringify(id)}`);
    const pending = this.#take(id);
    // Who asked has given up, and was told that the outcome is unknown.
    if (pending === undefined) return;
    if (error === null) pending.resolve(result);
    else pending.reject(refusalOf(error));
  }

  #giveUp(id: number, deadlineMs: number): void {
    const pending = this.#take(id);
    pending?.reject(new OvsdbError('outcomeUnknown', `The OVSDB server did not answer "${pending.method}" within ${deadlineMs} ms`));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.stopTimer();
    this.#holdProcess();
    return pending;
  }

  /** A server that is stopped, or whose host hangs, keeps its connections: only silence tells. */
  #probe(): void {
    if (this.#hasHeard) {
      this.#hasHeard = false;
      this.#isProbed = false;
      return;
    }
    if (this.#isProbed) return void this.#endUnlessHeard();
    this.#isProbed = true;
    // Any sign of life will do; the echo is what draws one. It has no deadline of its own, and holds no process.
    this.#write(encodeRequest({ id: this.#nextId, method: 'echo', params: [] }));
    this.#nextId += 1;
  }

  /** Where this process itself was held up, the sign of life is there and has only not been read. */
  async #endUnlessHeard(): Promise<void> {
    await nextTurn();
    if (!this.#hasHeard) this.#end(new OvsdbError('unavailable', 'The OVSDB server has fallen silent'));
  }

  /** Those of one turn of the event loop leave with one system call. */
  #write(message: string): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      void nextTurn().then(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(message);
  }

  #end(reason: OvsdbError): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stopProbe();
    this.#socket.destroy();
    this.#handlers.onClose(reason);
    for (const id of [...this.#pending.keys()]) {
      const pending = this.#take(id);
      pending?.reject(new OvsdbError('outcomeUnknown', `The connection to the OVSDB server was lost before it answered "${pending.method}"`, { cause: reason }));
    }
  }

  #holdProcess(): void {
    // A socket that is destroyed would remember each call for when it is connected.
    if (!this.#isOpen) return;
    if (this.#isWanted || this.#pending.size > 0) this.#socket.ref();
    else this.#socket.unref();
  }
}
