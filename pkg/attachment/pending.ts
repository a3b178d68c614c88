/** DELs that could not be done when they came: written down, and done by the next call that can. */
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { listPendingDels, removePendingDel, type PendingDel } from '../ledger/pending.ts';
import type { EngineParts } from './engine-parts.ts';
import { removeAttachment, type Caller } from './remove.ts';

/** Does what is written down. Never throws: what fails again stays written down, and is said. */
export async function finishPendingDels(parts: EngineParts, caller: Caller): Promise<void> {
  const { entries, unreadable } = listPendingDels(parts.pendingDirectories);
  for (const { path, reason } of unreadable) parts.warn(`${path} cannot be read: ${reason}`);
  for (const entry of entries) {
    try {
      for (const record of findMeant(parts, entry.del)) await removeAttachment(parts, record, caller);
      removePendingDel(entry);
    } catch (error) {
      parts.warn(`the DEL written down in ${entry.path} failed again: ${describeError(error)}`);
    }
  }
}

/** The attachments a pending DEL is about: not one that was made after it was asked for. */
function findMeant(parts: EngineParts, { network, containerId, ifName, requestedAt }: PendingDel): AttachmentRecord[] {
  const records = parts.ledger().read((tx) => tx.findAttachmentsOf(containerId, ifName));
  return records.filter((record) => (network === undefined || record.key.network === network) && record.createdAt <= requestedAt);
}
