/** DELs that could not be done when they came: written down, and done by the next call that can. */
import { delegateDel } from '../cni/delegate.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { listPendingDels, removePendingDel, writePendingDel, type PendingDel } from '../ledger/pending.ts';
import type { EngineParts } from './engine-parts.ts';
import { callOf, delegatedIpamOf, isDelegated, parseConf } from './ipam.ts';
import { removeAttachment, type Caller } from './remove.ts';

/** Does what is written down. What fails again stays written down, and is said. @throws WeftError when the ledger cannot be opened */
export async function finishPendingDels(parts: EngineParts, caller: Caller): Promise<void> {
  writeDownDropped(parts);
  const { entries, unreadable } = listPendingDels(parts.pendingDirectories);
  for (const { path, reason } of unreadable) parts.warn('pending-unreadable', `${path} cannot be read: ${reason}`);
  for (const entry of entries) {
    try {
      await finish(parts, entry.del, caller);
      removePendingDel(entry);
    } catch (error) {
      parts.warn('pending-failed', `the DEL written down in ${entry.path} failed again: ${describeError(error)}`);
    }
  }
}

/**
 * Attachments that a reboot ended are dropped from the ledger; addresses that another plugin gave them are still taken there
 * (host-local keeps them on the disk), and no runtime may remember to give them back. To be called by whoever opens the ledger to
 * change it: what the first opening after a reboot has dropped is told once.
 */
export function writeDownDropped({ ledger, pendingDirectories, now, warn }: Pick<EngineParts, 'ledger' | 'pendingDirectories' | 'now' | 'warn'>): void {
  for (const { key, ipam, conf } of ledger().takeDroppedFromLastBoot()) {
    if (!isDelegated(ipam)) continue;
    try {
      writePendingDel(pendingDirectories, { ...key, conf, requestedAt: now() });
    } catch (error) {
      warn('ipam-leak', `what the IPAM plugin ${ipam} gave container ${key.containerId} in the last boot is still to be given back: ${describeError(error)}`);
    }
  }
}

async function finish(parts: EngineParts, del: PendingDel, caller: Caller): Promise<void> {
  const { meant, isTaken } = findMeant(parts, del);
  for (const record of meant) await removeAttachment(parts, record, caller);
  // A delegated plugin knows an attachment by container and interface: what a successor holds under them stays.
  if (meant.length === 0 && !isTaken) await releaseUnknown(parts, del, caller);
}

/** The attachments a pending DEL is about: not one that was made after it was asked for. */
function findMeant(parts: EngineParts, { network, containerId, ifName, requestedAt }: PendingDel): { meant: readonly AttachmentRecord[]; isTaken: boolean } {
  const records = parts.ledger().read((tx) => tx.findAttachmentsOf(containerId, ifName));
  const ofNetwork = records.filter((record) => network === undefined || record.key.network === network);
  const meant = ofNetwork.filter((record) => record.createdAt <= requestedAt);
  return { meant, isTaken: ofNetwork.length > meant.length };
}

/** Of an attachment that the ledger no longer has, a delegated plugin may still hold the addresses. */
async function releaseUnknown(parts: EngineParts, { network = '', containerId, ifName, conf }: PendingDel, caller: Caller): Promise<void> {
  const json = conf === undefined ? {} : parseConf(conf);
  const plugin = delegatedIpamOf(json);
  if (plugin === undefined) return;
  await delegateDel(plugin, { ...callOf({ network, containerId, ifName }, '', caller), conf: json }, { executor: parts.executor });
}
