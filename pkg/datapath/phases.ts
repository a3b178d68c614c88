/** What the phases of a migration mean to a datapath, whichever it is. Pure. */
import type { MigrationPhase, PortMigration } from '../overlay/model.ts';

/** What of an attachment says how far it is. */
export interface MovingState {
  readonly migration?: Pick<PortMigration, 'phase'>;
}

function isIn({ migration }: MovingState, phases: readonly MigrationPhase[]): boolean {
  return migration !== undefined && phases.includes(migration.phase);
}

/** Whether nothing gets out of the container, and nothing into it but what a bridge floods; a waiting one may open itself. */
export function isClosed(port: MovingState): boolean {
  return isIn(port, ['departed', 'left', 'waiting']);
}

/** Whether the machine may open the gate. */
export function isWaiting(port: MovingState): boolean {
  return isIn(port, ['waiting']);
}

/** Whether frames for it are relayed from here. */
export function isRelayed(port: MovingState): boolean {
  return isIn(port, ['relaying', 'departed']);
}

/** Whether what the other node relays is let in. */
export function isRelayedTo(port: MovingState): boolean {
  return isIn(port, ['waiting', 'arrived']);
}
