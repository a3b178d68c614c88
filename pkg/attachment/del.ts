/** DEL: never gets in the way. It works from the ledger, not from the configuration, and writes down what it cannot do now. */
import type { CniRequest } from '../cni/dispatch.ts';
import { delegateDel } from '../cni/delegate.ts';
import { networkNameOf } from '../config/network-name.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerReader } from '../ledger/ledger.ts';
import { writePendingDel } from '../ledger/pending.ts';
import { portName } from '../overlay/names.ts';
import type { EngineParts } from './engine-parts.ts';
import { delegatedIpamOf } from './ipam.ts';
import { finishPendingDels } from './pending.ts';
import { claimAttachments, dropUnusedSegments, removeClaimed, type Claim } from './remove.ts';

/** Detaches the container. @throws WeftError ioFailure, when it can be neither done nor written down */
export async function del(parts: EngineParts, request: CniRequest): Promise<void> {
  const network = networkNameOf(request.conf);
  try {
    await finishPendingDels(parts, request);
    const claims = await claimAttachments(parts, (tx) => findRecords(tx, request, network));
    await removeAll(parts, claims, request);
    if (claims.length > 0) return;
    await delUnknown(parts, request, network);
    await dropUnusedSegments(parts);
  } catch (error) {
    await postpone(parts, { request, network, error });
  }
}

/** One attachment; without a network name, all of the container's with this interface name. */
function findRecords(tx: LedgerReader, { containerId, ifName }: CniRequest, network: string | undefined): readonly AttachmentRecord[] {
  if (network === undefined) return tx.findAttachmentsOf(containerId, ifName);
  const record = tx.findAttachment({ network, containerId, ifName });
  return record === undefined ? [] : [record];
}

/** One that fails does not keep the others from going. @throws what the first that failed threw */
async function removeAll(parts: EngineParts, claims: readonly Claim[], request: CniRequest): Promise<void> {
  const outcomes = await Promise.allSettled(claims.map((claim) => removeClaimed(parts, claim, request)));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** A second DEL, or the ledger was lost: what may be left is a veth, whose name follows from the key, and a delegate's address. */
async function delUnknown(parts: EngineParts, request: CniRequest, network: string | undefined): Promise<void> {
  await deleteByName(parts, request, network);
  const plugin = delegatedIpamOf(request.conf);
  if (plugin === undefined) return;
  try {
    await delegateDel(plugin, request, { executor: parts.executor });
  } catch (error) {
    parts.warn('ipam-del-failed', `the IPAM plugin ${plugin} failed a DEL of a container that weft does not know: ${describeError(error)}`);
  }
}

async function deleteByName(parts: EngineParts, { containerId, ifName }: CniRequest, network: string | undefined): Promise<void> {
  if (network === undefined) return;
  await parts.kernel.removeLinks([portName({ network, containerId, ifName })]);
}

/** The container loses its network now; its rows go when the ledger can be written. */
async function postpone(parts: EngineParts, { request, network, error }: { request: CniRequest; network: string | undefined; error: unknown }): Promise<void> {
  parts.warn('del-postponed', `DEL of container ${request.containerId} is written down for later: ${describeError(error)}`);
  try {
    await deleteByName(parts, request, network);
  } catch (second) {
    parts.warn('del-interface-left', `its interface could not be removed: ${describeError(second)}`);
  }
  writePendingDel(parts.pendingDirectories, {
    containerId: request.containerId,
    ifName: request.ifName,
    requestedAt: parts.now(),
    conf: JSON.stringify(request.conf),
    ...(network === undefined ? {} : { network }),
  });
}
