/** Whether the daemon did what it is measured by, or weft alone did it for the launcher. */
import type { Daemon } from './daemon.ts';
import type { LabNode } from './lab.ts';

/** ADDs and DELs of the launcher, and those of them that were done by weft alone and not by the daemon. */
export interface Fallback {
  readonly launched: number;
  readonly doneAlone: number;
}

/** Of a node's one daemon, from its start to now. */
export function fallbackOf({ spawner, launched: { executable } }: LabNode, daemon: Daemon): Fallback {
  const launched = spawner.executions(executable, 'ADD') + spawner.executions(executable, 'DEL');
  const done = daemon.calls().filter(({ verb }) => verb === 'ADD' || verb === 'DEL').length;
  return { launched, doneAlone: launched - done };
}

/** Of two nodes together. */
export function sumOf(one: Fallback, other: Fallback): Fallback {
  return { launched: one.launched + other.launched, doneAlone: one.doneAlone + other.doneAlone };
}
