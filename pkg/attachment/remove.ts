/** Removing an attachment: DEL's code, and the undo of an ADD that failed. */
import type { CniRequest } from '../cni/dispatch.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerReader, LedgerTransaction } from '../ledger/ledger.ts';
import type { Vni } from '../netaddr/netaddr.ts';
import type { EngineParts } from './engine-parts.ts';
import type { Segment } from '../overlay/model.ts';
import { isDelegated, releaseDelegate } from './ipam.ts';

/** What a delegated IPAM plugin is called with. */
export type Caller = Pick<CniRequest, 'env' | 'path'>;

/** An attachment that this process is removing. */
export interface Claim {
  readonly record: AttachmentRecord;
  readonly segment: Segment | undefined;
  /** Whether no other attachment uses the segment. */
  readonly isLast: boolean;
}

/**
 * Removes exactly this attachment: by its sequence number, so that a successor under the same key or endpoint keeps what it has.
 * It can be called again after any failure, by any process.
 * @returns false where its row was gone already
 * @throws WeftError when a step failed; the row stays, as `deleting`
 */
export async function removeAttachment(parts: EngineParts, record: AttachmentRecord, caller: Caller): Promise<boolean> {
  const [claim] = await claimAttachments(parts, () => [record]);
  if (claim === undefined) return false;
  await removeClaimed(parts, claim, caller);
  return true;
}

/**
 * As removeAttachment(), where the record alone says that the attachment may go: only while it is in the ledger as it was read.
 * Between the reading and the look at its worker's process an ADD may have ended well, and its process with it.
 * @returns false where it has changed or is gone
 */
export async function removeUnchanged(parts: EngineParts, record: AttachmentRecord, caller: Caller): Promise<boolean> {
  const [claim] = await claimAttachments(parts, (tx) => (isUnchanged(record, tx.findAttachmentBySeq(record.seq)) ? [record] : []));
  if (claim === undefined) return false;
  await removeClaimed(parts, claim, caller);
  return true;
}

function isUnchanged({ state, worker }: AttachmentRecord, present: AttachmentRecord | undefined): boolean {
  return present !== undefined && present.state === state && present.worker.pid === worker.pid && present.worker.startTime === worker.startTime;
}

/** Finds attachments and claims those that are still there, in one transaction; each claim must be given to removeClaimed(). */
export async function claimAttachments(parts: EngineParts, find: (tx: LedgerReader) => readonly AttachmentRecord[]): Promise<Claim[]> {
  const claimed: number[] = [];
  try {
    return await parts.ledger().writeTogether((tx) => find(tx).flatMap((record) => {
      if (!tx.claimForDeletion(record.seq, parts.worker)) return [];
      parts.claims.begin(record.seq);
      claimed.push(record.seq);
      return [{ record, segment: tx.findSegment(record.vni)?.segment, isLast: tx.countAttachments(record.vni) === 1 }];
    }));
  } catch (error) {
    for (const seq of claimed) parts.claims.end(seq);
    throw error;
  }
}

/** As removeAttachment(), of one that is claimed. */
export async function removeClaimed(parts: EngineParts, { record, segment, isLast }: Claim, caller: Caller): Promise<void> {
  try {
    if (record.port.migration !== undefined) await parts.moves?.remove(record);
    // The last one goes together with its segment, unless a delegated plugin must be told in between.
    const goesWithSegment = isLast && !isDelegated(record.ipam);
    await parts.datapath.prepareRemoval(record.port);
    if (!goesWithSegment) await parts.datapath.detachSoon(record.port, segment);
    await releaseDelegate(parts, record, caller);
    const removals = await parts.ledger().writeTogether((tx) => {
      // Another DEL of the same attachment may have been faster; what is there under its name by now is not this one's.
      if (!tx.deleteAttachment(record.seq)) return [];
      return [goesWithSegment ? removeWithSegment(parts, tx, record) : dropUnusedSegment(parts, tx, record.vni)];
    });
    const settled = settle(parts, removals);
    // The container has lost its network by now: nobody need wait for the tenant's links, which are doomed.
    if (goesWithSegment || parts.background === undefined) await settled;
    else parts.background.leave(settled, `removing the segment of VNI ${record.vni}`);
  } finally {
    parts.claims.end(record.seq);
  }
}

/**
 * Removes what an ADD has made after a DEL took its row: nobody else knows of it. What a successor under the same name, or
 * other attachments of the tenant, have in use by now stays.
 */
export async function removeOrphan(parts: EngineParts, { hostIf, vni, port }: AttachmentRecord, segment: Segment): Promise<void> {
  await settle(parts, parts.ledger().write((tx) => [
    tx.findAttachmentByHostIf(hostIf) === undefined ? parts.datapath.detach(port, segment) : undefined,
    tx.findSegment(vni) === undefined ? parts.datapath.removeSegment({ segment, remaining: otherSegments(tx, vni) }) : undefined,
  ]));
}

/**
 * Inside the transaction that deletes the row: when this throws, the row stays, and a later call does it all again. When it
 * returns the links are doomed, so that an ADD that comes next makes them anew; the promise is for whoever asked for the DEL.
 */
function removeWithSegment(parts: EngineParts, tx: LedgerTransaction, { vni, port }: AttachmentRecord): Promise<void> {
  const segment = tx.findSegment(vni)?.segment;
  // Another ADD may have come since the row was claimed.
  if (segment === undefined || tx.countAttachments(vni) > 0) return parts.datapath.detach(port, segment);
  const gone = parts.datapath.removeSegment({ segment, remaining: otherSegments(tx, vni), ports: [port] });
  tx.deleteSegment(vni);
  return gone;
}

function otherSegments(tx: LedgerTransaction, vni: Vni): Segment[] {
  return tx.listSegments().map((entry) => entry.segment).filter((other) => other.vni !== vni);
}

/**
 * Removes the segment of a VNI that has no attachment left. Inside the write transaction: an ADD that wants the segment
 * cannot write its row until the links are gone, and makes them anew.
 */
export function dropUnusedSegment(parts: EngineParts, tx: LedgerTransaction, vni: Vni): Promise<void> | undefined {
  const segment = tx.findSegment(vni)?.segment;
  if (segment === undefined || tx.countAttachments(vni) > 0) return undefined;
  try {
    const gone = parts.datapath.removeSegment({ segment, remaining: otherSegments(tx, vni) });
    tx.deleteSegment(vni);
    return gone;
  } catch (error) {
    // The attachment itself is gone; the segment's row says that its links are still to be removed, by GC or the next DEL.
    parts.warn('segment-left', `the segment of VNI ${vni} could not be removed: ${describeError(error)}`);
    return undefined;
  }
}

/**
 * Waits for links to be gone, then removes what no attachment of the node needs any more: in a transaction of its own, in which
 * no ADD can come in between.
 */
export async function settle(parts: EngineParts, removals: readonly (Promise<void> | undefined)[]): Promise<void> {
  const running = removals.filter((removal) => removal !== undefined);
  if (running.length === 0) return;
  await Promise.all(running);
  await trimGuard(parts);
}

function trimGuard(parts: EngineParts): Promise<void> {
  return parts.ledger().write((tx) => parts.datapath.trimGuard(tx.listSegments().map((entry) => entry.segment)));
}

/** Removes what an earlier call could not remove, or did not live to: segments without attachments, the guard of a node without any. */
export async function dropUnusedSegments(parts: EngineParts): Promise<void> {
  const { segments, unused } = parts.ledger().read((tx) => {
    const segments = tx.listSegments();
    return { segments, unused: segments.filter(({ vni }) => tx.countAttachments(vni) === 0) };
  });
  if (segments.length > 0 && unused.length === 0) return;
  const removals = parts.ledger().write((tx) => unused.map(({ vni }) => dropUnusedSegment(parts, tx, vni)));
  await Promise.all(removals);
  await trimGuard(parts);
}
