import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { undoAtExit } from './exit-cleanup.ts';
import type { TeardownScope } from './netns.ts';

/**
 * Makes a directory that goes away with the scope, or with this process.
 * @returns its path, short enough for a socket in it: that has at most 107 bytes (unix(7))
 */
export function temporaryDirectory(scope: TeardownScope): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-test-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const forget = undoAtExit(remove);
  scope.teardown(() => {
    forget();
    remove();
  });
  return directory;
}
