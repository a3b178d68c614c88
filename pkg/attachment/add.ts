/** ADD: reserve in the ledger, make in the kernel, confirm in the ledger; undo with DEL's code. */
import { closeSync } from 'node:fs';
import type { CniRequest } from '../cni/dispatch.ts';
import { appendResult, type CniResult } from '../cni/result.ts';
import { parseEndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf } from '../config/net-conf.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { formatInterfaceAddress } from '../netaddr/netaddr.ts';
import { getLink } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { Segment } from '../overlay/model.ts';
import { openNetns } from '../sys/netns.ts';
import { requireFreeSubnets } from './conflicts.ts';
import type { EngineParts } from './engine-parts.ts';
import { askDelegate, delegateConf, ipamName, releaseDelegate } from './ipam.ts';
import type { FoundEndpoint } from './moves.ts';
import { finishPendingDels } from './pending.ts';
import { planOnNode } from './plan.ts';
import { clearWay } from './predecessor.ts';
import { removeAttachment, removeOrphan } from './remove.ts';
import { newcomerOf, reserve, type AddPlan, type Reservation } from './reservation.ts';
import { attachmentResult } from './result.ts';

/** Attaches the container. @throws WeftError; then nothing is left of the attempt */
export async function add(parts: EngineParts, request: CniRequest): Promise<CniResult> {
  const conf = parseNetConf(request.conf, { node: await parts.nodeConf(), args: parseEndpointArgs(request.args) });
  const netnsFd = openNetns(request.netns);
  try {
    // An address of another plugin is not taken for an ADD that cannot work. Of weft's own the kernel's refusal comes early enough.
    if (conf.ipam.type === 'delegate') requireFreeName(parts, request, netnsFd);
    const plan = planAdd(parts, { request, conf, netnsFd });
    const found = await findElsewhere(parts, plan);
    const own = await attach(parts, found === undefined ? plan : { ...plan, found });
    return request.prevResult === undefined ? own : appendResult(request.prevResult, own);
  } finally {
    closeSync(netnsFd);
  }
}

function requireFreeName(parts: EngineParts, request: CniRequest, netnsFd: number): void {
  const [outcome] = parts.kernel.withRouteIn(netnsFd, (route) => route.tryRequest([getLink(request.ifName)]));
  if (outcome instanceof NetlinkError) {
    if (outcome.errnoCode === 'ENODEV') return;
    throw outcome;
  }
  throw new WeftError('interfaceExists', `CNI_IFNAME must be a name that is free in the container: ${request.ifName} exists in ${request.netns}`);
}

function planAdd(parts: EngineParts, { request, conf, netnsFd }: Pick<AddPlan, 'request' | 'conf' | 'netnsFd'>): AddPlan {
  const segment = planOnNode(parts, conf);
  if (conf.ipam.type === 'weft' && !isGatewayInPlace(parts, segment)) requireFreeSubnets(parts.kernel, segment, conf.ipam.pool);
  const key = { network: conf.network, containerId: request.containerId, ifName: request.ifName };
  return { request, conf, key, segment, netnsFd };
}

/** An endpoint without a name is nobody else's. The addresses that another plugin gives are not weft's to take along. */
async function findElsewhere(parts: EngineParts, { conf: { endpoint, ipam }, segment }: AddPlan): Promise<FoundEndpoint | undefined> {
  return endpoint === undefined || ipam.type === 'delegate' ? undefined : parts.moves?.find({ segment, endpoint });
}

/** Looking for conflicts reads all links and routes: the tenant's first ADD does it, the others find the gateway in the ledger. */
function isGatewayInPlace(parts: EngineParts, { vni, gateway }: Segment): boolean {
  if (gateway === undefined) return true;
  const present = parts.ledger().read((tx) => tx.findSegment(vni))?.segment.gateway?.addresses.map(formatInterfaceAddress) ?? [];
  return gateway.addresses.every((address) => present.includes(formatInterfaceAddress(address)));
}

async function attach(parts: EngineParts, plan: AddPlan): Promise<CniResult> {
  await finishPendingDels(parts, plan.request);
  const reservation = await reserveAll(parts, plan);
  try {
    return await connect(parts, plan, reservation);
  } catch (error) {
    await undo(parts, plan, { record: reservation.record, error });
    throw error;
  } finally {
    parts.claims.end(reservation.record.seq);
  }
}

/** Mostly nothing is in the way: whether it is so is seen in the transaction that reserves, and not by looking before. */
async function reserveAll(parts: EngineParts, plan: AddPlan): Promise<Reservation> {
  if (plan.conf.ipam.type === 'delegate') return reserveDelegated(parts, plan);
  const reservation = await reserve(parts, plan);
  if (reservation !== undefined) return reservation;
  await clearWay(parts, plan.request, newcomerOf(plan));
  return (await reserve(parts, plan)) ?? overtaken(plan);
}

/** The delegated plugin is another process and must not run inside the ledger's transaction, nor for an ADD that finds its way taken. */
async function reserveDelegated(parts: EngineParts, plan: AddPlan): Promise<Reservation> {
  await clearWay(parts, plan.request, newcomerOf(plan));
  try {
    return (await reserve(parts, plan, await askDelegate(parts, plan.request, plan.conf))) ?? overtaken(plan);
  } catch (error) {
    // Also after its own failure the plugin may hold an address: it may have failed behind the point where it took one.
    await releaseUnreserved(parts, plan);
    throw error;
  }
}

function overtaken({ key }: AddPlan): never {
  throw new WeftError('tryAgainLater', `Another call has just worked on container ${key.containerId}, ${key.ifName}, or on its endpoint`);
}

/** The delegated plugin has given, or may have given, an address for which the ledger has no row. */
async function releaseUnreserved(parts: EngineParts, { request, conf, key }: AddPlan): Promise<void> {
  try {
    await releaseDelegate(parts, { key, netns: request.netns, ipam: ipamName(conf), conf: JSON.stringify(delegateConf(request.conf, conf)) }, request);
  } catch (error) {
    parts.warn('ipam-leak', `the IPAM plugin ${ipamName(conf)} did not take back its addresses: ${describeError(error)}`);
  }
}

/** Removes what the failed ADD has made. What cannot be removed stays in the ledger as `deleting`, for the next DEL, GC or ADD. */
async function undo(parts: EngineParts, plan: AddPlan, { record, error }: { record: AttachmentRecord; error: unknown }): Promise<void> {
  try {
    const isRemoved = await removeAttachment(parts, record, plan.request);
    if (!isRemoved) await removeOrphan(parts, record, plan.segment);
  } catch (second) {
    parts.warn('add-undo-failed', `undoing a failed ADD (${describeError(error)}) failed as well: ${describeError(second)}`);
  }
}

async function connect(parts: EngineParts, { request, netnsFd, segment: wanted }: AddPlan, reservation: Reservation): Promise<CniResult> {
  const { record, assignment, segment, previous } = reservation;
  if (previous !== undefined) await followChange(parts, segment, previous);
  const { hostMac } = await parts.datapath.attach({ segment, port: record.port, netnsFd });
  await confirm(parts, record);
  // Behind it: what the source answers may come back here at once, and concerns an attachment that is there.
  if (record.port.migration !== undefined) await parts.moves?.begin(record);
  if (record.port.mtu !== wanted.overlayMtu || segment.overlayMtu !== wanted.overlayMtu || segment.underlayMtu !== wanted.underlayMtu) parts.noteMtuChange?.(segment.vni);
  return attachmentResult({ segment, port: record.port, assignment, netns: request.netns, hostMac });
}

async function followChange(parts: EngineParts, segment: Segment, previous: Segment): Promise<void> {
  const { others, ports } = parts.ledger().read((tx) => ({
    others: tx.listSegments().map((entry) => entry.segment).filter((other) => other.vni !== segment.vni),
    ports: tx.listAttachments({ vni: segment.vni, state: 'attached' }).map((record) => record.port),
  }));
  await parts.datapath.updateSegment({ segment, previous, others, ports });
}

/** A DEL may have come in the meantime and taken the row: then the container is not wanted any more. */
async function confirm(parts: EngineParts, record: AttachmentRecord): Promise<void> {
  const isConfirmed = await parts.ledger().writeTogether((tx) => tx.confirmAttachment(record.seq));
  if (!isConfirmed) throw new WeftError('tryAgainLater', `The container ${record.key.containerId} was deleted while it was being attached`);
}
