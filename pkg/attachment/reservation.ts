/** What an ADD reserves in the ledger before anything is made: the segment, the addresses, the MAC, and the attachment's row. */
import type { CniRequest } from '../cni/dispatch.ts';
import type { NetConf } from '../config/net-conf.ts';
import { portsExhausted } from '../datapath/datapath.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerTransaction } from '../ledger/ledger.ts';
import { ipv6MinimumMtuBytes } from '../mtu/overhead.ts';
import { macFromBytes, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { AttachmentKey, AttachmentPort, Segment } from '../overlay/model.ts';
import { keyDigest, portAlias, portName } from '../overlay/names.ts';
import { spareVni } from '../overlay/spare.ts';
import { netnsId } from '../sys/netns.ts';
import { chooseMac, identityMatches } from './addressing.ts';
import type { EngineParts } from './engine-parts.ts';
import { assignFromPool, delegateConf, ipamName, type Assignment } from './ipam.ts';
import { assignFound, type FoundEndpoint } from './moves.ts';
import { findPredecessors, type Newcomer } from './predecessor.ts';
import { describeConflict, describeGatewayConflict, keepFoundPeers, keepMtus, requireFreePort, requireRelay } from './segment-plan.ts';

/** An ADD whose every input has been read and found good. */
export interface AddPlan {
  readonly request: CniRequest;
  readonly conf: NetConf;
  readonly key: AttachmentKey;
  readonly segment: Segment;
  readonly netnsFd: number;
  /** What other nodes have of its endpoint. */
  readonly found?: FoundEndpoint;
}

/** What the ledger has reserved for an ADD. */
export interface Reservation {
  readonly record: AttachmentRecord;
  readonly assignment: Assignment;
  /** As it was written down: with the peers that are known of it. */
  readonly segment: Segment;
  /** The segment as the ledger had it before, where it was different. */
  readonly previous?: Segment;
}

/** Who is to be attached, for looking whether somebody is in its way. */
export function newcomerOf({ key, conf: { vni, endpoint } }: AddPlan): Newcomer {
  return { key, vni, ...(endpoint === undefined ? {} : { endpoint }) };
}

/**
 * One transaction: the segment, the addresses, the MAC and the attachment's row. The attachment is claimed: the caller ends that.
 * Undefined where something is in its way.
 */
export async function reserve(parts: EngineParts, plan: AddPlan, delegated?: Assignment): Promise<Reservation | undefined> {
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
  const { segment, previous, mtu } = reserveSegment(parts, tx, plan.segment);
  if (plan.found?.migration !== undefined) requireRelay(plan.segment, tx.listSegments().map((entry) => entry.segment));
  const assignment = delegated ?? (plan.found === undefined ? assignFromPool(tx, plan.conf) : assignFound(tx, plan.conf, plan.found));
  requireIpv6Mtu(mtu, assignment);
  const record = tx.insertAttachment(describeAttachment(parts, plan, { assignment, mac: reserveMac(tx, plan, assignment), mtu }));
  for (const { address, rangeSet } of assignment.addresses) tx.insertAllocation({ vni: record.vni, address: address.address, seq: record.seq, rangeSet });
  rememberIdentity(parts, tx, record);
  return { record, assignment, segment, ...(previous === undefined ? {} : { previous }) };
}

function requireIpv6Mtu(mtu: number, { addresses }: Assignment): void {
  if (mtu >= ipv6MinimumMtuBytes || addresses.every(({ address }) => address.address.family === 4)) return;
  throw new WeftError('invalidConfiguration', `IPv6 needs an MTU of at least ${ipv6MinimumMtuBytes}: the containers' is ${mtu}`, { details: 'raise the underlay’s MTU, or leave the IPv6 range out' });
}

/** Writes the tenant's segment down; `previous` is the one that was there, where it differs, and `mtu` what the container gets. @throws WeftError subnetConflict, tenantMismatch, bridgeFull */
function reserveSegment(parts: EngineParts, tx: LedgerTransaction, wanted: Segment): Pick<Reservation, 'segment' | 'previous'> & { readonly mtu: number } {
  // The routes have been looked at before; here two ADDs at once are told apart.
  const segments = tx.listSegments().map((entry) => entry.segment);
  const rivalry = describeGatewayConflict(wanted, segments);
  if (rivalry !== undefined) throw new WeftError('subnetConflict', `Cannot attach: ${rivalry}`, { details: 'use another subnet, or leave isGateway out' });
  requireFreePort(wanted, segments);
  const present = tx.findSegment(wanted.vni)?.segment ?? tx.findSegmentByTenant(wanted.tenant)?.segment;
  if (present === undefined) {
    requireNoRelay(tx, wanted);
    tx.putSegment({ vni: wanted.vni, segment: wanted });
    return { segment: wanted, mtu: wanted.overlayMtu };
  }
  const conflict = describeConflict(wanted, present);
  if (conflict !== undefined) throw new WeftError('tenantMismatch', `Cannot attach to tenant ${wanted.tenant}: ${conflict}`, { details: 'use the same tenant, vni, datapath, encapsulation and vtep in every configuration of the tenant; a change takes effect when its last container is gone' });
  const [planned, containers] = [keepFoundPeers(wanted, present), tx.countAttachments(wanted.vni)];
  const { segment, mtu } = containers === 0 ? { segment: planned, mtu: planned.overlayMtu } : keepMtus(planned, present);
  const portsMax = parts.datapath.portsMaxOf(segment);
  if (containers >= portsMax) throw portsExhausted(segment.vni, portsMax);
  if (JSON.stringify(segment, bigintText) === JSON.stringify(present, bigintText)) return { segment, mtu };
  tx.putSegment({ vni: segment.vni, segment });
  return { segment, previous: present, mtu };
}

/** A tenant must not come while its VNI carries what is relayed for another one. */
function requireNoRelay(tx: LedgerTransaction, { vni, tenant }: Segment): void {
  const moving = tx.listAttachments({ vni: spareVni(vni) as Vni }).find(({ port }) => port.migration !== undefined);
  if (moving !== undefined) throw new WeftError('tryAgainLater', `VNI ${vni} of tenant ${tenant} is in use on this node until the endpoint ${moving.endpoint} of tenant ${moving.tenant} has moved`);
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function reserveMac(tx: LedgerTransaction, { conf, key, found }: AddPlan, assignment: Assignment): Mac {
  const requested = conf.requestedMac ?? found?.mac;
  return chooseMac(tx, {
    vni: conf.vni,
    tenant: conf.tenant,
    addresses: assignment.addresses.map(({ address }) => address),
    fallback: (attempt) => macFromDigest(keyDigest(key) + BigInt(attempt)),
    ...(requested === undefined ? {} : { requested }),
    ...(conf.endpoint === undefined ? {} : { endpoint: conf.endpoint }),
  });
}

/** Locally administered, unicast, and apart from the MACs that are made from addresses. */
function macFromDigest(digest: bigint): Mac {
  return macFromBytes(Uint8Array.of(0x06, 0x77, ...[24n, 16n, 8n, 0n].map((shift) => Number((digest >> shift) & 0xffn))));
}

function describeAttachment(parts: EngineParts, { request, conf, key, segment, found }: AddPlan, given: { assignment: Assignment; mac: Mac; mtu: number }): Omit<AttachmentRecord, 'seq'> {
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
    mtu: given.mtu,
    alias: portAlias(key, conf.tenant, pod),
    ...(conf.bandwidth === undefined ? {} : { bandwidth: conf.bandwidth }),
    ...(found?.migration === undefined ? {} : { migration: { ...found.migration, phase: 'waiting', since: parts.now() } }),
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
