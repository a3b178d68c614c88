/** STATUS: fails when an ADD would, with what to change. */
import { delegateStatus } from '../cni/delegate.ts';
import type { CniRequest } from '../cni/dispatch.ts';
import { parsePossibleNetConfs, type NetConf } from '../config/net-conf.ts';
import { portsExhausted } from '../datapath/datapath.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import { chooseAddress } from '../ipam/allocator.ts';
import type { LedgerReader } from '../ledger/ledger.ts';
import { formatAddress } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { requireFreeSubnets } from './conflicts.ts';
import type { EngineParts } from './engine-parts.ts';
import { delegateConf } from './ipam.ts';
import { planOnNode } from './plan.ts';
import { describeConflict, requireFreePort } from './segment-plan.ts';

/** @throws WeftError with the fault's own code where the configuration is wrong, notAvailable (50) where the node is */
export async function reportStatus(parts: EngineParts, request: CniRequest): Promise<void> {
  const confs = parsePossibleNetConfs(request.conf, await parts.nodeConf());
  try {
    for (const conf of confs) await requireWorking(parts, request, conf);
    // A read-only or full file system lets reading through and stops an ADD.
    parts.ledger().write((tx) => tx.touch());
  } catch (error) {
    if (error instanceof WeftError && error.code === 'notAvailable') throw error;
    if (!(error instanceof WeftError)) throw new WeftError('notAvailable', describeError(error), { cause: error });
    throw new WeftError('notAvailable', error.message, { details: error.details, cause: error });
  }
}

async function requireWorking(parts: EngineParts, request: CniRequest, conf: NetConf): Promise<void> {
  const segment = planOnNode(parts, conf);
  const obstacle = describeDeafness(parts, segment) ?? (await parts.datapath.findObstacle(segment));
  if (obstacle !== undefined) throw new WeftError('notAvailable', obstacle);
  if (segment.gateway !== undefined && conf.ipam.type === 'weft') requireFreeSubnets(parts.kernel, segment, conf.ipam.pool);
  parts.ledger().read((tx) => requireRoom(parts, tx, { conf, segment }));
  if (conf.ipam.type === 'delegate') await delegateStatus(conf.ipam.plugin, { ...request, conf: delegateConf(request.conf, conf) }, { executor: parts.executor });
}

/** Why no other node would be heard of: the container would reach nobody who is not here, and nobody would hear of it. */
function describeDeafness({ findDeafness }: EngineParts, { controlPlane, vni }: Segment): string | undefined {
  if (controlPlane !== 'evpn') return undefined;
  if (findDeafness === undefined) return 'controlPlane.type "evpn" needs the daemon, which listens to FRR: start weft daemon';
  return findDeafness(vni);
}

function requireRoom(parts: EngineParts, tx: LedgerReader, { conf, segment }: { conf: NetConf; segment: Segment }): void {
  requireFreePort(segment, tx.listSegments().map((entry) => entry.segment));
  const present = tx.findSegment(segment.vni)?.segment ?? tx.findSegmentByTenant(segment.tenant)?.segment;
  const conflict = present === undefined ? undefined : describeConflict(segment, present);
  if (conflict !== undefined) throw new WeftError('tenantMismatch', `Cannot attach to tenant ${conf.tenant}: ${conflict}`);
  const portsMax = parts.datapath.portsMaxOf(segment);
  if (tx.countAttachments(conf.vni) >= portsMax) throw portsExhausted(conf.vni, portsMax);
  if (conf.ipam.type !== 'weft') return;
  const { sets, exclude } = conf.ipam.pool;
  for (const set of sets) {
    const free = chooseAddress(set, { exclude, isTaken: (address) => tx.findAllocation(conf.vni, address) !== undefined || tx.findIdentityByAddress(conf.vni, address) !== undefined });
    if (free !== undefined) continue;
    const ranges = set.map((range) => `${formatAddress(range.first)}–${formatAddress(range.last)}`).join(', ');
    throw new WeftError('rangeExhausted', `No address is free in ${ranges} of tenant ${conf.tenant}`, { details: 'enlarge the range or remove containers' });
  }
}
