/** A connection to a daemon of FRR that is made again whenever it is lost. */
import { startTimer } from '../sys/timer.ts';
import { isFrrError, type FrrError } from './frr-error.ts';
import { openVty, type FrrDaemon, type Vty } from './vty.ts';

/** Where the daemon is found, and who is told what becomes of it. Nothing is told any more after close(). */
export interface VtyKeeperOptions {
  readonly daemon: FrrDaemon;
  /** Where `<daemon>.vty` is. */
  readonly runDirectory: string;
  /** The daemon is there: for the first time, or again, and then it may have started anew and have forgotten what it was told. */
  readonly onUp: (vty: Vty) => void;
  /** The daemon is not there: at once when it ends, and once where it cannot be reached, until it is there again. */
  readonly onDown: (reason: FrrError) => void;
}

/** A daemon that hangs is given up after so long. Milliseconds. */
const connectDeadlineMs = 5000;
/** Milliseconds between two tries: the first one is soon, since a supervisor restarts a daemon that ended; and the longest. */
const firstPauseMs = 100;
const longestPauseMs = 1000;

/** Begins to connect; it goes on until close(), and keeps no process alive. */
export class VtyKeeper {
  readonly #options: VtyKeeperOptions;
  #vty: Vty | undefined;
  #problem: FrrError | undefined;
  #pauseMs = firstPauseMs;
  #stopTimer: () => void = () => undefined;
  #isClosed = false;

  constructor(options: VtyKeeperOptions) {
    this.#options = options;
    void this.#connect();
  }

  /** The connection that stands. */
  get vty(): Vty | undefined {
    return this.#vty;
  }

  /** Why there is none; undefined where there is one, or nothing is known yet. */
  get problem(): FrrError | undefined {
    return this.#problem;
  }

  /** Ends it. May be repeated. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
    this.#vty?.close();
    this.#vty = undefined;
  }

  async #connect(): Promise<void> {
    const { daemon, runDirectory, onUp } = this.#options;
    try {
      const vty = await openVty({ daemon, runDirectory, onLost: (reason) => this.#lose(reason) }, { deadlineMs: connectDeadlineMs });
      if (this.#isClosed) return vty.close();
      this.#vty = vty;
      this.#problem = undefined;
      this.#pauseMs = firstPauseMs;
      return onUp(vty);
    } catch (error) {
      if (!isFrrError(error)) throw error;
      return this.#goDown(error);
    }
  }

  /** One that is lost while it is being made is an error of the making, which is told by its promise. */
  #lose(reason: FrrError): void {
    if (this.#vty === undefined) return;
    this.#vty = undefined;
    this.#goDown(reason);
  }

  #goDown(reason: FrrError): void {
    if (this.#isClosed) return;
    const isNews = this.#problem === undefined;
    this.#problem = reason;
    this.#stopTimer = startTimer(this.#pauseMs, () => void this.#connect());
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
    // From lost to notRunning is the same outage.
    if (isNews) this.#options.onDown(reason);
  }
}
