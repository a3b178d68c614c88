/** Looks at segments, guard and endpoints as the reconciler would, and leaves them as they are. */
import type { PortToRepair } from '../../datapath/repair.ts';
import type { InspectedPort } from '../../datapath/inspection.ts';
import type { Segment } from '../../overlay/model.ts';
import type { AttachmentRecord } from '../../ledger/records.ts';
import { contentOf, type NodeState } from '../../report/node-state.ts';
import { SystemCallError } from '../../sys/libc.ts';
import { nextTurn } from '../../sys/timer.ts';
import { judgeEndpoints, type EndpointFacts } from '../endpoints.ts';
import type { Finding } from '../finding.ts';
import { notSeen } from '../run.ts';
import { judgeGuard, judgeSegments } from '../segments.ts';
import type { Surroundings } from './surroundings.ts';

interface Attached {
  /** Those that have an endpoint, as the reconciler looks at them. */
  readonly segments: readonly Segment[];
  readonly records: readonly AttachmentRecord[];
}

function attachedOn(node: NodeState): Attached {
  const { segments, attachments } = contentOf(node);
  const records = attachments.filter(({ state }) => state === 'attached');
  const vnis = new Set(records.map(({ vni }) => vni));
  return { segments: segments.map(({ segment }) => segment).filter(({ vni }) => vnis.has(vni)), records };
}

/** What is wrong with the segments. @throws NetlinkError */
export async function examineSegments({ node, datapath, ovs }: Surroundings): Promise<readonly Finding[]> {
  if (node.ledger.kind === 'unreadable') return [notSeen({ layer: 'segment', what: 'tenants and their containers', show: `ls -l ${node.ledgerPath}` }, 'needs the ledger, which cannot be read')];
  const { segments } = attachedOn(node);
  if (segments.length === 0) return [];
  const seen = await datapath.observe(segments);
  return judgeSegments(segments.map((segment) => ({ segment, faults: datapath.inspectSegment(segment, seen) })), ovs?.tools);
}

/** What is wrong with the guard. @throws NetlinkError EPERM without CAP_NET_ADMIN */
export function examineGuard({ node, datapath }: Surroundings): readonly Finding[] {
  const { segments, records } = attachedOn(node);
  return judgeGuard(datapath.inspectGuard({ segments, ports: records.map(({ port }) => port) }));
}

/** What is wrong with the endpoints, both ends. @throws NetlinkError */
export async function examineEndpoints({ node, datapath, ovs }: Surroundings): Promise<readonly Finding[]> {
  const { segments, records } = attachedOn(node);
  if (records.length === 0) return [];
  const byVni = new Map(segments.map((segment) => [segment.vni, segment]));
  const seen = await datapath.observe(segments);
  const facts: EndpointFacts[] = [];
  const closed: AttachmentRecord[] = [];
  for (const record of records) {
    const segment = byVni.get(record.vni);
    if (segment === undefined) continue;
    const inspected = tryInspect(() => datapath.inspectPort({ segment, port: record.port, netns: record.netns, netnsId: record.netnsId } satisfies PortToRepair, seen));
    if (inspected === undefined) closed.push(record);
    else facts.push({ record, inspected });
    await nextTurn();
  }
  const unseen = closed.length === 0 ? [] : [notSeen({ layer: 'endpoint', what: `the inside of ${closed.length} containers`, show: 'id -u' }, 'needs root')];
  return [...judgeEndpoints(facts, ovs?.tools), ...unseen];
}

/** Undefined: this process may not enter the container's namespace. */
function tryInspect(inspect: () => InspectedPort): InspectedPort | undefined {
  try {
    return inspect();
  } catch (error) {
    if (error instanceof SystemCallError && (error.code === 'EPERM' || error.code === 'EACCES')) return undefined;
    throw error;
  }
}
