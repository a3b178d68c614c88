/** Which files that failed are run once more, alone. */
import type { FileRun } from './run-file.ts';

/** More than this many at once are no accident. */
const secondRunsMax = 4;

/**
 * Tests of a real kernel and of real daemons share the machine with each other and with whoever else is on it. One that fails is run a second
 * time when everything else is done, and where it passes then, it is named as unsteady, with its first failure in full: something to be looked
 * at, and no reason to throw away a day's work. Tests of pure code have no such excuse, and a second failure is a failure.
 */
export function filesToRunAgain(runs: readonly Pick<FileRun, 'path' | 'failures'>[]): readonly string[] {
  const failed = runs.filter(({ failures }) => failures.length > 0).map(({ path }) => path);
  return failed.length > secondRunsMax ? [] : failed.filter(usesTheMachine);
}

function usesTheMachine(path: string): boolean {
  return /\.(netns|e2e|serial)\.test\.ts$/.test(path);
}
