/**
 * The spare tunnel of a tenant whose remote endpoints FRR programs: its numbers. Pure.
 *
 * FRR takes away what it programmed as soon as one of its daemons stops. What weft remembers of the remote MACs is therefore held by a
 * second VXLAN device, which only sends, and only frames that the bridge has no entry for. Two devices of one VNI cannot share a UDP port
 * (drivers/net/vxlan, vxlan_vni_in_use), and FRR's zebra knows a device by its VNI alone: so the spare has a port and a VNI of its own, and
 * each of its entries names the real ones.
 */
import { vniMax } from '../netaddr/netaddr.ts';
import type { Segment } from './model.ts';

/** UDP port on which spare tunnels stand; the guard closes it for everybody. */
export const sparePort = 24789;

/** The VNI of a tenant's spare tunnel; 0, which no tenant has, for the highest one. */
export function spareVni(vni: number): number {
  return vniMax - vni;
}

/** What of a segment decides whether spare tunnels get in its way. */
export type SpareParty = Pick<Segment, 'tenant' | 'vni' | 'vtepPort' | 'datapath' | 'controlPlane'>;

/** Whether the tenant has a spare tunnel on a node. */
export function hasSpare({ controlPlane, datapath }: Pick<SpareParty, 'controlPlane' | 'datapath'>): boolean {
  return controlPlane === 'evpn' && datapath !== 'ovs';
}

/**
 * Why a segment cannot be on a node together with the others, for the sake of spare tunnels, in words: `vni must be …`; undefined when it can.
 * `others` may contain the tenant itself.
 */
export function describeSpareConflict(wanted: SpareParty, others: readonly SpareParty[]): string | undefined {
  const beside = others.filter(({ vni, datapath }) => vni !== wanted.vni && datapath !== 'ovs');
  if (wanted.datapath === 'ovs') return undefined;
  if (wanted.vtepPort === sparePort && [wanted, ...beside].some(hasSpare)) {
    return `vtep.port must not be ${sparePort}, which is kept for the spare tunnels of tenants with controlPlane evpn`;
  }
  if (hasSpare(wanted)) {
    const onPort = beside.find(({ vtepPort }) => vtepPort === sparePort);
    if (onPort !== undefined) return `controlPlane cannot be evpn on this node: tenant ${onPort.tenant} has UDP port ${sparePort}, which spare tunnels need`;
  }
  const opposite = beside.find((other) => other.vni === spareVni(wanted.vni) && [wanted, other].some(hasSpare));
  return opposite === undefined ? undefined : `vni must not be ${wanted.vni}: it and the VNI ${opposite.vni} of tenant ${opposite.tenant} add up to ${vniMax}, and one's spare tunnel would have the other's VNI`;
}
