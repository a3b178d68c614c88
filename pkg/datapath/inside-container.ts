/** Work inside a container's namespace, as the ledger names it. */
import { closeSync } from 'node:fs';
import { openNetnsById } from '../sys/netns.ts';
import { nothingWrong, type Repair } from './fault.ts';
import type { PortToRepair } from './repair.ts';

/** The repair of a port whose container is gone: with its namespace a port goes, and that is no damage. */
export const containerGone: Repair = { ...nothingWrong, isGone: true };

/** Runs with the container's namespace; undefined where that is gone. */
export function insideContainer<T>({ netns, netnsId }: Pick<PortToRepair, 'netns' | 'netnsId'>, fn: (netnsFd: number) => T): T | undefined {
  const netnsFd = openNetnsById(netns, netnsId);
  if (netnsFd === undefined) return undefined;
  try {
    return fn(netnsFd);
  } finally {
    closeSync(netnsFd);
  }
}

/** What is left wrong in there is the container's own doing, also what the kernel refuses: it has switched IPv6 off, say. */
export function asContainers(repair: Repair | undefined): Repair {
  return repair === undefined ? containerGone : { repaired: repair.repaired, left: [...repair.left, ...repair.failed], failed: [] };
}
