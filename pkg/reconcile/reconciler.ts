/**
 * The reconciler: makes the node what the ledger and the configuration say, whoever has changed it.
 *
 * It looks at the whole node at the start, when events were lost, after a change of the configuration, and now and then; and at
 * single segments and ports when the kernel says that something of theirs has changed. Events are gathered for a moment: what
 * an ADD of another process does looks like damage until it is done.
 */
import { describeError } from '../errors/weft-error.ts';
import { decodeLink, listLinks } from '../netlink/link.ts';
import type { KernelEvent } from '../netlink/monitor.ts';
import type { ReconcilerStatus } from '../report/daemon-status.ts';
import { startInterval, startTimer } from '../sys/timer.ts';
import type { Log } from '../log/log.ts';
import { Findings, type RepairKind } from './findings.ts';
import { runPass, type PassParts } from './pass.ts';
import { everything, joinScopes, scopeOf, type Scope } from './scope.ts';
import { Suspects, type OwnSockets } from './suspects.ts';
import { graceMs, Vanished } from './vanished.ts';

/** From the first event to the pass: long enough for an ADD to end, short enough to be there within a second. */
const gatherMs = 100;
/** From one pass over the whole node to the next: what no event tells, such as a container's namespace that is kept alive. */
const fullPassMs = 5 * 60_000;
/** After a pass that could not put everything right; doubled each time. */
const retryMsMin = 1000;
const retryMsMax = 60_000;

/**
 * From the last news of the underlay until an MTU is raised, at least: the nodes' links are seldom raised at the same moment, and what the first ones send by
 * then the last ones drop and do not answer; while a small MTU does no harm.
 */
const settledMs = 2000;
/** Then it is raised at the next multiple of this by the clock, which all nodes have alike. */
const raiseGridMs = 5000;

export interface ReconcilerOptions extends Omit<PassParts, 'findings' | 'vanished' | 'mayRaise'> {
  readonly log: Log;
  /** The daemon's own sockets, whose changes are no damage. */
  readonly own: OwnSockets;
}

/** Runs passes, one at a time, when there is reason to. */
export class Reconciler {
  readonly #log: Log;
  readonly #parts: PassParts;
  readonly #suspects: Suspects;
  readonly #findings: Findings;
  readonly #vanished: Vanished;
  #due: Scope | undefined;
  #running: Promise<void> | undefined;
  #gather: (() => void) | undefined;
  #cancelPeriod: () => void = () => undefined;
  #cancelRetry: () => void = () => undefined;
  /** What could not be put right since it was last tried. */
  #retry: Scope | undefined;
  #retryMs = retryMsMin;
  #cancelSecondLook: (() => void) | undefined;
  /** From when on an MTU may be raised, in milliseconds of the process's own clock. */
  #raiseAt = -Infinity;
  #cancelRaise: (() => void) | undefined;
  #isStopped = false;
  #passes = 0;
  #last: { readonly at: number; readonly ms: number } | undefined;

  constructor({ log, own, ...parts }: ReconcilerOptions) {
    this.#log = log;
    this.#findings = new Findings(log, parts.engine.now);
    this.#vanished = new Vanished(() => performance.now());
    this.#suspects = new Suspects(own);
    this.#parts = { ...parts, findings: this.#findings, vanished: this.#vanished, mayRaise: () => this.#mayRaise() };
  }

  get status(): ReconcilerStatus {
    return {
      passes: this.#passes,
      ...(this.#last === undefined ? {} : { lastPassAt: this.#last.at, lastPassMs: this.#last.ms }),
      repairs: this.#findings.repairs,
      openFaults: this.#findings.openFaults,
    };
  }

  /** How many repairs there were since the start, of each kind. */
  get repairCounts(): ReadonlyMap<RepairKind, number> {
    return this.#findings.repairCounts;
  }

  /** Begins with a pass over the whole node; the promise is fulfilled when that is done. Never rejects. */
  async start(): Promise<void> {
    this.#learn();
    this.#cancelPeriod = startInterval(fullPassMs, () => this.look(everything));
    this.look(everything);
    await this.#running;
  }

  /** What the kernel says has changed. */
  noteEvents(events: readonly KernelEvent[]): void {
    this.#suspects.note(events);
    if (this.#suspects.isEmpty || this.#gather !== undefined || this.#isStopped) return;
    this.#gather = startTimer(gatherMs, () => {
      this.#gather = undefined;
      const scope = this.#suspects.take();
      if (scope !== undefined) this.look(scope);
    });
  }

  /** Events were lost: nothing is known any more. */
  noteOverrun(): void {
    this.#log.warn({ code: 'events-lost' }, 'events of the kernel were lost: the whole node is looked at');
    this.#learn();
    this.look(everything);
  }

  /** The index of one of weft's links, as the kernel's events have it. */
  indexOf(name: string): number | undefined {
    return this.#suspects.indexOf(name);
  }

  /** The name of one of weft's links, as the kernel's events have it. */
  nameOf(index: number): string | undefined {
    return this.#suspects.nameOf(index);
  }

  /** Asks for a pass over the scope; one that is under way is not disturbed. */
  look(scope: Scope): void {
    if (this.#isStopped) return;
    this.#due = this.#due === undefined ? scope : joinScopes(this.#due, scope);
    this.#running ??= this.#run();
  }

  /**
   * Asks for the tenants' MTUs to be worked out again, and to be carried into what is there where they differ: at once where they are smaller, and a few
   * seconds later, at the same time as on other nodes, where they are larger.
   * @param reason what may have changed them, in words: `the MTU of eth0 is 1500 instead of 1600`
   */
  reconsiderMtu(reason: string): void {
    this.#log.debug({ reason }, "the tenants' MTUs are worked out again");
    const now = this.#parts.engine.now();
    this.#raiseAt = performance.now() + Math.ceil((now + settledMs) / raiseGridMs) * raiseGridMs - now;
    this.look(scopeOf({ underlay: true }));
  }

  /** Begins no further pass, and waits for the one that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const cancel of [this.#gather, this.#cancelPeriod, this.#cancelRetry, this.#cancelSecondLook, this.#cancelRaise]) cancel?.();
    await this.#running;
  }

  /** What changes while the links are read is heard afterwards. */
  #learn(): void {
    try {
      this.#suspects.learn(this.#parts.engine.kernel.route.dump(listLinks()).map(decodeLink));
    } catch (error) {
      // Then every event is news, and worth a look.
      this.#log.warn({ code: 'links-unread', error: describeError(error) }, 'the links of the node could not be read');
    }
  }

  async #run(): Promise<void> {
    while (this.#due !== undefined && !this.#isStopped) {
      const scope = this.#due;
      this.#due = undefined;
      const startedAt = performance.now();
      const isRetryDue = await this.#pass(scope);
      this.#passes += 1;
      this.#last = { at: this.#parts.engine.now(), ms: Math.round(performance.now() - startedAt) };
      this.#log.debug({ everything: scope.everything, ms: this.#last.ms }, 'compared the node with the ledger');
      this.#planNext(scope, isRetryDue);
    }
    // Not behind the promise: who asks for a pass in between would wait for the next who asks.
    this.#running = undefined;
  }

  async #pass(scope: Scope): Promise<boolean> {
    try {
      return await runPass(this.#parts, scope);
    } catch (error) {
      this.#log.error({ code: 'pass-failed', error: describeError(error) }, 'the node could not be compared with the ledger');
      return true;
    }
  }

  #planNext(scope: Scope, isRetryDue: boolean): void {
    if (isRetryDue) this.#planRetry(scope);
    else if (this.#retry === undefined) this.#retryMs = retryMsMin;
    this.#planSecondLook();
  }

  /** One retry for all that failed: a pass that fails must not push the one before it out. */
  #planRetry(scope: Scope): void {
    this.#retry = this.#retry === undefined ? scope : joinScopes(this.#retry, scope);
    this.#cancelRetry();
    this.#cancelRetry = startTimer(this.#retryMs, () => {
      const failed = this.#retry;
      this.#retry = undefined;
      if (failed !== undefined) this.look(failed);
    });
    this.#retryMs = Math.min(retryMsMax, this.#retryMs * 2);
  }

  /** One timer for all tenants; news that come meanwhile put it off when it ends. */
  #mayRaise(): boolean {
    const restMs = this.#raiseAt - performance.now();
    if (restMs <= 0) return true;
    this.#cancelRaise ??= startTimer(restMs, () => {
      this.#cancelRaise = undefined;
      this.look(scopeOf({ underlay: true }));
    });
    return false;
  }

  /** The timer that runs is left alone: on a busy node each pass would put it off. */
  #planSecondLook(): void {
    if (this.#vanished.pending.size === 0) return;
    this.#cancelSecondLook ??= startTimer(graceMs, () => {
      this.#cancelSecondLook = undefined;
      this.look(scopeOf({ hostIfs: new Set(this.#vanished.pending.values()) }));
    });
  }
}
