/** The daemon's own figures, from its log. Pure. */

/** A call of ADD or DEL that succeeded. */
export interface LoggedCall {
  readonly verb: string;
  /** Milliseconds in the daemon, waiting for its turn included. */
  readonly ms: number;
  /** Milliseconds by step, where the line has them. */
  readonly steps: Readonly<Record<string, number>>;
}

/** The calls that the log tells of, in its order. Other lines, and one that is not yet written to its end, are passed over. */
export function parseCalls(log: string): readonly LoggedCall[] {
  return log.split('\n').flatMap((line) => {
    const fields = parseFields(line);
    const { verb, ms, outcome, steps } = fields;
    if (typeof verb !== 'string' || typeof ms !== 'number' || outcome !== 'ok') return [];
    return [{ verb, ms, steps: numbersOf(steps) }];
  });
}

function parseFields(line: string): Readonly<Record<string, unknown>> {
  if (!line.startsWith('{')) return {};
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function numbersOf(value: unknown): Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
}

/** The steps' milliseconds by name, in the order in which they first appear. A call without a step has no sample of it. */
export function samplesByStep(calls: readonly LoggedCall[]): ReadonlyMap<string, readonly number[]> {
  const samples = new Map<string, number[]>();
  for (const { steps } of calls) {
    for (const [name, ms] of Object.entries(steps)) samples.set(name, [...(samples.get(name) ?? []), ms]);
  }
  return samples;
}
