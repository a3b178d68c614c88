/** GC: what the runtime no longer knows goes, and whatever belongs to nothing. It does as much as it can and reports the rest. */
import type { CniRequest } from '../cni/dispatch.ts';
import { delegateGc } from '../cni/delegate.ts';
import { networkNameOf } from '../config/network-name.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { mendGuardOf } from './guard.ts';
import type { EngineParts } from './engine-parts.ts';
import { delegatedIpamOf } from './ipam.ts';
import { finishPendingDels } from './pending.ts';
import { isBeingWorkedOn } from './predecessor.ts';
import { dropUnusedSegment, removeUnchanged, settle } from './remove.ts';

/** Removes this network's attachments that are not valid any more, interrupted ones of any network, and garbage. @throws WeftError naming all that failed */
export async function collect(parts: EngineParts, request: CniRequest): Promise<void> {
  await finishPendingDels(parts, request);
  const failures: string[] = [];
  for (const record of findInvalid(parts, request)) {
    await attempt(failures, `container ${record.key.containerId}, ${record.key.ifName}`, () => removeUnchanged(parts, record, request));
  }
  await attempt(failures, 'garbage', () => sweep(parts));
  const plugin = delegatedIpamOf(request.conf);
  if (plugin !== undefined) await attempt(failures, `the IPAM plugin ${plugin}`, () => delegateGc(plugin, request, { executor: parts.executor }));
  if (failures.length > 0) throw new WeftError('tryAgainLater', `GC could not finish: ${failures.join('; ')}`);
}

async function attempt(failures: string[], what: string, fn: () => Promise<unknown>): Promise<void> {
  try {
    await fn();
  } catch (error) {
    failures.push(`${what}: ${describeError(error)}`);
  }
}

function findInvalid(parts: EngineParts, request: CniRequest): AttachmentRecord[] {
  const network = networkNameOf(request.conf);
  const valid = new Set((request.validAttachments ?? []).map(({ containerID, ifname }) => `${containerID} ${ifname}`));
  const isInvalid = ({ key }: AttachmentRecord): boolean => key.network === network && !valid.has(`${key.containerId} ${key.ifName}`);
  const records = parts.ledger().read((tx) => tx.listAttachments());
  return records.filter((record) => !isBeingWorkedOn(parts, record) && (record.state !== 'attached' || isInvalid(record)));
}

/**
 * Removes what nothing in the ledger accounts for, and mends the guard. Inside a write transaction: every ADD writes its row before it makes
 * its first kernel object, so what has no row now has no owner.
 */
export async function sweep(parts: EngineParts): Promise<void> {
  const { unused, collected, mended } = parts.ledger().write((tx) => {
    const unused = tx.listSegments().map(({ vni }) => dropUnusedSegment(parts, tx, vni));
    const known = { segments: tx.listSegments().map((entry) => entry.segment), ports: tx.listAttachments().map((record) => record.port) };
    return { unused, collected: parts.datapath.collect(known), mended: mendGuardOf(parts, tx) };
  });
  const removed = await collected;
  await settle(parts, unused);
  for (const what of removed) parts.warn('garbage-removed', `removed ${what}, which belonged to no attachment`);
  for (const what of mended) parts.warn('guard-mended', `made the guard anew: ${what}`);
}
