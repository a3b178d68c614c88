/**
 * A tenant's MTU, carried into its links and running containers.
 *
 * The ledger says at every moment what the kernel has: a step changes both in one transaction, and an attachment's own MTU is written down with
 * it. So whoever dies on the way leaves a tenant that is whole, with containers of two sizes; and the next pass goes on from there. An ADD meanwhile gets what
 * both the present and the coming MTU allow. Between two attachments the event loop has its turn.
 */
import type { EngineParts } from '../attachment/engine-parts.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import type { Vni } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { nextTurn } from '../sys/timer.ts';
import { betweenMtus, haveSameMtus, portMtu, segmentMtus, type SegmentMtus } from './mtu-course.ts';

/** What a tenant's containers are to have by now. */
export interface WantedMtus {
  readonly vni: Vni;
  /** As the configuration, the underlay and the path allow it. */
  readonly fitting: SegmentMtus;
}

/** What came of it. */
export interface Followed {
  /** The containers' MTU before and now, in bytes; equal where only the tunnel devices', or some containers', was another. */
  readonly from: SegmentMtus;
  readonly to: SegmentMtus;
  /** Attachments that have another MTU than before. */
  readonly moved: number;
  /** Of those, the ones that have chosen a smaller one themselves and keep it. */
  readonly kept: number;
  /** What was refused, in words; it is worth another try. */
  readonly failed: readonly string[];
}

/** How often attachments that came meanwhile are looked for again. */
const roundsMax = 4;

/** Carries it out. Undefined where all is as it should be, or the tenant has gone. @throws WeftError where the segment's links are refused */
export async function followMtu(engine: EngineParts, { vni, fitting }: WantedMtus): Promise<Followed | undefined> {
  const present = readTenant(engine, vni);
  if (present === undefined) return undefined;
  const to = wantedOf(present, fitting);
  if (haveSameMtus(present.segment, to) && laggards(present, fitting).length === 0) return undefined;
  await resizeSegment(engine, vni, (segment) => betweenMtus(segment, to));
  const counts = { moved: 0, kept: 0, failed: [] as string[] };
  for (let round = 1; round <= roundsMax && counts.failed.length === 0; round += 1) {
    const tenant = readTenant(engine, vni);
    const late = tenant === undefined ? [] : laggards(tenant, fitting);
    if (late.length === 0) break;
    for (const record of late) {
      resizeAttachment(engine, record, { mtu: portMtu(record.port, fitting.overlayMtu), counts });
      await nextTurn();
    }
  }
  // A container that still is larger needs the tunnel devices as they are.
  if (counts.failed.length === 0) await resizeSegment(engine, vni, () => to);
  return { from: present.segment, to, ...counts };
}

interface Tenant {
  readonly segment: Segment;
  readonly records: readonly AttachmentRecord[];
}

function readTenant(engine: EngineParts, vni: Vni): Tenant | undefined {
  return engine.ledger().read((tx) => {
    const segment = tx.findSegment(vni)?.segment;
    return segment === undefined ? undefined : { segment, records: tx.listAttachments({ vni, state: 'attached' }) };
  });
}

function wantedOf({ segment: { gateway }, records }: Tenant, fitting: SegmentMtus): SegmentMtus {
  return segmentMtus({ ...fitting, ...(gateway === undefined ? {} : { gateway }) }, records.map(({ port }) => port));
}

function laggards({ records }: Tenant, { overlayMtu }: SegmentMtus): readonly AttachmentRecord[] {
  return records.filter(({ port }) => port.mtu !== portMtu(port, overlayMtu));
}

/** The ledger and the kernel in one transaction; a switch's part goes on behind it. */
async function resizeSegment(engine: EngineParts, vni: Vni, plan: (segment: Segment) => SegmentMtus): Promise<void> {
  await engine.ledger().write((tx) => {
    const present = tx.findSegment(vni)?.segment;
    if (present === undefined) return undefined;
    const segment = { ...present, ...plan(present) };
    if (haveSameMtus(present, segment)) return undefined;
    tx.putSegment({ vni, segment });
    return engine.datapath.resizeSegment(segment);
  });
}

function resizeAttachment(engine: EngineParts, { seq, hostIf }: AttachmentRecord, { mtu, counts }: { readonly mtu: number; readonly counts: { moved: number; kept: number; failed: string[] } }): void {
  try {
    engine.ledger().write((tx) => {
      const record = tx.findAttachmentBySeq(seq);
      if (record?.state !== 'attached' || record.port.mtu === mtu) return;
      const { port, keptMtu } = engine.datapath.resizePort(record, mtu);
      tx.updateAttachment(seq, { port });
      counts.moved += 1;
      if (keptMtu !== undefined) counts.kept += 1;
    });
  } catch (error) {
    counts.failed.push(`${hostIf} keeps its MTU: ${describeError(error)}`);
  }
}

/** What has become of a tenant, in words. */
export function describeFollowed(tenant: string, { from, to, moved, kept }: Followed, because: string): string {
  const tunnel = from.underlayMtu === to.underlayMtu ? '' : `, and that of its tunnel ${to.underlayMtu} instead of ${from.underlayMtu}`;
  const what = from.overlayMtu === to.overlayMtu ? `is ${to.overlayMtu}${tunnel}` : `is now ${to.overlayMtu} instead of ${from.overlayMtu}`;
  const choosers = kept === 0 ? '' : `, ${kept === 1 ? 'one' : kept} of them with the smaller one that ${kept === 1 ? 'it has' : 'they have'} chosen`;
  const containers = moved === 0 ? '' : `; ${moved === 1 ? 'a container has' : `${moved} containers have`} followed${choosers}`;
  return `the MTU of tenant ${tenant} ${what}, for ${because}${containers}`;
}
