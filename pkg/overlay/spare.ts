/**
 * What a tenant whose endpoints FRR knows has beside what carries its frames: the numbers of it. Pure.
 *
 * On Linux bridges it is the spare tunnel.
 *
 * FRR takes away what it programmed as soon as one of its daemons stops. What weft remembers of the remote MACs is therefore held by a
 * second VXLAN device, which only sends, and only frames that the bridge has no entry for. Two devices of one VNI cannot share a UDP port
 * (drivers/net/vxlan, vxlan_vni_in_use), and FRR's zebra knows a device by its VNI alone: so the spare has a port and a VNI of its own, and
 * each of its entries names the real ones.
 *
 * On Open vSwitch it is the stand-in: zebra knows a VNI by a kernel's VXLAN device in a bridge, and MACs by that bridge's entries, of which such
 * a tenant has none. The stand-in has the tenant's VNI, which zebra reads, and the port that is closed: it carries nothing.
 */
import { vniMax } from '../netaddr/netaddr.ts';
import type { Segment } from './model.ts';

/** UDP port on which spare tunnels and stand-ins stand; the guard closes it for everybody. */
export const sparePort = 24789;

/** The VNI of a tenant's spare tunnel; 0, which no tenant has, for the highest one. */
export function spareVni(vni: number): number {
  return vniMax - vni;
}

/** What of a segment decides whether spare tunnels and stand-ins get in its way. */
export type SpareParty = Pick<Segment, 'tenant' | 'vni' | 'vtepPort' | 'datapath' | 'controlPlane'>;

/** Whether the tenant has a spare tunnel on a node. */
export function hasSpare({ controlPlane, datapath }: Pick<SpareParty, 'controlPlane' | 'datapath'>): boolean {
  return controlPlane === 'evpn' && datapath !== 'ovs';
}

/** Whether the tenant has a stand-in on a node. */
export function hasStandIn({ controlPlane, datapath }: Pick<SpareParty, 'controlPlane' | 'datapath'>): boolean {
  return controlPlane === 'evpn' && datapath === 'ovs';
}

/**
 * Why none of a tenant's endpoints can move to or from a node with these tenants, in words: `vni must be …`; undefined when they can. What is relayed
 * has the spare VNI in the place of the tenant's, on the tenant's UDP port. `others` may contain the tenant itself.
 */
export function describeRelayConflict(wanted: Pick<SpareParty, 'vni'>, others: readonly Pick<SpareParty, 'tenant' | 'vni'>[]): string | undefined {
  const vni = spareVni(wanted.vni);
  if (vni === 0) return `vni must not be ${vniMax}: frames could not be relayed while an endpoint moves`;
  const opposite = others.find((other) => other.vni === vni);
  return opposite === undefined ? undefined : `vni must not be ${wanted.vni}: while an endpoint moves, frames are relayed with VNI ${vni}, which is tenant ${opposite.tenant}'s`;
}

/** Whether the kernel has a VXLAN device of the tenant's VNI. */
function hasDevice(party: SpareParty): boolean {
  return party.datapath !== 'ovs' || hasStandIn(party);
}

/** Whether the tenant needs the closed port. */
function needsPort(party: SpareParty): boolean {
  return hasSpare(party) || hasStandIn(party);
}

/**
 * Why a segment cannot be on a node together with the others, for the sake of spare tunnels and stand-ins, in words: `vni must be …`; undefined
 * when it can. `others` may contain the tenant itself.
 */
export function describeSpareConflict(wanted: SpareParty, others: readonly SpareParty[]): string | undefined {
  const beside = others.filter(({ vni }) => vni !== wanted.vni);
  if (wanted.vtepPort === sparePort && [wanted, ...beside].some(needsPort)) {
    return `vtep.port must not be ${sparePort}, which is kept for the spare tunnels of tenants with controlPlane evpn`;
  }
  if (needsPort(wanted)) {
    const onPort = beside.find(({ vtepPort }) => vtepPort === sparePort);
    if (onPort !== undefined) return `controlPlane cannot be evpn on this node: tenant ${onPort.tenant} has UDP port ${sparePort}, which spare tunnels need`;
  }
  const opposite = beside.find((other) => other.vni === spareVni(wanted.vni) && [wanted, other].some(hasSpare) && [wanted, other].every(hasDevice));
  return opposite === undefined ? undefined : `vni must not be ${wanted.vni}: it and the VNI ${opposite.vni} of tenant ${opposite.tenant} add up to ${vniMax}, and one's spare tunnel would have the other's VNI`;
}
