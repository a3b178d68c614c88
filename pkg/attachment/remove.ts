/** Removing an attachment: DEL's code, and the undo of an ADD that failed. */
import type { CniRequest } from '../cni/dispatch.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerTransaction } from '../ledger/ledger.ts';
import type { Vni } from '../netaddr/netaddr.ts';
import type { EngineParts } from './engine-parts.ts';
import type { Segment } from '../overlay/model.ts';
import { isDelegated, releaseDelegate } from './ipam.ts';

/** What a delegated IPAM plugin is called with. */
export type Caller = Pick<CniRequest, 'env' | 'path'>;

/**
 * Removes exactly this attachment: by its sequence number, so that a successor under the same key or endpoint keeps what it has.
 * It can be called again after any failure, by any process.
 * @returns false where its row was gone already
 * @throws WeftError when a step failed; the row stays, as `deleting`
 */
export async function removeAttachment(parts: EngineParts, record: AttachmentRecord, caller: Caller): Promise<boolean> {
  const claim = claimRow(parts, record);
  if (claim === undefined) return false;
  // The last one goes together with its segment, unless a delegated plugin must be told in between.
  const goesWithSegment = claim.isLast && !isDelegated(record.ipam);
  if (!goesWithSegment) parts.datapath.detach(record.port, claim.segment);
  await releaseDelegate(parts, record, caller);
  parts.ledger().write((tx) => {
    // Another DEL of the same attachment may have been faster; what is there under its name by now is not this one's.
    if (!tx.deleteAttachment(record.seq)) return;
    if (goesWithSegment) removeWithSegment(parts, tx, record);
    else dropUnusedSegment(parts, tx, record.vni);
  });
  return true;
}

/**
 * Removes what an ADD has made after a DEL took its row: nobody else knows of it. What a successor under the same name, or
 * other attachments of the tenant, have in use by now stays.
 */
export function removeOrphan(parts: EngineParts, { hostIf, vni, port }: AttachmentRecord, segment: Segment): void {
  parts.ledger().write((tx) => {
    if (tx.findAttachmentByHostIf(hostIf) === undefined) parts.datapath.detach(port, segment);
    if (tx.findSegment(vni) === undefined) parts.datapath.removeSegment({ segment, remaining: otherSegments(tx, vni) });
  });
}

interface Claim {
  readonly segment: Segment | undefined;
  /** Whether no other attachment uses the segment. */
  readonly isLast: boolean;
}

function claimRow(parts: EngineParts, { seq, vni }: AttachmentRecord): Claim | undefined {
  return parts.ledger().write((tx) => {
    if (tx.findAttachmentBySeq(seq) === undefined) return undefined;
    tx.setAttachmentState(seq, 'deleting', parts.worker);
    return { segment: tx.findSegment(vni)?.segment, isLast: tx.countAttachments(vni) === 1 };
  });
}

/** Inside the transaction that deletes the row: when this throws, the row stays, and a later call does it all again. */
function removeWithSegment(parts: EngineParts, tx: LedgerTransaction, { vni, port }: AttachmentRecord): void {
  const segment = tx.findSegment(vni)?.segment;
  // Another ADD may have come since the row was claimed.
  if (segment === undefined || tx.countAttachments(vni) > 0) {
    parts.datapath.detach(port, segment);
    return;
  }
  parts.datapath.removeSegment({ segment, remaining: otherSegments(tx, vni), ports: [port] });
  tx.deleteSegment(vni);
}

function otherSegments(tx: LedgerTransaction, vni: Vni): Segment[] {
  return tx.listSegments().map((entry) => entry.segment).filter((other) => other.vni !== vni);
}

/**
 * Removes the segment of a VNI that has no attachment left. Inside the write transaction: an ADD that wants the segment
 * cannot write its row until the links are gone, and makes them anew.
 */
export function dropUnusedSegment(parts: EngineParts, tx: LedgerTransaction, vni: Vni): void {
  const segment = tx.findSegment(vni)?.segment;
  if (segment === undefined || tx.countAttachments(vni) > 0) return;
  try {
    parts.datapath.removeSegment({ segment, remaining: otherSegments(tx, vni) });
    tx.deleteSegment(vni);
  } catch (error) {
    // The attachment itself is gone; the segment's row says that its links are still to be removed, by GC or the next DEL.
    parts.warn(`the segment of VNI ${vni} could not be removed: ${describeError(error)}`);
  }
}

/** Removes the segments that an earlier call could not remove. */
export function dropUnusedSegments(parts: EngineParts): void {
  const unused = parts.ledger().read((tx) => tx.listSegments().filter(({ vni }) => tx.countAttachments(vni) === 0));
  if (unused.length === 0) return;
  parts.ledger().write((tx) => {
    for (const { vni } of unused) dropUnusedSegment(parts, tx, vni);
  });
}
