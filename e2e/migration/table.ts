/** The figures as a table for a person, in Markdown. Pure. */
import { figuresOf, type Figures, type Role, type Sample, type Spread } from './figures.ts';

/** A course and what came of it. */
export interface Row {
  readonly title: string;
  readonly samples: readonly Sample[];
  /** What must hold on any machine, and does not. */
  readonly broken: readonly string[];
  /** The goals that are not reached; absent: it has none. */
  readonly missed?: readonly string[];
  /** How long it was waited for, where the machine was not reached. */
  readonly patienceMs: number;
}

const head = ['course', 'migrations', 'lost', 'lost beyond the pause', 'lost from it', 'duplicates', 'activation to first packet, ms', 'to its answer, ms', 'longest gap, ms', 'first migration: lost, ms'];
const roles: readonly Role[] = ['source', 'target', 'third'];

/** One line for each course, and with details one for the senders on each node. Three numbers are p50/p95/max over flows and migrations. */
export function renderCourses(rows: readonly Row[], { hasDetails = false }: { readonly hasDetails?: boolean } = {}): string {
  const lines = rows.flatMap((row) => [
    lineOf(row.title, row),
    ...(hasDetails ? roles.map((role) => lineOf(`… from the ${role === 'third' ? 'third node' : `${role}’s node`}`, row, role)) : []),
  ]);
  return markdown([head, ...lines]);
}

function lineOf(title: string, { samples, patienceMs }: Row, role?: Role): readonly string[] {
  const figures = figuresOf(samples, role);
  const first = figuresOf(samples.slice(0, 1), role);
  return [
    title,
    figures.judged === figures.migrations ? `${figures.migrations}` : `${figures.judged} of ${figures.migrations}`,
    count(figures.lost),
    count(figures.beyondPause),
    count(figures.lostFrom),
    count(figures.duplicated),
    firstPacket(figures, patienceMs),
    milliseconds(figures.answerMs),
    milliseconds(figures.gapMs),
    first.lost.count === 0 ? '–' : `${first.lost.max}, ${firstPacket(first, patienceMs).split('/').at(-1)}`,
  ];
}

function firstPacket({ activationToFirstMs, unreached }: Figures, patienceMs: number): string {
  if (unreached === 0) return milliseconds(activationToFirstMs);
  const never = `not within ${patienceMs / 1000} s`;
  return activationToFirstMs.count === 0 ? never : `${milliseconds(activationToFirstMs)}, ${unreached} of ${unreached + activationToFirstMs.count} ${never}`;
}

/** How the course compares with the goals of issue 6. */
export function renderGoals({ missed }: Row): string {
  if (missed === undefined) return 'no goals';
  return missed.length === 0 ? 'goals reached' : `goals NOT reached: ${missed.join('; ')}`;
}

/** TCP, one line for each course that had any. */
export function renderStreams(rows: readonly Row[]): string {
  const lines = rows.flatMap(({ title, samples }) => {
    const { streams } = figuresOf(samples);
    if (streams === undefined) return [];
    const { retransmitted, timeouts, stallMs, broken } = streams;
    return [[title, `${retransmitted.count}`, count(retransmitted), timeouts === undefined ? 'not counted' : count(timeouts), `${broken.length}`, milliseconds(stallMs)]];
  });
  return lines.length === 0 ? '' : markdown([['course', 'connections × migrations', 'segments sent again', 'timeouts', 'ended', 'longest stall, ms'], ...lines]);
}

function count({ p50, p95, max }: Spread): string {
  return Number.isNaN(max) ? '–' : `${p50}/${p95}/${max}`;
}

function milliseconds({ p50, p95, max }: Spread): string {
  const text = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
  return Number.isNaN(max) ? '–' : `${text(p50)}/${text(p95)}/${text(max)}`;
}

function markdown([first = [], ...rest]: readonly (readonly string[])[]): string {
  return [first, first.map(() => '---'), ...rest].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
