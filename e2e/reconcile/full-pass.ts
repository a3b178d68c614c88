import type { Daemon, DaemonOptions } from '../harness/daemon.ts';

/** A daemon that says each pass. */
export const debugging: DaemonOptions = { args: ['--log-level', 'debug'] };

/**
 * Asks for a pass over the whole node and waits until it is over. What kernel events ask for are passes of their own: the log, at
 * level debug, tells them apart.
 */
export async function fullPass(daemon: Daemon): Promise<void> {
  const before = countFullPasses(daemon);
  daemon.signal('SIGHUP');
  await daemon.eventually('looks at the whole node', () => countFullPasses(daemon) > before);
}

function countFullPasses(daemon: Daemon): number {
  return daemon.linesOf(/^compared the node with the ledger$/).filter((line) => line['everything'] === true).length;
}
