/** One connection with another node, whoever opened it: both ask, and answer when they can. */
import type { TLSSocket } from 'node:tls';
import { describeError, WeftError } from '../errors/weft-error.ts';
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import { startTimer } from '../sys/timer.ts';
import { encodeFrame, FrameDecoder, frameBytesMax } from './frame.ts';
import type { ChannelLimits } from './limits.ts';
import { channelVersion, errorOf, failureOf, parseMessage, type JsonValue, type Message } from './message.ts';
import { describeTlsError } from './tls-errors.ts';

/** Another node. */
export interface Peer {
  /** Where the connection comes from or goes to. */
  readonly address: Address;
  /** As it calls itself. Whoever is authenticated could call itself anything. */
  readonly node: string;
}

/**
 * Answers a question of another node. A WeftError that it throws is thrown to whoever asked; anything else arrives there as
 * a fault of weft's.
 */
export type PeerHandler = (body: JsonValue, from: Peer) => Promise<JsonValue>;

export interface LinkParts {
  /** Authenticated. */
  readonly socket: TLSSocket;
  readonly address: Address;
  /** This node's name. */
  readonly node: string;
  readonly handler: PeerHandler;
  readonly limits: ChannelLimits;
  /** Called once, at the end. @param fault what the other node did wrong, if it did */
  readonly onClose: (fault: string | undefined) => void;
}

interface Question {
  readonly resolve: (body: JsonValue) => void;
  readonly reject: (error: unknown) => void;
  readonly stop: () => void;
}

/** A connection that is almost silent for too long is not used: the other end may be closing it at this moment. Of silenceMs. */
const freshShare = 0.9;
/** Bytes that the other node has not fetched: more than all answers it can wait for. */
const backlogBytesMax = 2 * 64 * frameBytesMax;

/** A connection that TLS has authenticated; it is open when both have greeted. */
export class Link {
  readonly address: Address;
  /** Fulfilled when the other node has said who it is; rejected when the connection is over before. */
  readonly opened: Promise<void>;
  readonly #parts: LinkParts;
  readonly #decoder = new FrameDecoder();
  readonly #greeted = Promise.withResolvers<void>();
  /** By id; null: given up by whoever asked, and not answered yet. */
  readonly #questions = new Map<number, Question | null>();
  /** Ids of the other node's questions that are being answered. */
  readonly #answering = new Set<number>();
  #peer: Peer | undefined;
  #lastId = 0;
  #waiting = 0;
  #usedAt = performance.now();
  #heardAt = 0;
  /** A question was not answered in time, and nothing else has come since it was asked: the other node may be gone. */
  #isDoubtful = false;
  #isClosed = false;
  #stopWatching: () => void = () => undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.address = parts.address;
    this.opened = this.#greeted.promise;
    // Not everybody waits for it.
    this.opened.catch(() => undefined);
    const { socket, node } = parts;
    // What goes wrong is followed by the socket's end.
    socket.on('error', (error) => this.close(this.#peer === undefined ? describeTlsError(error) : undefined));
    socket.on('close', () => this.close());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#send({ kind: 'hello', version: channelVersion, node });
    this.#watchSilence();
  }

  /** The other node's name; empty before it has said it. */
  get node(): string {
    return this.#peer?.node ?? '';
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether a question may be asked on it now. */
  get isUsable(): boolean {
    const { silenceMs, questionsMax } = this.#parts.limits;
    const isFresh = performance.now() - this.#usedAt < silenceMs * freshShare;
    return this.#peer !== undefined && !this.#isClosed && !this.#isDoubtful && isFresh && this.#questions.size < questionsMax;
  }

  /** Asks. @param deadlineMs for messages: some of it may be over @throws WeftError as PeerChannel.ask() does */
  async ask(body: JsonValue, { deadlineMs, leftMs }: { readonly deadlineMs: number; readonly leftMs: number }): Promise<JsonValue> {
    const id = this.#lastId + 1;
    const frame = encodeQuestion(id, body);
    return this.#askIn(frame, { id, deadlineMs, leftMs });
  }

  /** Whether the other end is there: if not, that ends the connection. @throws WeftError */
  async ping(): Promise<void> {
    const { handshakeMs } = this.#parts.limits;
    const id = this.#lastId + 1;
    await this.#askIn(encodeFrame({ kind: 'ping', id } satisfies Message), { id, deadlineMs: handshakeMs, leftMs: handshakeMs });
  }

  async #askIn(frame: Buffer, { id, deadlineMs, leftMs }: { readonly id: number; readonly deadlineMs: number; readonly leftMs: number }): Promise<JsonValue> {
    this.#lastId = id;
    return new Promise((resolve, reject) => {
      const askedAt = performance.now();
      const stop = startTimer(leftMs, () => this.#giveUp(id, { askedAt, deadlineMs }));
      this.#questions.set(id, { resolve, reject, stop });
      this.#waiting += 1;
      this.#write(frame);
    });
  }

  /** Ends it; whoever waits hears so. May be repeated. @param fault what the other node did wrong */
  close(fault?: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopWatching();
    this.#parts.socket.destroy();
    const lost = new WeftError('tryAgainLater', `the connection with ${this.#description} was lost`, fault === undefined ? {} : { details: fault });
    this.#greeted.reject(lost);
    for (const id of [...this.#questions.keys()]) this.#settle(id)?.reject(lost);
    this.#parts.onClose(fault);
  }

  get #description(): string {
    const address = formatAddress(this.address);
    return this.#peer === undefined ? `the node at ${address}` : `node ${this.#peer.node} at ${address}`;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const value of this.#decoder.push(chunk)) {
        if (this.#isClosed) return;
        this.#take(parseMessage(value));
      }
    } catch (error) {
      this.close(describeError(error));
    }
  }

  /** @throws SyntaxError for what makes no sense here */
  #take(message: Message): void {
    this.#heardAt = this.#usedAt = performance.now();
    this.#isDoubtful = false;
    if (this.#peer === undefined) return this.#greet(message);
    switch (message.kind) {
      case 'hello':
        throw new SyntaxError('a second greeting came');
      case 'ask':
        return this.#answer(message.id, message.body, this.#peer);
      case 'ping':
        return this.#send({ kind: 'answer', id: message.id, body: null });
      case 'answer':
        return this.#claim(message.id)?.resolve(message.body);
      case 'failure':
        return this.#claim(message.id)?.reject(errorOf(message.failure));
    }
  }

  #greet(message: Message): void {
    if (message.kind !== 'hello') throw new SyntaxError('a greeting must come first');
    const { version, node } = message;
    if (version !== channelVersion) throw new SyntaxError(`it speaks version ${version} of the channel, and this node version ${channelVersion}: install the same weft on both`);
    this.#peer = { address: this.address, node };
    this.#greeted.resolve();
  }

  #answer(id: number, body: JsonValue, from: Peer): void {
    if (this.#answering.has(id)) throw new SyntaxError('a second question has the id of one that is not answered yet');
    if (this.#answering.size >= this.#parts.limits.questionsMax) {
      const busy = new WeftError('tryAgainLater', `node ${this.#parts.node} has ${this.#answering.size} questions of this node to answer already`);
      return this.#send({ kind: 'failure', id, failure: failureOf(busy) });
    }
    this.#answering.add(id);
    void this.#replyTo(id, body, from).then((frame) => {
      this.#answering.delete(id);
      this.#write(frame);
    });
  }

  async #replyTo(id: number, body: JsonValue, from: Peer): Promise<Buffer> {
    try {
      // An answer that does not fit into a frame is the handler's failure.
      return encodeFrame({ kind: 'answer', id, body: await this.#parts.handler(body, from) } satisfies Message);
    } catch (error) {
      return encodeFrame({ kind: 'failure', id, failure: failureOf(error) } satisfies Message);
    }
  }

  /** The question that is answered; undefined where nobody waits any more. @throws SyntaxError where it was never asked */
  #claim(id: number): Question | undefined {
    if (!this.#questions.has(id)) throw new SyntaxError('an answer came to a question that was not asked');
    return this.#settle(id);
  }

  #settle(id: number): Question | undefined {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    if (question === undefined || question === null) return undefined;
    this.#waiting -= 1;
    question.stop();
    return question;
  }

  /** The id stays taken: the other node is still busy with it. */
  #giveUp(id: number, { askedAt, deadlineMs }: { readonly askedAt: number; readonly deadlineMs: number }): void {
    const question = this.#settle(id);
    this.#questions.set(id, null);
    question?.reject(new WeftError('tryAgainLater', `${this.#description} did not answer within ${deadlineMs} ms`));
    if (this.#heardAt < askedAt) this.#isDoubtful = true;
    if (this.#isDoubtful && this.#waiting === 0) this.close();
  }

  #send(message: Message): void {
    this.#write(encodeFrame(message));
  }

  #write(frame: Buffer): void {
    if (this.#isClosed) return;
    this.#usedAt = performance.now();
    const { socket } = this.#parts;
    socket.write(frame);
    if (socket.writableLength > backlogBytesMax) this.close('it does not fetch what it asked for');
  }

  /** Looks again when it could have been silent for long enough. */
  #watchSilence(): void {
    const { silenceMs } = this.#parts.limits;
    const leftMs = this.#usedAt + silenceMs - performance.now();
    const isBusy = this.#waiting > 0 || this.#answering.size > 0;
    if (leftMs <= 0 && !isBusy) this.close();
    else this.#stopWatching = startTimer(Math.max(1, leftMs <= 0 ? silenceMs : leftMs), () => this.#watchSilence());
  }
}

/** @throws WeftError internal where the question does not fit into a frame, or is no JSON */
function encodeQuestion(id: number, body: JsonValue): Buffer {
  try {
    return encodeFrame({ kind: 'ask', id, body } satisfies Message);
  } catch (error) {
    throw new WeftError('internal', `a question for another node cannot be sent: ${describeError(error)}`);
  }
}
