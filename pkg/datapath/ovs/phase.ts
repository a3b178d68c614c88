/** What the part of a port in a migration means for the switch. Pure. */
import type { AttachmentPort } from '../../overlay/model.ts';

type Moving = Pick<AttachmentPort, 'migration'>;

/** Whether the endpoint is on this node, as far as anybody is told. */
export function isHere({ migration }: Moving): boolean {
  return migration === undefined || migration.phase === 'relaying' || migration.phase === 'arrived';
}

/** Whether the port is closed both ways until its machine comes. */
export function isWaiting({ migration }: Moving): boolean {
  return migration?.phase === 'waiting';
}
