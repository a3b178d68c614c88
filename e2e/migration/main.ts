/**
 * Runs all courses and prints the table for docs/:
 *
 *     node e2e/migration/main.ts [WORDS …]      only those whose titles have all of the words
 *
 * WEFT_MIGRATIONS is how many migrations each has, 50 unless it is given; WEFT_BIN and WEFT_LAUNCHER name other executables than those in dist/.
 * Each course is held against the goals of issue 6. Exit status 1 only where something is broken that must hold on any machine.
 */
import { CleanupStack } from '../harness/cleanup-stack.ts';
import { combinations, type Combination } from './combinations.ts';
import { buildPlace, byPlace, runCourse } from './stage.ts';
import { renderCourses, renderGoals, renderStreams, type Row } from './table.ts';

await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<void> {
  const chosen = combinations.filter(({ title }) => words.every((word) => title.includes(word)));
  const rows: Row[] = [];
  for (const group of byPlace(chosen)) rows.push(...(await runPlace(group)));
  const packets = rows.filter(({ samples }) => samples.some(({ flows }) => flows.length > 0));
  console.log(`\nThree numbers are p50/p95/max, over all flows and migrations.\n\n${renderCourses(packets)}\n`);
  console.log(`${renderStreams(rows)}\n\nBy where the sender is:\n\n${renderCourses(packets, { hasDetails: true })}\n`);
  console.log(rows.filter(({ missed }) => missed !== undefined).map((row) => ` - ${row.title}: ${renderGoals(row)}`).join('\n'));
  const broken = rows.flatMap(({ title, broken }) => broken.map((words) => ` - ${title}: ${words}`));
  if (broken.length > 0) console.log(`\nBroken:\n${broken.join('\n')}`);
  if (broken.length > 0 || rows.length === 0) process.exitCode = 1;
}

async function runPlace(group: readonly Combination[]): Promise<readonly Row[]> {
  const scope = new CleanupStack();
  const rows: Row[] = [];
  try {
    const [first] = group;
    if (first === undefined) return [];
    const carrier = await buildPlace(scope, first.place);
    for (const combination of group) {
      const row = await runCourse(scope, carrier, combination, Math.min(combination.inTable, Number(process.env['WEFT_MIGRATIONS'] ?? 50)));
      console.log(`${(performance.now() / 1000).toFixed(0).padStart(6)} s  ${row.title}: ${[...row.broken, renderGoals(row)].join('; ')}`);
      rows.push(row);
    }
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  await scope.run();
  return rows;
}
