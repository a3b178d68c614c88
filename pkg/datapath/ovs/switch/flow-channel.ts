/**
 * The way to the bridge's flows: a connection to its management socket that is made again whenever it is lost.
 *
 *     at rest ──start()──► connecting ──(greeted)──► up
 *        ▲                     ▲                      │
 *        └──rest()             └─────(back-off)───(lost)
 *
 * Calls keep their order: they leave in it, and what a lost connection left undone leaves before whatever came later. So what is done
 * here must bear being done twice, as changes of flows do: a flow that is there is replaced, one that is gone is not deleted.
 *
 * It keeps the process alive only while somebody waits for it.
 */
import { connect, type Socket } from 'node:net';
import { describeError, WeftError } from '../../../errors/weft-error.ts';
import { OpenFlowConnection } from '../../../openflow/connection.ts';
import { OpenFlowError } from '../../../openflow/openflow-error.ts';
import { pause, startTimer } from '../../../sys/timer.ts';
import { Deadline } from './deadline.ts';
import type { SwitchOptions } from './settings.ts';

const backOffFirstMs = 50;
/** The longest time between two attempts while somebody waits; connecting to a Unix socket costs next to nothing. */
const backOffAwaitedMs = 100;
/** So many calls may wait for the connection; more is a fault of the caller, and would only fill memory. */
const callsMax = 10_000;

/** What is done with the connection; the deadline is what is left of the call's. */
type Task<R> = (connection: OpenFlowConnection, deadline: Deadline) => Promise<R>;

interface Call {
  /** Its place among all calls. */
  readonly order: number;
  readonly deadline: Deadline;
  /** Whether later calls wait for its end. */
  readonly isBarrier: boolean;
  readonly task: Task<unknown>;
  readonly settle: { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void };
  readonly stopTimer: () => void;
}

/** How something is done with the connection. */
export interface PerformOptions {
  /** Whether calls behind it wait until it is done, for what takes several round trips. @default false */
  readonly isBarrier?: boolean;
  /** How long it may take, waiting included. @default the channel's */
  readonly deadlineMs?: number;
}

/** How the channel is used; see SwitchOptions. The functions must not throw. */
export interface FlowChannelOptions {
  readonly path: string;
  readonly deadlineMs: number;
  readonly backOffMaxMs: number;
  readonly onEvent: SwitchOptions['onEvent'] | undefined;
  /** Calls wait while the channel is at rest: start() or fail() is to come. */
  readonly onNeeded: () => void;
  /** The connection is back, after it was lost: the switch may have been restarted, or the bridge made anew, and have no flows. Calls that waited have left already. */
  readonly onRegained: () => void;
}

/** The channel of one bridge. */
export class FlowChannel {
  readonly #options: FlowChannelOptions;
  readonly #waiting: Call[] = [];
  #underWay = 0;
  #isBarred = false;
  #nextOrder = 1;
  #isStarted = false;
  #isClosed = false;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  #socket: Socket | undefined;
  #connection: OpenFlowConnection | undefined;
  #wasUp = false;
  #reason: unknown = 'nobody has connected yet';
  #wake: () => void = () => undefined;

  constructor(options: FlowChannelOptions) {
    this.#options = options;
  }

  /** The bridge is there and weft's: connects, and goes on until rest() or close(). May be repeated. */
  start(): void {
    this.#isStarted = true;
    if (!this.#isRunning) this.#running = this.#run();
  }

  /** Whether it connects, or is connected. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Why there is no connection; undefined where there is one, or nobody wants any. */
  get outage(): string | undefined {
    return this.#connection !== undefined || !this.#isStarted ? undefined : describeError(this.#reason);
  }

  /** The bridge is gone, or not weft's: ends the connection; calls wait for another start(). */
  rest(): void {
    this.#isStarted = false;
    this.#connection?.close();
    this.#connection = undefined;
    this.#socket?.destroy();
    this.#wake();
    this.#ask();
  }

  /** Ends it, for good; who still waits is told. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.fail(new WeftError('internal', 'The switch was closed'));
    this.rest();
    await this.#running;
  }

  /** Rejects what waits for a connection: there will be none. */
  fail(error: unknown): void {
    for (const call of this.#waiting.splice(0)) this.#settle(call, () => call.settle.reject(error));
  }

  /**
   * Does something with the connection: at once, within the call, where it is up; otherwise when it is.
   * @throws WeftError tryAgainLater when there is no connection in time; what the task throws
   */
  perform<R>(task: Task<R>, { isBarrier = false, deadlineMs = this.#options.deadlineMs }: PerformOptions = {}): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= callsMax) return reject(new WeftError('tryAgainLater', `${callsMax} calls wait for the switch at ${this.#options.path}`));
      const deadline = new Deadline(deadlineMs);
      const stopTimer = startTimer(deadline.ms, () => this.#giveUp(call));
      const call: Call = { order: this.#nextOrder, deadline, isBarrier, task, settle: { resolve: resolve as (value: unknown) => void, reject }, stopTimer };
      this.#nextOrder += 1;
      this.#waiting.push(call);
      this.#pump();
      if (this.#waiting.includes(call)) this.#ask();
      this.#holdProcess();
    });
  }

  /** Begins what may begin, in order. */
  #pump(): void {
    while (this.#connection !== undefined && !this.#isBarred) {
      const call = this.#waiting.shift();
      if (call === undefined) return;
      this.#begin(call, this.#connection);
    }
  }

  #begin(call: Call, connection: OpenFlowConnection): void {
    this.#underWay += 1;
    if (call.isBarrier) this.#isBarred = true;
    call.stopTimer();
    const end = (): void => {
      this.#underWay -= 1;
      if (call.isBarrier) this.#isBarred = false;
    };
    call.task(connection, call.deadline).then(
      (value) => {
        end();
        this.#settle(call, () => call.settle.resolve(value));
      },
      (error: unknown) => {
        end();
        // It is heard of here before the connection itself says so.
        if (isLost(error) && this.#connection === connection) this.#connection = undefined;
        if (isLost(error) && !this.#isClosed && !call.deadline.isOver) this.#putBack(call);
        else this.#settle(call, () => call.settle.reject(error));
      },
    );
  }

  #putBack(call: Call): void {
    const stopTimer = startTimer(call.deadline.deadlineMs, () => this.#giveUp(again));
    const again: Call = { ...call, stopTimer };
    const index = this.#waiting.findIndex(({ order }) => order > call.order);
    this.#waiting.splice(index < 0 ? this.#waiting.length : index, 0, again);
    this.#ask();
    this.#pump();
  }

  /** Somebody waits: what is put off is done at once. */
  #ask(): void {
    this.#wake();
    if (!this.#isStarted && this.#waiting.length > 0) this.#options.onNeeded();
  }

  #settle(call: Call, settle: () => void): void {
    call.stopTimer();
    settle();
    this.#pump();
    this.#holdProcess();
  }

  #giveUp(call: Call): void {
    const index = this.#waiting.indexOf(call);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    const { path } = this.#options;
    const because = this.#connection === undefined ? `: ${describeError(this.#reason)}` : '';
    const error = new WeftError('tryAgainLater', `The switch at ${path} could not be asked within ${call.deadline.ms} ms${because}`, {
      details: 'Look whether ovs-vswitchd runs, and whether ovs.runDirectory is where it makes its sockets.',
    });
    this.#settle(call, () => call.settle.reject(error));
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let delayMs = backOffFirstMs;
    while (this.#isStarted) {
      const startedAt = performance.now();
      await this.#connectOnce();
      // One that lasted was none of a series of failures.
      if (performance.now() - startedAt > delayMs) delayMs = backOffFirstMs;
      if (this.#isStarted) await this.#backOff(delayMs);
      delayMs = Math.min(delayMs * 2, this.#options.backOffMaxMs);
    }
    this.#isRunning = false;
  }

  /** One connection from its beginning to its end; never rejects. */
  async #connectOnce(): Promise<void> {
    const { path, deadlineMs, onEvent } = this.#options;
    const socket = connect({ path });
    const connection = new OpenFlowConnection(socket, path, { deadlineMs, ...(onEvent === undefined ? {} : { onEvent }) });
    this.#socket = socket;
    this.#holdProcess();
    try {
      await connection.greet();
      if (this.#isStarted) this.#gain(connection);
      else connection.close();
      this.#reason = await connection.ended;
    } catch (error) {
      connection.close();
      this.#reason = error;
    }
    this.#connection = undefined;
    this.#socket = undefined;
  }

  #gain(connection: OpenFlowConnection): void {
    const isRegained = this.#wasUp;
    this.#connection = connection;
    this.#wasUp = true;
    // A connection that has ended meanwhile rejects what is begun on it.
    this.#pump();
    this.#holdProcess();
    if (isRegained) this.#options.onRegained();
  }

  #backOff(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const isAwaited = this.#isAwaited;
      const stop = isAwaited ? () => undefined : startTimer(delayMs, resolve);
      // Unlike a timer of startTimer() it keeps the process alive, and cannot be taken back: so it is short.
      if (isAwaited) void pause(Math.min(delayMs, backOffAwaitedMs)).then(resolve);
      this.#wake = () => {
        stop();
        resolve();
      };
    });
  }

  get #isAwaited(): boolean {
    return this.#waiting.length + this.#underWay > 0;
  }

  #holdProcess(): void {
    if (this.#socket === undefined || this.#socket.destroyed) return;
    if (this.#isAwaited) this.#socket.ref();
    else this.#socket.unref();
  }
}

function isLost(error: unknown): boolean {
  return error instanceof OpenFlowError && error.failure === 'lost';
}
