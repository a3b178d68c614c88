/** How long answers take on one way to a peer, and how many do not come: counted with the probes that are sent anyway. Pure. */
import type { RecentProbes } from '../report/paths.ts';
import type { ProbeOutcome } from './prober.ts';

/** Since the path is known to this daemon. */
export interface ProbeTotals {
  /** Probes that should have been answered: no larger than what passes as far as is known, and not refused by this node's kernel. */
  readonly sent: number;
  /** Of those, without an answer in time. */
  readonly lost: number;
  /** Sum of the round-trip times of the others, milliseconds. */
  readonly roundTripMs: number;
}

const windowMs = 60_000;
/** A probe a second, and a search now and then. */
const rememberedMax = 512;

interface Remembered {
  readonly at: number;
  /** Undefined: it was lost. */
  readonly roundTripMs: number | undefined;
}

/** One for a path and a way. Times are milliseconds of any clock, always the same. */
export class ProbeMeter {
  #totals: ProbeTotals = { sent: 0, lost: 0, roundTripMs: 0 };
  #recent: Remembered[] = [];

  /** A probe is over. One that was refused says nothing of the way. */
  note(outcome: ProbeOutcome, now: number): void {
    if (outcome.kind === 'tooBig') return;
    const roundTripMs = outcome.kind === 'answered' ? outcome.milliseconds : undefined;
    const { sent, lost, roundTripMs: sum } = this.#totals;
    this.#totals = { sent: sent + 1, lost: lost + (roundTripMs === undefined ? 1 : 0), roundTripMs: sum + (roundTripMs ?? 0) };
    this.#recent.push({ at: now, roundTripMs });
    if (this.#recent.length > rememberedMax) this.#recent.shift();
  }

  get totals(): ProbeTotals {
    return this.#totals;
  }

  /** Of the last minute. */
  recent(now: number): RecentProbes {
    this.#recent = this.#recent.filter(({ at }) => now - at < windowMs);
    const times = this.#recent.flatMap(({ roundTripMs }) => roundTripMs ?? []);
    return {
      sent: this.#recent.length,
      lost: this.#recent.length - times.length,
      ...(times.length === 0 ? {} : { roundTripMs: times.reduce((sum, ms) => sum + ms, 0) / times.length, roundTripMsMax: Math.max(...times) }),
    };
  }
}
