/** Control groups of containers, under a parent of the test's own so that they can be told from the machine's. */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../pkg/testing/command.ts';

const mountPoint = '/sys/fs/cgroup';
/** The kernel may say busy for a moment after a group's last process has gone. */
const attempts = 50;

/** The directories of a group: one, or one in each hierarchy of cgroup version 1. */
export function findCgroups(name: string): readonly string[] {
  const parents = [mountPoint, ...directoriesIn(mountPoint)];
  return parents.flatMap(directoriesIn).filter((path) => path.endsWith(`/${name}`));
}

/** Removes a group with those below it, none of which has a process any more. @throws Error where one stays */
export function removeCgroups(name: string): void {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const left = findCgroups(name);
    if (left.length === 0) return;
    left.forEach(removeTree);
    run('sleep', ['0.1']);
  }
  throw new Error(`control groups are still in use: ${findCgroups(name).join(', ')}`);
}

function removeTree(path: string): void {
  directoriesIn(path).forEach(removeTree);
  try {
    rmdirSync(path);
  } catch {
    // Busy: the next attempt finds it again.
  }
}

function directoriesIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name));
  } catch {
    // A group that has gone in the meantime, as those of other processes may.
    return [];
  }
}
