/** Courses on their places. A place is built for all of the courses that follow each other there. */
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import type { Carrier } from './carrier.ts';
import type { Combination, Place } from './combinations.ts';
import { migrate, usualPatienceMs } from './course.ts';
import { figuresOf, judge } from './figures.ts';
import { findBroken } from './invariants.ts';
import { createPlainCarrier } from './plain-carrier.ts';
import { createScene } from './scene.ts';
import type { Row } from './table.ts';

/** Builds what carries machines at a place. It goes away with the scope. */
export async function buildPlace(scope: TeardownScope, { carrier, datapath, controlPlane }: Place): Promise<Carrier> {
  if (carrier === 'bridges by hand') return createPlainCarrier(scope, { hasRelay: false });
  return createScene(scope, { datapaths: [datapath, datapath, datapath], controlPlane, isCold: carrier !== 'weft' });
}

/** Runs a course. @throws Error where a migration fails */
export async function runCourse(scope: TeardownScope, carrier: Carrier, combination: Combination, migrations: number): Promise<Row> {
  const { title, course, goal } = combination;
  const { samples, lostAtRest } = await migrate(scope, carrier, { ...course, migrations });
  // Otherwise it would be no migration's fault.
  const unrest = lostAtRest === 0 ? [] : [`${lostAtRest} packets were lost before anything happened`];
  const judged = goal === undefined ? { broken: [] } : { broken: findBroken(samples, goal), missed: [...unrest, ...judge(figuresOf(samples), goal)] };
  return { title, samples, ...judged, patienceMs: course.patienceMs ?? usualPatienceMs };
}

/** The combinations by place, in their order. */
export function byPlace(combinations: readonly Combination[]): readonly (readonly Combination[])[] {
  const groups = new Map<string, Combination[]>();
  for (const combination of combinations) {
    const key = JSON.stringify(combination.place);
    groups.set(key, [...(groups.get(key) ?? []), combination]);
  }
  return [...groups.values()];
}
