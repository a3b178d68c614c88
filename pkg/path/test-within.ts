/** Tests of this folder work in the namespaces of nodes. */
import { closeSync, openSync } from 'node:fs';
import { insideNetns } from '../sys/netns.ts';
import { netnsPath } from '../testing/netns.ts';

/** Runs with the thread in a namespace. */
export function within<T>(netns: string, fn: () => T): T {
  const fd = openSync(netnsPath(netns), 'r');
  try {
    return insideNetns(fd, fn);
  } finally {
    closeSync(fd);
  }
}
