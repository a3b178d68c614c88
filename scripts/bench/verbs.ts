/** The figures of ADD and DEL together. Pure. */
import { ratio, summarise, type Summary } from './statistics.ts';
import { samplesOf, type Samples } from './turns.ts';

/** What ADD and DEL took, or shares of what they took elsewhere. */
export interface Verbs {
  readonly add: Summary;
  readonly del: Summary;
}

/** A participant's figures. @throws RangeError without samples */
export function verbsOf(samples: Samples, name: string): Verbs {
  return { add: summarise(samplesOf(samples, name, 'ADD')), del: summarise(samplesOf(samples, name, 'DEL')) };
}

/** Both verbs as shares of another contender's. */
export function verbRatios(own: Verbs, reference: Verbs): Verbs {
  return { add: ratio(own.add, reference.add), del: ratio(own.del, reference.del) };
}

/** What verbCells() has, as the heads of columns. */
export const percentiles: readonly string[] = ['ADD p50', 'ADD p95', 'DEL p50', 'DEL p95'];

/** Both verbs' figures as cells of a row. */
export function verbCells({ add, del }: Verbs, format: (figure: number) => string): readonly string[] {
  return [add.p50, add.p95, del.p50, del.p95].map(format);
}
