/** ADD: reserve in the ledger, make in the kernel, confirm in the ledger; undo with DEL's code. */
import { closeSync } from 'node:fs';
import type { CniRequest } from '../cni/dispatch.ts';
import { appendResult, type CniResult } from '../cni/result.ts';
import { parseEndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf, type NetConf } from '../config/net-conf.ts';
import { portsExhausted } from '../datapath/datapath.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerTransaction } from '../ledger/ledger.ts';
import { ipv6MinimumMtuBytes } from '../mtu/overhead.ts';
import { formatInterfaceAddress, macFromBytes, type Mac } from '../netaddr/netaddr.ts';
import { getLink } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { AttachmentKey, AttachmentPort, Segment } from '../overlay/model.ts';
import { keyDigest, portAlias, portName } from '../overlay/names.ts';
import { netnsId, openNetns } from '../sys/netns.ts';
import { chooseMac, identityMatches } from './addressing.ts';
import { requireFreeSubnets } from './conflicts.ts';
import type { EngineParts } from './engine-parts.ts';
import { askDelegate, assignFromPool, delegateConf, ipamName, releaseDelegate, type Assignment } from './ipam.ts';
import { finishPendingDels } from './pending.ts';
import { clearWay, findPredecessors, type Newcomer } from './predecessor.ts';
import { removeAttachment, removeOrphan } from './remove.ts';
import { attachmentResult } from './result.ts';
import { describeConflict, describeGatewayConflict, keepFoundPeers, planSegment, requireFreePort, vtepFamilyOf } from './segment-plan.ts';

/** An ADD whose every input has been read and found good. */
interface AddPlan {
  readonly request: CniRequest;
  readonly conf: NetConf;
  readonly key: AttachmentKey;
  readonly segment: Segment;
  readonly netnsFd: number;
}

/** What the ledger has reserved for an ADD. */
interface Reservation {
  readonly record: AttachmentRecord;
  readonly assignment: Assignment;
  /** As it was written down: with the peers that are known of it. */
  readonly segment: Segment;
  /** The segment as the ledger had it before, where it was different. */
  readonly previous?: Segment;
}

/** Attaches the container. @throws WeftError; then nothing is left of the attempt */
export async function add(parts: EngineParts, request: CniRequest): Promise<CniResult> {
  const conf = parseNetConf(request.conf, { node: await parts.nodeConf(), args: parseEndpointArgs(request.args) });
  const netnsFd = openNetns(request.netns);
  try {
    // An address of another plugin is not taken for an ADD that cannot work. Of weft's own the kernel's refusal comes early enough.
    if (conf.ipam.type === 'delegate') requireFreeName(parts, request, netnsFd);
    const own = await attach(parts, planAdd(parts, { request, conf, netnsFd }));
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
  const underlay = parts.underlay(conf.vtep, vtepFamilyOf(conf));
  const segment = planSegment(conf, underlay);
  if (conf.ipam.type === 'weft' && !isGatewayInPlace(parts, segment)) requireFreeSubnets(parts.kernel, segment, conf.ipam.pool);
  const key = { network: conf.network, containerId: request.containerId, ifName: request.ifName };
  return { request, conf, key, segment, netnsFd };
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

function newcomerOf({ key, conf: { vni, endpoint } }: AddPlan): Newcomer {
  return { key, vni, ...(endpoint === undefined ? {} : { endpoint }) };
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
    parts.warn(`the IPAM plugin ${ipamName(conf)} did not take back its addresses: ${describeError(error)}`);
  }
}

/** Removes what the failed ADD has made. What cannot be removed stays in the ledger as `deleting`, for the next DEL, GC or ADD. */
async function undo(parts: EngineParts, plan: AddPlan, { record, error }: { record: AttachmentRecord; error: unknown }): Promise<void> {
  try {
    const isRemoved = await removeAttachment(parts, record, plan.request);
    if (!isRemoved) await removeOrphan(parts, record, plan.segment);
  } catch (second) {
    parts.warn(`undoing a failed ADD (${describeError(error)}) failed as well: ${describeError(second)}`);
  }
}

/**
 * One transaction: the segment, the addresses, the MAC and the attachment's row. The attachment is claimed: the caller ends that.
 * Undefined where something is in its way.
 */
async function reserve(parts: EngineParts, plan: AddPlan, delegated?: Assignment): Promise<Reservation | undefined> {
  let claimed: number | undefined;
  try {
    return await parts.ledger().writeTogether((tx) => {
      if (findPredecessors(tx, newcomerOf(plan)).length > 0) return undefined;
      const reservation = reserveIn(tx, parts, { plan, delegated });
      claimed = reservation.record.seq;
      parts.claims.begin(claimed);
      return reservation;
    });
  } catch (error) {
    // The commit failed: the number will be another attachment's.
    if (claimed !== undefined) parts.claims.end(claimed);
    throw error;
  }
}

function reserveIn(tx: LedgerTransaction, parts: EngineParts, { plan, delegated }: { plan: AddPlan; delegated: Assignment | undefined }): Reservation {
  const { segment, previous } = reserveSegment(parts, tx, plan.segment);
  const assignment = delegated ?? assignFromPool(tx, plan.conf);
  requireIpv6Mtu(plan.segment, assignment);
  const record = tx.insertAttachment(describeAttachment(parts, plan, { assignment, mac: reserveMac(tx, plan, assignment) }));
  for (const { address, rangeSet } of assignment.addresses) tx.insertAllocation({ vni: record.vni, address: address.address, seq: record.seq, rangeSet });
  rememberIdentity(parts, tx, record);
  return { record, assignment, segment, ...(previous === undefined ? {} : { previous }) };
}

function requireIpv6Mtu(segment: Segment, { addresses }: Assignment): void {
  if (segment.overlayMtu >= ipv6MinimumMtuBytes || addresses.every(({ address }) => address.address.family === 4)) return;
  throw new WeftError('invalidConfiguration', `IPv6 needs an MTU of at least ${ipv6MinimumMtuBytes}: the containers' is ${segment.overlayMtu}`, { details: 'raise the underlay’s MTU, or leave the IPv6 range out' });
}

/** Writes the tenant's segment down; `previous` is the one that was there, where it differs. @throws WeftError subnetConflict, tenantMismatch, bridgeFull */
function reserveSegment(parts: EngineParts, tx: LedgerTransaction, wanted: Segment): Pick<Reservation, 'segment' | 'previous'> {
  // The routes have been looked at before; here two ADDs at once are told apart.
  const segments = tx.listSegments().map((entry) => entry.segment);
  const rivalry = describeGatewayConflict(wanted, segments);
  if (rivalry !== undefined) throw new WeftError('subnetConflict', `Cannot attach: ${rivalry}`, { details: 'use another subnet, or leave isGateway out' });
  requireFreePort(wanted, segments);
  const present = tx.findSegment(wanted.vni)?.segment ?? tx.findSegmentByTenant(wanted.tenant)?.segment;
  if (present === undefined) {
    tx.putSegment({ vni: wanted.vni, segment: wanted });
    return { segment: wanted };
  }
  const conflict = describeConflict(wanted, present);
  if (conflict !== undefined) throw new WeftError('tenantMismatch', `Cannot attach to tenant ${wanted.tenant}: ${conflict}`, { details: 'use the same tenant, vni, datapath, encapsulation and vtep in every configuration of the tenant; a change takes effect when its last container is gone' });
  const segment = keepFoundPeers(wanted, present);
  const portsMax = parts.datapath.portsMaxOf(segment);
  if (tx.countAttachments(segment.vni) >= portsMax) throw portsExhausted(segment.vni, portsMax);
  if (JSON.stringify(segment, bigintText) === JSON.stringify(present, bigintText)) return { segment };
  tx.putSegment({ vni: segment.vni, segment });
  return { segment, previous: present };
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function reserveMac(tx: LedgerTransaction, { conf, key }: AddPlan, assignment: Assignment): Mac {
  return chooseMac(tx, {
    vni: conf.vni,
    tenant: conf.tenant,
    addresses: assignment.addresses.map(({ address }) => address),
    fallback: (attempt) => macFromDigest(keyDigest(key) + BigInt(attempt)),
    ...(conf.requestedMac === undefined ? {} : { requested: conf.requestedMac }),
    ...(conf.endpoint === undefined ? {} : { endpoint: conf.endpoint }),
  });
}

/** Locally administered, unicast, and apart from the MACs that are made from addresses. */
function macFromDigest(digest: bigint): Mac {
  return macFromBytes(Uint8Array.of(0x06, 0x77, ...[24n, 16n, 8n, 0n].map((shift) => Number((digest >> shift) & 0xffn))));
}

function describeAttachment(parts: EngineParts, { request, conf, key, segment }: AddPlan, given: { assignment: Assignment; mac: Mac }): Omit<AttachmentRecord, 'seq'> {
  const pod = conf.pod?.name === undefined ? undefined : `${conf.pod.namespace ?? ''}/${conf.pod.name}`;
  const hostIf = portName(key);
  const port: AttachmentPort = {
    vni: conf.vni,
    ...(segment.datapath === undefined ? {} : { datapath: segment.datapath }),
    hostIf,
    containerIf: request.ifName,
    mac: given.mac,
    addresses: given.assignment.addresses.map(({ address }) => address),
    routes: given.assignment.routes,
    mtu: segment.overlayMtu,
    alias: portAlias(key, conf.tenant, pod),
    ...(conf.bandwidth === undefined ? {} : { bandwidth: conf.bandwidth }),
  };
  const { prevResult: _, ...written } = delegateConf(request.conf, conf);
  return {
    key, tenant: conf.tenant, vni: conf.vni, netns: request.netns, netnsId: netnsId(request.netns), hostIf, mac: given.mac,
    state: 'adding', worker: parts.worker, ipam: ipamName(conf), conf: JSON.stringify(written), port, createdAt: parts.now(),
    ...(conf.endpoint === undefined ? {} : { endpoint: conf.endpoint }),
    ...(pod === undefined ? {} : { pod }),
  };
}

/** Written only when it says something new: it is the one thing that waits for the disk. */
function rememberIdentity(parts: EngineParts, tx: LedgerTransaction, { vni, endpoint, mac, port }: AttachmentRecord): void {
  if (endpoint === undefined || identityMatches(tx.findIdentity(vni, endpoint), mac, port.addresses)) return;
  tx.putIdentity({ vni, endpoint, mac, addresses: port.addresses, updatedAt: parts.now() });
}

async function connect(parts: EngineParts, { request, netnsFd }: AddPlan, reservation: Reservation): Promise<CniResult> {
  const { record, assignment, segment, previous } = reservation;
  if (previous !== undefined) await followChange(parts, segment, previous);
  const { hostMac } = await parts.datapath.attach({ segment, port: record.port, netnsFd });
  await confirm(parts, record);
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
