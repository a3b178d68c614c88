/** What of a VXLAN device cannot be changed once it is made. Pure. */
import { addressesEqual, formatAddress, type Address } from '../netaddr/netaddr.ts';
import type { Link } from '../netlink/link.ts';

/** Of a VXLAN device. */
export interface TunnelSettings {
  readonly vni: number;
  /** UDP port. */
  readonly port: number;
  /** The VTEP's address. */
  readonly local: Address;
}

/** Why a VXLAN device must be replaced, in words; undefined where it fits. */
export function misfitOf({ name, vxlan }: Link, wanted: TunnelSettings): string | undefined {
  if (vxlan === undefined) return `${name} is no VXLAN device`;
  if (vxlan.vni !== wanted.vni) return `${name} has VNI ${vxlan.vni} instead of ${wanted.vni}`;
  if (vxlan.port !== wanted.port) return `${name} has UDP port ${vxlan.port} instead of ${wanted.port}`;
  if (vxlan.local === undefined || !addressesEqual(vxlan.local, wanted.local)) return `${name} does not use the VTEP address ${formatAddress(wanted.local)}`;
  return undefined;
}
