/** What the reconciler has found: repairs, for the report, and faults that are still open. Each is said once, not at each pass. */
import { repairsMax, type Repair } from '../report/daemon-status.ts';
import type { Log } from '../log/log.ts';

/** What a repair was about. `removal`: an attachment that nobody else would have removed. */
export const repairKinds = ['segment', 'endpoint', 'guard', 'plan', 'mtu', 'garbage', 'removal'] as const;
export type RepairKind = (typeof repairKinds)[number];

/** Remembers what passes have found, and says what is new. */
export class Findings {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #repairs: Repair[] = [];
  readonly #counts = new Map<RepairKind, number>(repairKinds.map((kind) => [kind, 0]));
  /** By what they are about: a segment, a port, the guard. */
  readonly #open = new Map<string, readonly string[]>();

  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** The latest repairs, the oldest first. */
  get repairs(): readonly Repair[] {
    return this.#repairs;
  }

  /** How many there were since the daemon started, of each kind. */
  get repairCounts(): ReadonlyMap<RepairKind, number> {
    return this.#counts;
  }

  /** What is wrong and could not be put right, or is not the reconciler's to put right. */
  get openFaults(): readonly string[] {
    return [...this.#open.values()].flat();
  }

  /** Something was put right. */
  noteRepairs(kind: RepairKind, subject: string, repairs: readonly string[]): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + repairs.length);
    for (const what of repairs) {
      this.#repairs.push({ at: this.#now(), what });
      if (this.#repairs.length > repairsMax) this.#repairs.shift();
      this.#log.warn({ code: 'repaired', subject, repaired: what }, 'repaired');
    }
  }

  /** What is wrong with a subject and stays so; an empty list where nothing is. */
  noteFaults(subject: string, faults: readonly string[]): void {
    const before = this.#open.get(subject) ?? [];
    if (faults.length === 0) this.#open.delete(subject);
    else this.#open.set(subject, faults);
    for (const what of faults) if (!before.includes(what)) this.#log.warn({ code: 'daemon-fault', subject, fault: what }, 'cannot be repaired');
    for (const what of before) if (!faults.includes(what)) this.#log.info({ subject, fault: what }, 'no longer wrong');
  }

  /** Subjects that exist no more have no faults. */
  retain(isThere: (subject: string) => boolean): void {
    for (const subject of this.#open.keys()) if (!isThere(subject)) this.#open.delete(subject);
  }
}
