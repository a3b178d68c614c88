/** What a test needs of the machine, and the honest reason when it is not there. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Requirements {
  /** The test needs the privileges of root: namespaces, devices, raw sockets. */
  readonly root?: boolean;
  /** Programs that must be on PATH. */
  readonly tools?: readonly string[];
  /** Files that must exist and be executable, for example the program under test. */
  readonly executables?: readonly string[];
}

/**
 * The reason to skip a test on this machine, or false: made for tap's `skip` option.
 * @throws Error where something is missing and WEFT_TEST_STRICT=1: then a missing privilege or tool is a failure.
 */
export function skipUnless(requirements: Requirements): string | false {
  const missing = missingRequirements(requirements);
  if (missing.length === 0) return false;
  const reason = `needs ${missing.join(' and ')}`;
  if (process.env['WEFT_TEST_STRICT'] === '1') throw new Error(`${reason} (WEFT_TEST_STRICT=1 makes this a failure)`);
  return reason;
}

function missingRequirements({ root = false, tools = [], executables = [] }: Requirements): readonly string[] {
  const missing: string[] = [];
  if (root && process.getuid?.() !== 0) missing.push('root');
  missing.push(...tools.filter((tool) => !isOnPath(tool)).map((tool) => `the program ${tool}`));
  missing.push(...executables.filter((path) => !isExecutable(path)).map((path) => `the executable ${path}`));
  return missing;
}

function isOnPath(tool: string): boolean {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.some((directory) => isExecutable(join(directory, tool)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
