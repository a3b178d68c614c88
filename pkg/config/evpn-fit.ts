/** Settings that do not go together with BGP EVPN, wherever they are written. */
import { formatAddress } from '../netaddr/netaddr.ts';
import type { Fault } from './faults.ts';
import type { TenantSettings } from './settings.ts';

/** What is wrong with settings on a node whose control plane is evpn; each message goes behind the name of its key. */
export function findUnfitForEvpn({ peers, encapsulation, vtep }: TenantSettings): readonly Fault[] {
  const faults: Fault[] = [];
  if (peers !== undefined) faults.push({ path: ['peers'], message: 'must be left out where controlPlane.type is "evpn": BGP finds the other nodes', code: 'invalidConfiguration' });
  // bgpd 8.4 announces encapsulation type 8 (RFC 8365 §5.1.3), whatever carries the frames.
  if (encapsulation === 'geneve') {
    const message = 'must be "vxlan" where controlPlane.type is "evpn", for FRR announces no other: current value is "geneve"';
    faults.push({ path: ['encapsulation'], message, code: 'unsupportedField' });
  }
  // FRR 8.4 keeps VTEPs as IPv4 addresses (zebra/zebra_vxlan_private.h, struct in_addr vtep_ip).
  if (vtep?.address?.family === 6) {
    const message = `must be an IPv4 address where controlPlane.type is "evpn", for FRR knows no other VTEPs: current value is "${formatAddress(vtep.address)}"`;
    faults.push({ path: ['vtep', 'address'], message, code: 'unsupportedField' });
  }
  return faults;
}
