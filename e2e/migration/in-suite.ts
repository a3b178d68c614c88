/** The courses of a place as tests. */
import t from 'tap';
import { frrRequirements } from '../../pkg/testing/frr.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { skipWithoutDaemonLabOf } from '../harness/weft-executable.ts';
import { combinations, type Place } from './combinations.ts';
import { buildPlace, byPlace, runCourse } from './stage.ts';
import { renderCourses, renderGoals, renderStreams } from './table.ts';

/** For the place, and for each migration. */
const placeTimeoutMs = 60_000;
const migrationTimeoutMs = 20_000;

/** Declares a test for each place that is meant, and in it one for each course. Figures and goals are remarks only: other people's work is on the same machine. */
export function testPlaces(isMeant: (place: Place) => boolean): void {
  const chosen = combinations.filter(({ place, inSuite }) => inSuite > 0 && isMeant(place));
  let total = 0;
  for (const group of byPlace(chosen)) {
    const place = group[0]?.place;
    if (place === undefined) continue;
    const skip = skipUnless({ root: true, tools: ['gcc', 'tc'] }) || skipWithoutDaemonLabOf([place.datapath]) || (place.controlPlane === 'evpn' && skipUnless(frrRequirements));
    const migrations = group.reduce((sum, { inSuite }) => sum + inSuite, 0);
    const timeout = placeTimeoutMs + migrations * migrationTimeoutMs;
    total += timeout;
    t.setTimeout(total);
    t.test(`${place.carrier}: ${place.datapath}, ${place.controlPlane}`, { skip, timeout }, async (t) => {
      const carrier = await buildPlace(t, place);
      for (const combination of group) {
        await t.test(combination.title, { timeout }, async (t) => {
          const row = await runCourse(t, carrier, combination, combination.inSuite);
          for (const line of `${renderCourses([row])}\n${renderStreams([row])}`.split('\n')) t.comment(line);
          t.comment(renderGoals(row));
          t.same(row.broken, [], 'what must hold on any machine holds');
        });
      }
    });
  }
}
