/** What an ADD finds in its way: an earlier attempt under its own key, or an earlier container of its endpoint. */
import { WeftError } from '../errors/weft-error.ts';
import { isWorkerAlive } from '../ledger/boot.ts';
import type { AttachmentRecord, LedgerReader } from '../ledger/ledger.ts';
import type { Vni } from '../netaddr/netaddr.ts';
import { getLink } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { AttachmentKey } from '../overlay/model.ts';
import { findNetnsId } from '../sys/netns.ts';
import type { EngineParts } from './engine-parts.ts';
import { removeUnchanged, type Caller } from './remove.ts';

/** The attachment that an ADD is about to make. */
export interface Newcomer {
  readonly key: AttachmentKey;
  readonly vni: Vni;
  readonly endpoint?: string;
}

/**
 * Removes predecessors whose container is gone.
 * @throws WeftError tryAgainLater while another process works on one; interfaceExists, addressTaken while one is in use
 */
export async function clearWay(parts: EngineParts, caller: Caller, newcomer: Newcomer): Promise<void> {
  for (const record of parts.ledger().read((tx) => findPredecessors(tx, newcomer))) {
    if (isBeingWorkedOn(parts, record)) {
      throw new WeftError('tryAgainLater', `Another call (process ${record.worker.pid}) is working on container ${record.key.containerId}, ${record.key.ifName}`);
    }
    if (record.state === 'attached' && !isLeft(record, newcomer) && isInUse(parts, record)) throw inUse(record, newcomer);
    const isRemoved = await removeUnchanged(parts, record, caller);
    if (!isRemoved && isThere(parts, record)) throw new WeftError('tryAgainLater', `Another call has just worked on container ${record.key.containerId}, ${record.key.ifName}`);
  }
}

/** An endpoint that comes back finds the container that it has left: closed for good, whether or not its DEL has come. */
function isLeft({ key, port }: AttachmentRecord, newcomer: Newcomer): boolean {
  return port.migration?.phase === 'left' && key.containerId !== newcomer.key.containerId;
}

function isThere(parts: EngineParts, { seq }: AttachmentRecord): boolean {
  return parts.ledger().read((tx) => tx.findAttachmentBySeq(seq)) !== undefined;
}

/** Attachments that are in the newcomer's way. */
export function findPredecessors(tx: LedgerReader, { key, vni, endpoint }: Newcomer): AttachmentRecord[] {
  const own = tx.findAttachment(key);
  const others = endpoint === undefined ? [] : tx.listAttachments({ vni, endpoint }).filter((record) => record.seq !== own?.seq);
  return own === undefined ? [...others] : [own, ...others];
}

/** Whether another call, of this process or of another that still runs, is in the middle of an ADD or DEL of the attachment. */
export function isBeingWorkedOn(parts: EngineParts, record: AttachmentRecord): boolean {
  if (record.state === 'attached') return false;
  const isOwn = record.worker.pid === parts.worker.pid && record.worker.startTime === parts.worker.startTime;
  return isOwn ? parts.claims.has(record.seq) : isWorkerAlive(record.worker);
}

/**
 * Whether the container is there. Its veth goes with its namespace, but only some milliseconds later: a path that is gone, or
 * names another namespace by now, says it first.
 */
function isInUse(parts: EngineParts, record: AttachmentRecord): boolean {
  if (findNetnsId(record.netns) !== record.netnsId) return false;
  const [outcome] = parts.kernel.route.tryRequest([getLink(record.hostIf)]);
  return !(outcome instanceof NetlinkError);
}

function inUse(record: AttachmentRecord, newcomer: Newcomer): WeftError {
  const { containerId, ifName } = record.key;
  if (record.endpoint !== undefined && record.endpoint === newcomer.endpoint && containerId !== newcomer.key.containerId) {
    return new WeftError('addressTaken', `The endpoint ${record.endpoint} is attached to container ${containerId}, ${ifName}: delete that one first, or use another WEFT_ENDPOINT`);
  }
  return new WeftError('interfaceExists', `Container ${containerId}, ${ifName} is attached to network ${record.key.network} already, in ${record.netns}: call DEL first`);
}
