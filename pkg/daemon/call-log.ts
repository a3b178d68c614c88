/** What is said of a call, and counted: one line each, with outcome and duration. */
import type { CniAnswer, CniCall } from '../cni/dispatch.ts';
import { entries } from '../errors/catalogue.ts';
import { describeError } from '../errors/weft-error.ts';
import type { CallCount } from '../report/daemon-status.ts';
import { startTimer } from '../sys/timer.ts';
import type { Log, LogFields } from '../log/log.ts';
import type { StepClock } from './step-clock.ts';

/** A call that is over. */
export interface CallNote {
  /** A verb of the specification, or `other`. */
  readonly verb: string;
  readonly isOk: boolean;
  /** CNI error code of one that failed, where it has one. */
  readonly code?: number;
  readonly milliseconds: number;
}

/** Without a call for so long, there is time for what a call should not wait for. */
const quietMs = 500;

/** Verbs that change something; the others are asked again and again (containerd 2: STATUS every 5 s). */
const changing: ReadonlySet<string> = new Set(['ADD', 'DEL', 'GC']);
/** The specification's. */
export const verbs: readonly string[] = [...changing, 'CHECK', 'STATUS', 'VERSION'];
const known: ReadonlySet<string> = new Set(verbs);

export interface CallLogParts {
  readonly log: Log;
  /** Called when there has been no call for a while, once after the last. */
  readonly onQuiet: () => void;
  /** Absent: steps are not timed. */
  readonly clock?: StepClock | undefined;
  /** Called after each call, before its answer is sent. */
  readonly onCall?: (call: CallNote) => void;
}

/** Counts calls by verb and writes them to the log. */
export class CallLog {
  readonly #log: Log;
  readonly #counts = new Map<string, { ok: number; failed: number }>();
  readonly #onQuiet: () => void;
  readonly #clock: StepClock | undefined;
  readonly #onCall: ((call: CallNote) => void) | undefined;
  #cancelQuiet: () => void = () => undefined;
  #inFlight = 0;

  constructor({ log, onQuiet, clock, onCall }: CallLogParts) {
    this.#log = log;
    this.#onQuiet = onQuiet;
    this.#clock = clock;
    this.#onCall = onCall;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** By verb. */
  get counts(): Readonly<Record<string, CallCount>> {
    return Object.fromEntries(this.#counts);
  }

  /** Runs a call; says how it went. */
  async watch(call: CniCall, run: () => Promise<CniAnswer>): Promise<CniAnswer> {
    const startedAt = performance.now();
    this.#inFlight += 1;
    try {
      const { result, steps } = this.#clock === undefined ? { result: await run() } : await this.#clock.watch(run);
      this.#note(call, result, { milliseconds: performance.now() - startedAt, ...(steps === undefined ? {} : { steps }) });
      return result;
    } finally {
      this.#inFlight -= 1;
      this.#cancelQuiet();
      if (this.#inFlight === 0) this.#cancelQuiet = startTimer(quietMs, this.#onQuiet);
    }
  }

  #note({ env }: CniCall, { exitCode, error }: CniAnswer, { milliseconds, ...steps }: { readonly milliseconds: number; readonly steps?: unknown }): void {
    const given = env['CNI_COMMAND'] ?? '';
    // What callers make up must not fill the memory.
    const verb = known.has(given) ? given : 'other';
    const count = this.#counts.get(verb) ?? { ok: 0, failed: 0 };
    this.#counts.set(verb, count);
    const fields = { verb, ...describeContainer(env), ms: rounded(milliseconds), ...steps };
    if (exitCode === 0) {
      count.ok += 1;
      if (changing.has(verb)) this.#log.info({ ...fields, outcome: 'ok' }, `${verb} done`);
      else this.#log.debug({ ...fields, outcome: 'ok' }, `${verb} done`);
    } else {
      count.failed += 1;
      this.#log.warn({ ...fields, outcome: 'failed', ...describeFailure(error) }, `${verb} failed`);
    }
    const code = codeOf(error);
    this.#onCall?.({ verb, isOk: exitCode === 0, ...(code === undefined ? {} : { code }), milliseconds });
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

function describeContainer(env: CniCall['env']): LogFields {
  const pod = /(?:^|;)K8S_POD_NAMESPACE=([^;]*)/.exec(env['CNI_ARGS'] ?? '')?.[1];
  const name = /(?:^|;)K8S_POD_NAME=([^;]*)/.exec(env['CNI_ARGS'] ?? '')?.[1];
  return {
    ...(env['CNI_CONTAINERID'] === undefined ? {} : { containerId: env['CNI_CONTAINERID'] }),
    ...(env['CNI_IFNAME'] === undefined ? {} : { ifName: env['CNI_IFNAME'] }),
    ...(name === undefined ? {} : { pod: pod === undefined ? name : `${pod}/${name}` }),
  };
}

function describeFailure(error: unknown): { readonly code: number; readonly error: string } {
  return { code: codeOf(error) ?? entries.internal.cniCode, error: describeError(error) };
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Error && 'cniCode' in error && typeof error.cniCode === 'number' ? error.cniCode : undefined;
}
