/** Network namespaces for tests: named so that nobody else's are touched, and removed whatever happens. */
import { run } from './command.ts';
import { undoAtExit } from './exit-cleanup.ts';

/** Where clean-up is registered: tap's `t`, or a CleanupStack outside of tests. */
export interface TeardownScope {
  teardown(undo: () => void | Promise<void>): void;
}

let created = 0;

/** A name no other test process uses: `wt`, this process's id, a counter and a label for the reader. */
export function uniqueName(label: string): string {
  created += 1;
  return `wt${process.pid}-${created}-${label}`;
}

/** The path of a named network namespace, as runtimes pass it in CNI_NETNS. */
export function netnsPath(netns: string): string {
  return `/run/netns/${netns}`;
}

/**
 * Creates a network namespace that goes away with the scope. Its loopback is left down, as runtimes leave it.
 * @returns its name
 */
export function createNetns(scope: TeardownScope, label = 'ns'): string {
  const netns = uniqueName(label);
  run('ip', ['netns', 'add', netns]);
  const forget = undoAtExit(() => removeNetns(netns));
  scope.teardown(() => {
    forget();
    removeNetns(netns);
  });
  return netns;
}

/** Creates many namespaces with one call of `ip`; they go away, together, with the scope. */
export function createManyNetns(scope: TeardownScope, count: number, label: string): readonly string[] {
  const names = Array.from({ length: count }, () => uniqueName(label));
  const remove = (): void => void runBatch(names.map((netns) => `netns del ${netns}`));
  const forget = undoAtExit(remove);
  scope.teardown(() => {
    forget();
    remove();
  });
  runBatch(names.map((netns) => `netns add ${netns}`));
  return names;
}

/** Runs lines of `ip` in one process; `-force` goes on after a line that fails, as removal must. */
function runBatch(lines: readonly string[]): void {
  try {
    run('ip', ['-force', '-batch', '-'], `${lines.join('\n')}\n`);
  } catch (error) {
    if (!lines.every((line) => line.startsWith('netns del'))) throw error;
  }
}

/** A test may have removed the namespace itself: that is not an error. */
function removeNetns(netns: string): void {
  try {
    run('ip', ['netns', 'del', netns]);
  } catch {
    // Already gone.
  }
}
