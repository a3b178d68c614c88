/**
 * A connection to a switch: OpenFlow 1.3 over the management socket that Open vSwitch opens for every bridge (`RUNDIR/<bridge>.mgmt`).
 *
 * An OpenFlow switch answers few requests: it does what it is told and speaks up only when it refuses. So requests are sent in exchanges
 * whose last request is one that is answered; when that answer is there, everything before it has been done or has been refused.
 * Exchanges of different callers are under way at the same time, and what is asked for within one turn of the event loop is written at once.
 *
 * A connection that ended stays so: whoever needs a new one reads the flows again, which a restart of the switch has emptied.
 */
import { connect, type Socket } from 'node:net';
import { startTimer, withDeadline } from '../sys/timer.ts';
import { decodeEvent, type SwitchEvent } from './event.ts';
import { Exchange, type ExchangeSettings, type Outcome } from './exchange.ts';
import { decodeFeatures, encodeRequest, featuresRequest, hello, MessageDecoder, messageTypes, openFlow13, requireSendable, setConfig, speaksOpenFlow13, type Message, type Request, type SwitchFeatures } from './message.ts';
import { OpenFlowError } from './openflow-error.ts';
import { wholePacket } from './action.ts';

/** How a connection is used. */
export interface ConnectionOptions {
  /** Called with what the switch says unasked; without it, the switch is not asked for events. It must not throw. */
  readonly onEvent?: (event: SwitchEvent) => void;
  /** How long the greeting, and any exchange that names no deadline of its own, may take. Default: 5000 ms. */
  readonly deadlineMs?: number;
}

/** How one exchange is carried out. */
export interface ExchangeOptions extends Pick<ExchangeSettings, 'onPart' | 'followUp'> {
  /** For the whole of it. Default: the connection's. */
  readonly deadlineMs?: number | undefined;
}

const deadlineMsDefault = 5000;
/** Messages are written in pieces of about so many bytes: as much as a socket takes in one go. */
const writeBytes = 64 * 1024;

/** What stands between opening the socket and the first exchange. */
interface Greeting {
  readonly resolve: (greeting: Message) => void;
  readonly reject: (error: unknown) => void;
}

/** A connection; see openConnection(). */
export class OpenFlowConnection {
  /** Fulfilled with the reason when the connection has ended, whoever ended it. */
  readonly ended: Promise<OpenFlowError>;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #deadlineMs: number;
  readonly #onEvent: ((event: SwitchEvent) => void) | undefined;
  readonly #decoder = new MessageDecoder();
  readonly #exchanges = new Set<Exchange>();
  readonly #resolveEnded: (reason: OpenFlowError) => void;
  #features: SwitchFeatures = { datapathId: 0n, tables: 0 };
  #greeting: Greeting | undefined;
  #reason: OpenFlowError | undefined;
  #nextXid = 1;
  #nextBundle = 1;
  #wakeWriters: (() => void)[] = [];
  #isCorked = false;

  /** The socket may be connecting still. */
  constructor(socket: Socket, path: string, { onEvent, deadlineMs = deadlineMsDefault }: ConnectionOptions) {
    this.#socket = socket;
    this.#path = path;
    this.#onEvent = onEvent;
    this.#deadlineMs = deadlineMs;
    const { promise, resolve } = Promise.withResolvers<OpenFlowError>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#wake());
    socket.on('error', (error) => this.#end(new OpenFlowError('lost', `The connection to the switch at ${path} failed`, { cause: error })));
    socket.on('close', () => this.#end(new OpenFlowError('lost', `The switch at ${path} closed the connection`)));
  }

  /** What the switch said of itself. */
  get features(): SwitchFeatures {
    return this.#features;
  }

  /** A number that no other bundle of this connection has. */
  nextBundle(): number {
    return this.#nextBundle++;
  }

  /**
   * Sends requests in their order and waits for the answer to the last, which must be one that is answered.
   * @returns also where requests were refused: the others were done
   * @throws OpenFlowError of which `isOutcomeUnknown` holds, when the connection ends first, the deadline passes, or the answer cannot be
   * read; `absent`, and nothing was sent, when the connection had ended before
   * @throws RangeError, and nothing was sent, when a request is longer than a message can be
   */
  async exchange(requests: readonly Request[], { deadlineMs = this.#deadlineMs, onPart, followUp }: ExchangeOptions = {}): Promise<Outcome> {
    if (this.#reason !== undefined) throw new OpenFlowError('absent', `Cannot ${requests[0]?.describe()}: ${lowerFirst(this.#reason.message)} before`, { cause: this.#reason.cause });
    requests.forEach(requireSendable);
    const firstXid = this.#takeXids(requests.length + 1);
    const send = (request: Request, xid: number): void => void this.#writeNow(encodeRequest(request, xid));
    const exchange = new Exchange(requests, { firstXid, onPart, followUp, send });
    this.#exchanges.add(exchange);
    const late = (): void => exchange.fail(new OpenFlowError('late', `Cannot ${exchange.describe()}: the switch at ${this.#path} did not answer within ${deadlineMs} ms`));
    const stop = startTimer(deadlineMs, late);
    try {
      // A failure to write ends the connection, and so the exchange.
      void this.#write(requests, { firstXid, exchange });
      return await exchange.outcome;
    } finally {
      stop();
      this.#exchanges.delete(exchange);
    }
  }

  /** Ends the connection. What is under way is rejected. May be repeated. */
  close(): void {
    this.#end(new OpenFlowError('lost', `The connection to the switch at ${this.#path} was closed`));
  }

  /** The connection alone keeps the process alive no longer. */
  unref(): void {
    this.#socket.unref();
  }

  /** Exchanges greetings and learns what the switch can do. For openConnection(). @throws OpenFlowError */
  async greet(): Promise<void> {
    const greeting = await withDeadline(this.#exchangeGreetings(), { ms: this.#deadlineMs, late: () => undefined });
    if (greeting === undefined) throw new OpenFlowError('absent', `The switch at ${this.#path} did not greet within ${this.#deadlineMs} ms`);
    if (greeting.type !== messageTypes.hello || !speaksOpenFlow13(greeting)) throw new OpenFlowError('absent', `The switch at ${this.#path} does not speak OpenFlow 1.3`);
    const asksForEvents = this.#onEvent === undefined ? [] : [setConfig({ missSendBytes: wholePacket })];
    const { answer } = await this.exchange([...asksForEvents, featuresRequest()]);
    if (answer === undefined) throw new OpenFlowError('absent', `The switch at ${this.#path} does not say what it can do`);
    this.#features = decodeFeatures(answer.body);
  }

  #exchangeGreetings(): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.#greeting = { resolve, reject };
    this.#socket.write(encodeRequest(hello(), 0));
    return promise;
  }

  /** Numbers in a row. After 2^32 they begin again; 0 is the switch's own. */
  #takeXids(count: number): number {
    if (this.#nextXid + count > 0xffffffff) this.#nextXid = 1;
    const first = this.#nextXid;
    this.#nextXid += count;
    return first;
  }

  /**
   * Writes no more than the socket takes: what a slow switch has not read is not kept in memory, and other exchanges get in between.
   * What nobody waits for any more is not sent: it would come into force when its sender has long done something else.
   */
  async #write(requests: readonly Request[], { firstXid, exchange }: { readonly firstXid: number; readonly exchange: Exchange }): Promise<void> {
    let piece: Buffer[] = [];
    let bytes = 0;
    for (const [index, request] of requests.entries()) {
      const encoded = encodeRequest(request, firstXid + index);
      piece.push(encoded);
      bytes += encoded.length;
      if (bytes < writeBytes) continue;
      if (!this.#writeNow(Buffer.concat(piece))) await this.#drained();
      if (exchange.isOver) return;
      [piece, bytes] = [[], 0];
    }
    this.#writeNow(Buffer.concat(piece));
  }

  /** @returns whether the socket takes more */
  #writeNow(bytes: Buffer): boolean {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    return this.#socket.write(bytes);
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => this.#wakeWriters.push(resolve));
  }

  #wake(): void {
    const writers = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of writers) wake();
  }

  #receive(chunk: Buffer): void {
    try {
      for (const message of this.#decoder.push(chunk)) this.#take(message);
    } catch (error) {
      this.#end(new OpenFlowError('garbled', `What listens on ${this.#path} does not speak as a switch does`, { cause: error }));
    }
  }

  #take(message: Message): void {
    if (this.#greeting !== undefined) {
      this.#greeting.resolve(message);
      this.#greeting = undefined;
      return;
    }
    if (message.version !== openFlow13) throw new RangeError(`A message must be of version ${openFlow13}: current value is ${message.version}`);
    if (message.type === messageTypes.echoRequest) this.#writeNow(encodeRequest({ type: messageTypes.echoReply, body: message.body, describe: () => 'answer an echo' }, message.xid));
    const event = decodeEvent(message);
    if (event !== undefined) this.#onEvent?.(event);
    else this.#takeAnswer(message);
  }

  /** What comes after its exchange has ended is nobody's. */
  #takeAnswer(message: Message): void {
    for (const exchange of this.#exchanges) {
      if (!exchange.has(message.xid)) continue;
      if (exchange.take(message)) this.#exchanges.delete(exchange);
      return;
    }
  }

  #end(reason: OpenFlowError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#socket.destroy();
    this.#greeting?.reject(reason);
    for (const exchange of this.#exchanges) exchange.fail(new OpenFlowError(reason.failure, `Cannot ${exchange.describe()}: ${lowerFirst(reason.message)}`, { cause: reason.cause }));
    this.#exchanges.clear();
    this.#wake();
    this.#resolveEnded(reason);
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/**
 * Connects to a switch and greets it.
 * @throws OpenFlowError `absent` where nobody listens, or not for OpenFlow 1.3, or does not greet in time
 */
export async function openConnection(path: string, options: ConnectionOptions = {}): Promise<OpenFlowConnection> {
  const connection = new OpenFlowConnection(connect({ path }), path, options);
  try {
    await connection.greet();
    return connection;
  } catch (error) {
    connection.close();
    if (error instanceof OpenFlowError && error.failure === 'absent') throw error;
    throw new OpenFlowError('absent', `Cannot open a connection to the switch at ${path}`, { cause: error });
  }
}
