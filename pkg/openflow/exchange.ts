/** Requests that travel together and what is said to them: nothing, a refusal, or, to the last of them, an answer. */
import { hasMoreParts, messageTypes, type Message, type Request } from './message.ts';
import { OpenFlowError } from './openflow-error.ts';
import { decodeRefusal, type Refusal } from './refusal.ts';

/**
 * All parts of one answer together: a switch with half a million flows has more. What is above is refused rather than kept in memory.
 */
const answerBytesMax = 128 * 1024 * 1024;

/** What came of an exchange. */
export interface Outcome {
  /** Which of the requests were refused, by their place. */
  readonly refusals: ReadonlyMap<number, Refusal>;
  /** The answer to the last request; undefined where it was refused. */
  readonly answer: Message | undefined;
}

/** How an exchange goes on. */
export interface ExchangeSettings {
  readonly firstXid: number;
  /** Given the messages of an answer that has many, as they come. What it throws ends the exchange. */
  readonly onPart?: ((body: Buffer) => void) | undefined;
  /** Asked when the last request has been answered or refused: one more request, whose answer ends the exchange. */
  readonly followUp?: ((refusals: ReadonlyMap<number, Refusal>) => Request) | undefined;
  /** Sends the request that followUp() returned. */
  readonly send: (request: Request, xid: number) => void;
}

/** One exchange that is under way. */
export class Exchange {
  readonly outcome: Promise<Outcome>;
  readonly #requests: Request[];
  readonly #settings: ExchangeSettings;
  readonly #refusals = new Map<number, Refusal>();
  readonly #settle: { readonly resolve: (outcome: Outcome) => void; readonly reject: (error: Error) => void };
  #mayFollowUp: boolean;
  #answerBytes = 0;
  #isOver = false;

  constructor(requests: readonly Request[], settings: ExchangeSettings) {
    this.#requests = [...requests];
    this.#settings = settings;
    this.#mayFollowUp = settings.followUp !== undefined;
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    this.outcome = promise;
    this.#settle = { resolve, reject };
  }

  /** Whether a message of this xid is its business. */
  has(xid: number): boolean {
    return xid >= this.#settings.firstXid && xid < this.#settings.firstXid + this.#requests.length;
  }

  /** Nobody waits for it any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What it is about, for errors. */
  describe(): string {
    const [first, ...rest] = this.#requests;
    return rest.length === 0 ? (first as Request).describe() : `${(first as Request).describe()} and what goes with it`;
  }

  /** Takes a message with one of its xids. @returns whether the exchange is over */
  take(message: Message): boolean {
    if (this.#isOver) return true;
    try {
      return message.type === messageTypes.error ? this.#takeRefusal(message) : this.#takeAnswer(message);
    } catch (error) {
      this.fail(new OpenFlowError('garbled', `Cannot ${this.describe()}: the switch's answer cannot be read`, { cause: error }));
      return true;
    }
  }

  /** Ends it without an answer. */
  fail(error: OpenFlowError): void {
    this.#isOver = true;
    this.#settle.reject(error);
  }

  get #lastXid(): number {
    return this.#settings.firstXid + this.#requests.length - 1;
  }

  #takeRefusal({ xid, body }: Message): boolean {
    this.#refusals.set(xid - this.#settings.firstXid, decodeRefusal(body));
    return xid === this.#lastXid && this.#end(undefined);
  }

  #takeAnswer(message: Message): boolean {
    // Opening a bundle is answered as well; what counts is the answer to the last.
    if (message.xid !== this.#lastXid) return false;
    if (message.type !== messageTypes.multipartReply) return this.#end(message);
    this.#answerBytes += message.body.length;
    if (this.#answerBytes > answerBytesMax) throw new RangeError(`An answer must have at most ${answerBytesMax} bytes`);
    this.#settings.onPart?.(message.body);
    return !hasMoreParts(message.body) && this.#end(message);
  }

  #end(answer: Message | undefined): boolean {
    const { followUp, send } = this.#settings;
    if (this.#mayFollowUp && followUp !== undefined) {
      this.#mayFollowUp = false;
      const next = followUp(this.#refusals);
      this.#requests.push(next);
      send(next, this.#lastXid);
      return false;
    }
    this.#isOver = true;
    this.#settle.resolve({ refusals: this.#refusals, answer });
    return true;
  }
}
