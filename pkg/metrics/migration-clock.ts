/** What a migration comes to, and how long it takes, out of what happens to it. Pure. */

/** Something has happened to an endpoint that moves; phases and events are those of the migration's course. */
export interface MigrationStep {
  /** Of the attachment. */
  readonly seq: number;
  readonly event: string;
  readonly from: string;
  readonly to: string;
}

export type MigrationRole = 'source' | 'target';
export const migrationRoles: readonly MigrationRole[] = ['source', 'target'];
export const migrationOutcomes = ['moved', 'cancelled', 'timed_out', 'abandoned'] as const;
export type MigrationOutcome = (typeof migrationOutcomes)[number];

/** What is to be counted. */
export type MigrationResult =
  | { readonly kind: 'ended'; readonly role: MigrationRole; readonly outcome: MigrationOutcome; /** Absent: it began before this daemon did. */ readonly milliseconds?: number }
  | { readonly kind: 'activated'; readonly milliseconds: number };

/** By what an endpoint goes on at its source. */
const takenBackBy: Readonly<Record<string, MigrationOutcome>> = { cancel: 'cancelled', late: 'timed_out', abandoned: 'abandoned' };
/** By what a target learns that nobody comes. */
const givenUpBy: Readonly<Record<string, MigrationOutcome>> = { cancel: 'cancelled', cancelled: 'cancelled' };
/** More than move at once; whoever never ends is forgotten in the end. */
const rememberedMax = 1000;

/** One for a daemon; times are milliseconds of any clock. */
export class MigrationClock {
  readonly #begun = new Map<number, number>();
  readonly #departed = new Map<number, number>();

  /** Returns what follows from a step. */
  note(step: MigrationStep, now: number): readonly MigrationResult[] {
    const { seq, event, from, to } = step;
    if (from === 'none' && (to === 'relaying' || to === 'waiting')) remember(this.#begun, seq, now);
    if (from === 'relaying' && to === 'departed' && event === 'activate') remember(this.#departed, seq, now);
    const opened = to === 'departed' && event === 'opened' ? take(this.#departed, seq, now) : undefined;
    const ended = this.#endOf(step, now);
    return [...(opened === undefined ? [] : [{ kind: 'activated', milliseconds: opened } as const]), ...(ended === undefined ? [] : [ended])];
  }

  #endOf({ seq, event, from, to }: MigrationStep, now: number): MigrationResult | undefined {
    if (from === 'departed' && to === 'left') return this.#end(seq, { role: 'source', outcome: 'moved' }, now);
    if (from === 'waiting' && to === 'arrived') return this.#end(seq, { role: 'target', outcome: 'moved' }, now);
    const takenBack = (from === 'relaying' || from === 'departed') && to === 'none' ? takenBackBy[event] : undefined;
    if (takenBack !== undefined) return this.#end(seq, { role: 'source', outcome: takenBack }, now);
    const givenUp = from === 'waiting' && to === 'waiting' ? givenUpBy[event] : undefined;
    return givenUp === undefined ? undefined : this.#end(seq, { role: 'target', outcome: givenUp }, now);
  }

  #end(seq: number, { role, outcome }: { readonly role: MigrationRole; readonly outcome: MigrationOutcome }, now: number): MigrationResult {
    this.#departed.delete(seq);
    const milliseconds = take(this.#begun, seq, now);
    return { kind: 'ended', role, outcome, ...(milliseconds === undefined ? {} : { milliseconds }) };
  }
}

function remember(times: Map<number, number>, seq: number, now: number): void {
  const [oldest] = times.keys();
  if (times.size >= rememberedMax && oldest !== undefined) times.delete(oldest);
  times.set(seq, now);
}

function take(times: Map<number, number>, seq: number, now: number): number | undefined {
  const since = times.get(seq);
  times.delete(seq);
  return since === undefined ? undefined : now - since;
}
