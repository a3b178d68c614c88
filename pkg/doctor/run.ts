/** Runs checks, each with a deadline: one that hangs or fails is said and stops no other. */
import { describeError } from '../errors/weft-error.ts';
import { nextTurn, withDeadline } from '../sys/timer.ts';
import { finding, layers, type Finding, type Layer } from './finding.ts';

/** One check: what it looks at, and the look. */
export interface Check {
  readonly layer: Layer;
  /** What it looks at, in words: `the ways to the peers`. */
  readonly what: string;
  /** A command that shows the same, should it fail. */
  readonly show: string;
  /** It changes nothing. Whatever it throws is taken for not having seen. */
  readonly look: () => Promise<readonly Finding[]> | readonly Finding[];
}

/** What came of a check. */
export interface CheckOutcome {
  readonly layer: Layer;
  readonly what: string;
  readonly outcome: 'done' | 'failed' | 'late';
  readonly ms: number;
}

/** What came of all of them. */
export interface Examination {
  readonly outcomes: readonly CheckOutcome[];
  /** By layer, in the order in which they were found. */
  readonly findings: readonly Finding[];
}

/** How checks are run. */
export interface ExamineOptions {
  /** For each of them. */
  readonly deadlineMs: number;
  /** Told what is still looked at, whenever that gets less. */
  readonly onLeft?: (what: readonly string[]) => void;
}

/** Runs the checks side by side, each for so many milliseconds at most. What only reads the kernel does not wait and so is one behind the other. */
export async function examine(checks: readonly Check[], { deadlineMs, onLeft = () => undefined }: ExamineOptions): Promise<Examination> {
  const left = new Set(checks);
  const results = await Promise.all(
    checks.map(async (check) => {
      const result = await runCheck(check, deadlineMs);
      left.delete(check);
      if (left.size > 0) onLeft([...left].map(({ what }) => what));
      return result;
    }),
  );
  const findings = results.flatMap((result) => result.findings);
  return { outcomes: results.map(({ outcome }) => outcome), findings: layers.flatMap((layer) => findings.filter((one) => one.layer === layer)) };
}

async function runCheck(check: Check, deadlineMs: number): Promise<{ readonly outcome: CheckOutcome; readonly findings: readonly Finding[] }> {
  const { layer, what } = check;
  await nextTurn();
  const startedAt = performance.now();
  const done = (outcome: CheckOutcome['outcome']): CheckOutcome => ({ layer, what, outcome, ms: Math.round(performance.now() - startedAt) });
  try {
    const findings = await withDeadline((async () => check.look())(), { ms: deadlineMs, late: () => undefined });
    if (findings === undefined) return { outcome: done('late'), findings: [notSeen(check, `was not done within ${deadlineMs} ms`)] };
    return { outcome: done('done'), findings };
  } catch (error) {
    return { outcome: done('failed'), findings: [notSeen(check, `could not be done: ${describeError(error)}`)] };
  }
}

/** The note that something was not looked at. */
export function notSeen({ layer, what, show }: Pick<Check, 'layer' | 'what' | 'show'>, why: string): Finding {
  return { ...finding('not-seen', { subject: what, what: `looking at ${what} ${why}`, show }), layer };
}
