/** Changing and removing a tenant's network on the switch. */
import { bridgeName } from '../../overlay/names.ts';
import { shapersOf } from '../bandwidth.ts';
import type { SegmentChange, SegmentRemoval } from '../datapath.ts';
import { addGuard, removeGuard } from '../guard/guard.ts';
import { elementsWithout, segmentElements } from '../guard/guard-elements.ts';
import type { OvsParts } from './port.ts';
import { standInNames } from './stand-in-links.ts';

/** All flows of the tenant anew, in one step; then what it no longer needs goes. */
export async function updateSegment({ kernel, ovs, tenants }: OvsParts, { segment, previous, others, ports }: SegmentChange): Promise<void> {
  addGuard(kernel.netfilter, segmentElements(segment));
  await tenants.ensure(segment, ports);
  removeGuard(kernel.netfilter, elementsWithout(segmentElements(previous), [segment, ...others].flatMap(segmentElements)));
  if (segment.gateway === undefined && previous.gateway !== undefined) await ovs.removePorts([bridgeName(segment.vni)]);
}

/**
 * Removes what the tenant has. Its ports' links are doomed when the call returns, and where the switch is at hand the removal of its flows
 * is on its way: without them no frame is the tenant's. The tunnel stays until the bridge goes, or somebody looks for what is left over:
 * another process may be making a tenant of its own use it.
 */
export function removeSegment({ kernel, ovs, tenants }: OvsParts, { segment, remaining, ports = [] }: SegmentRemoval): Promise<void> {
  const gone = kernel.removeLinks([...ports.flatMap((port) => [port.hostIf, ...shapersOf(port)]), ...standInNames(segment)]);
  gone.catch(() => undefined);
  const flows = tenants.remove(segment.vni);
  flows.catch(() => undefined);
  removeGuard(kernel.netfilter, elementsWithout(segmentElements(segment), remaining.flatMap(segmentElements)));
  const names = [...ports.map(({ hostIf }) => hostIf), ...(segment.gateway === undefined ? [] : [bridgeName(segment.vni)])];
  return Promise.all([gone, flows.then(() => ovs.removePorts(names))]).then(() => undefined);
}
