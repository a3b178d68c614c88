/** What is waited for in each phase of a migration, and for how long at most. */
import type { DatapathMigration, MovingPort } from '../datapath/migration.ts';
import { startInterval, startTimer } from '../sys/timer.ts';
import type { MigrationEvent } from './course.ts';

/** An attachment on its way. */
export interface Traveller extends MovingPort {
  /** Of its attachment. */
  readonly seq: number;
}

export interface AttentionParts {
  readonly datapath: DatapathMigration;
  readonly happen: (seq: number, event: MigrationEvent) => Promise<unknown>;
  /** Asks the other node how far it is, and does what follows. Returns whether the endpoint is there for certain. Never rejects */
  readonly probe: (seq: number) => Promise<boolean>;
  /** How long a migration may be prepared without being activated, in milliseconds. */
  readonly timeoutMs: () => number;
  readonly now: () => number;
}

/** While the source relays: a target that is gone, or that has been opened behind everybody's back, is found within this time. */
const relayingProbeMs = 10_000;
/** From the machine's stop until it is known to be at the target. Then it goes on at the source. */
const departedMaxMs = 5000;
const departedProbeMs = 500;
/** Nothing relayed for so long: all others send to the target by themselves. */
const quietMs = 1000;
const quietLookMs = 250;
/** And this long at most: somebody out there never learns. */
const relayMaxMs = 30_000;
/** How often the gate is looked at, beside what tells of it. */
const openingLookMs = 2000;
/** The target waits longer than any source relays. */
const arrivedMaxMs = 60_000;

/** Timers and watches, those of one phase for each attachment. They keep no process alive. */
export class Attention {
  readonly #parts: AttentionParts;
  readonly #ends = new Map<number, () => void>();

  constructor(parts: AttentionParts) {
    this.#parts = parts;
  }

  /** Waits for what the attachment's phase asks for, and for nothing of an earlier one. */
  attend(traveller: Traveller): void {
    this.forget(traveller.seq);
    const end = this.#begin(traveller);
    if (end !== undefined) this.#ends.set(traveller.seq, end);
  }

  /** Waits for nothing of it any more. */
  forget(seq: number): void {
    this.#ends.get(seq)?.();
    this.#ends.delete(seq);
  }

  /** Ends all of it. */
  stop(): void {
    for (const seq of [...this.#ends.keys()]) this.forget(seq);
  }

  #begin(traveller: Traveller): (() => void) | undefined {
    const { happen, probe, timeoutMs, now } = this.#parts;
    const { seq, port: { migration } } = traveller;
    const inTime = (ms: number, late: () => unknown): (() => void) => startTimer(Math.max(0, ms - (now() - (migration?.since ?? 0))), () => void late());
    switch (migration?.phase) {
      case 'waiting':
        return this.#awaitOpening(traveller);
      case 'relaying':
        // What the target has said may have been lost.
        return both(inTime(timeoutMs(), async () => (await probe(seq)) || happen(seq, 'late')), startInterval(relayingProbeMs, () => void probe(seq)));
      case 'departed':
        return this.#followDeparted(traveller);
      case 'arrived':
        return inTime(arrivedMaxMs, () => happen(seq, 'late'));
      default:
        return undefined;
    }
  }

  /** What watches may end where the port is made anew. */
  #awaitOpening(traveller: Traveller): () => void {
    const { datapath, happen } = this.#parts;
    const onOpened = (): void => void happen(traveller.seq, 'spoke');
    const look = async (): Promise<void> => {
      if (await datapath.hasOpened(traveller)) onOpened();
    };
    // A port that is missing is found by the next look, or by whoever repairs it.
    const stopLooking = startInterval(openingLookMs, () => void look().catch(() => undefined));
    try {
      return both(datapath.watchOpening(traveller, onOpened), stopLooking);
    } catch {
      return stopLooking;
    }
  }

  /** First until the endpoint is known to be at the target, then until nobody sends here any more. */
  #followDeparted(traveller: Traveller): () => void {
    const { happen, probe, now } = this.#parts;
    const { seq, port } = traveller;
    const departedAt = port.migration?.since ?? now();
    const quiet = this.#quietness(traveller);
    let isThere = false;
    let isBusy = false;
    const look = async (): Promise<void> => {
      if (!isThere) {
        isThere = await probe(seq);
        if (!isThere && now() - departedAt > departedMaxMs) await happen(seq, 'late');
      } else if ((await quiet()) || now() - departedAt > relayMaxMs) await happen(seq, 'quiet');
    };
    return startIntervalOf(() => (isThere ? quietLookMs : departedProbeMs), () => {
      if (isBusy) return;
      isBusy = true;
      void look().catch(() => undefined).finally(() => (isBusy = false));
    });
  }

  /** Whether nothing has been relayed for a while; each call looks. */
  #quietness(traveller: Traveller): () => Promise<boolean> {
    const { datapath, now } = this.#parts;
    let last = { count: -1, at: now() };
    return async () => {
      const count = await datapath.countRelayed(traveller);
      if (count !== last.count) last = { count, at: now() };
      return now() - last.at >= quietMs;
    };
  }
}

function both(one: () => void, other: () => void): () => void {
  return () => {
    one();
    other();
  };
}

/** As startInterval(), of a length that is asked for each time. The first call is at once. */
function startIntervalOf(length: () => number, fn: () => void): () => void {
  let stop: () => void = () => undefined;
  const run = (): void => {
    stop = startTimer(length(), run);
    fn();
  };
  run();
  return () => stop();
}
