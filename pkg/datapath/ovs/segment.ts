/** Changing and removing a tenant's network on the switch. */
import { addressesEqual } from '../../netaddr/netaddr.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, standInBridgeName } from '../../overlay/names.ts';
import { shapersOf } from '../bandwidth.ts';
import type { SegmentChange, SegmentRemoval } from '../datapath.ts';
import { addGuard, removeGuard } from '../guard/guard.ts';
import { elementsWithout, segmentElements } from '../guard/guard-elements.ts';
import { locationPacket, type TenantNetwork } from './flows/flows.ts';
import { changeLimits, removeSurplusShapers } from '../limit-change.ts';
import { makeTenantShapers, tenantShapersOf } from '../tenant-bandwidth.ts';
import { isClosed } from '../phases.ts';
import { resizeLinks } from '../resize.ts';
import { detourLinks } from './detour.ts';
import type { OvsParts } from './port.ts';
import { standInNames } from './stand-in-links.ts';
import type { OvsSwitch } from './switch/switch.ts';

/** All flows of the tenant anew, in one step; then what it no longer needs goes. */
export async function updateSegment({ kernel, ovs, tenants }: OvsParts, change: SegmentChange): Promise<void> {
  const { segment, previous, others, ports } = change;
  addGuard(kernel.netfilter, segmentElements(segment));
  changeLimits(kernel, change, tenants.isUserspace);
  await greet(ovs, await tenants.ensure(segment, ports), change);
  removeGuard(kernel.netfilter, elementsWithout(segmentElements(previous), [segment, ...others].flatMap(segmentElements)));
  removeSurplusShapers(kernel, change);
  const pair = detourLinks(segment).length === 0 ? detourLinks(previous) : [];
  const gone = kernel.removeLinks(pair);
  gone.catch(() => undefined);
  const gateway = segment.gateway === undefined && previous.gateway !== undefined ? [bridgeName(segment.vni)] : [];
  if (gateway.length + pair.length > 0) await ovs.removePorts([...gateway, ...pair]);
}

/** The stand-in within the call; the gateway's interface is the switch's, which would set it back. */
export async function resizeSegment({ kernel, ovs }: OvsParts, segment: Segment): Promise<void> {
  const { vni, gateway, underlayMtu, overlayMtu } = segment;
  makeTenantShapers(kernel.route, segment);
  const names = standInNames(segment);
  resizeLinks(kernel.route, [...names.map((name): [string, number] => [name, name === standInBridgeName(vni) ? overlayMtu : underlayMtu]), ...detourLinks(segment).map((name): [string, number] => [name, overlayMtu])]);
  if (gateway === undefined) return;
  if (!ovs.isKnown) await ovs.ready();
  await ovs.resizePort(bridgeName(vni), overlayMtu);
}

/**
 * Sends the peers that are new a packet. The userspace datapath drops the first one to a VTEP whose MAC it does not know, and asks for that; of
 * peers that come later than the containers, as a control plane's do, it would be the first of a container's.
 */
async function greet(ovs: OvsSwitch, network: TenantNetwork, { segment, previous, ports }: SegmentChange): Promise<void> {
  const port = ports.find((one) => !isClosed(one));
  const peers = segment.peers.filter((peer) => !previous.peers.some((other) => addressesEqual(peer, other)));
  if (port !== undefined && peers.length > 0) await Promise.allSettled([ovs.sendPacket(locationPacket({ ...network, segment: { ...network.segment, peers } }, port))]);
}

/**
 * Removes what the tenant has. Its ports' links are doomed when the call returns, and where the switch is at hand the removal of its flows
 * is on its way: without them no frame is the tenant's. The tunnel stays until the bridge goes, or somebody looks for what is left over:
 * another process may be making a tenant of its own use it.
 */
export function removeSegment({ kernel, ovs, tenants }: OvsParts, { segment, remaining, ports = [] }: SegmentRemoval): Promise<void> {
  const gone = kernel.removeLinks([...ports.flatMap((port) => [port.hostIf, ...shapersOf(port)]), ...standInNames(segment), ...detourLinks(segment), ...tenantShapersOf(segment)]);
  gone.catch(() => undefined);
  const flows = tenants.remove(segment.vni);
  flows.catch(() => undefined);
  removeGuard(kernel.netfilter, elementsWithout(segmentElements(segment), remaining.flatMap(segmentElements)));
  const names = [...ports.map(({ hostIf }) => hostIf), ...detourLinks(segment), ...(segment.gateway === undefined ? [] : [bridgeName(segment.vni)])];
  return Promise.all([gone, flows.then(() => ovs.removePorts(names))]).then(() => undefined);
}
