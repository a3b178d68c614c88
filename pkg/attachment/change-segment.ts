/** Changing a tenant's segment while containers run: in the ledger, and in the datapath with it. */
import type { Vni } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import type { EngineParts } from './engine-parts.ts';

/**
 * Brings the segment to what `plan` makes of it.
 *
 * @param plan from the segment as the ledger has it; undefined leaves it as it is
 * @returns whether it was changed; not where the tenant has no segment any more
 * @throws WeftError where the kernel refuses, and then the ledger has it as it was; or where a switch does, whose part is behind the transaction
 */
export async function changeSegment(engine: EngineParts, vni: Vni, plan: (current: Segment) => Segment | undefined): Promise<boolean> {
  const applied = engine.ledger().write((tx) => {
    const current = tx.findSegment(vni)?.segment;
    const wanted = current === undefined ? undefined : plan(current);
    if (current === undefined || wanted === undefined) return undefined;
    tx.putSegment({ vni, segment: wanted });
    const others = tx.listSegments().map((entry) => entry.segment).filter((other) => other.vni !== vni);
    const ports = tx.listAttachments({ vni, state: 'attached' }).map((record) => record.port);
    return engine.datapath.updateSegment({ segment: wanted, previous: current, others, ports });
  });
  await applied;
  // Other peers are other ways.
  if (applied !== undefined) engine.noteMtuChange?.(vni);
  return applied !== undefined;
}
