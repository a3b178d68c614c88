/** What the guard must have for the attachments in the ledger. */
import type { KnownState } from '../datapath/datapath.ts';
import type { AttachmentRecord, LedgerReader } from '../ledger/ledger.ts';
import type { EngineParts } from './engine-parts.ts';

/**
 * Mends the guard, within the transaction that the ledger is read in; returns what was wrong, in words. An attachment that is being
 * made or removed, by this process or another, lacks elements because it does not have them yet, or no more: what were
 * added to it would stay behind, and allow the next container on a host interface of that name a foreign address.
 */
export function mendGuardOf({ datapath }: Pick<EngineParts, 'datapath'>, tx: LedgerReader): string[] {
  const records = tx.listAttachments();
  const stateOf = (isMeant: (record: AttachmentRecord) => boolean): KnownState => {
    const meant = records.filter(isMeant);
    const vnis = new Set(meant.map(({ vni }) => vni));
    return { segments: tx.listSegments().map(({ segment }) => segment).filter(({ vni }) => vnis.has(vni)), ports: meant.map(({ port }) => port) };
  };
  return datapath.mendGuard(stateOf(({ state }) => state === 'attached'), stateOf(({ state }) => state !== 'deleting'));
}
