/** Which files are tests, and which of them must have the machine to themselves. */
import { globSync } from 'node:fs';

export interface TestPlan {
  /** Paths relative to the root, run beside each other. */
  readonly parallel: readonly string[];
  /** Run one at a time, after the others. */
  readonly serial: readonly string[];
}

const folders = '{cmd,pkg,e2e,scripts}';

/** Every test file under the root that a selection names; without selections all of them. A selection is a file or folder. */
export function planTests(root: string, selections: readonly string[]): TestPlan {
  const files = globSync(`${folders}/**/*.test.ts`, { cwd: root }).sort();
  const selected = files.filter((file) => selections.length === 0 || selections.some((selection) => isWithin(file, selection)));
  return { parallel: selected.filter((file) => !isSerial(file)), serial: selected.filter(isSerial) };
}

function isWithin(file: string, selection: string): boolean {
  const path = selection.replace(/^\.\//, '').replace(/\/$/, '');
  return path === '.' || file === path || file.startsWith(`${path}/`);
}

/** End-to-end tests load the machine with namespaces and processes; others say by their name that they cannot share it. */
function isSerial(file: string): boolean {
  return file.startsWith('e2e/') || file.endsWith('.serial.test.ts');
}
