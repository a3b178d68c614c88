import { macFromBytes, type Mac, type Vni } from '../netaddr/netaddr.ts';

/**
 * The MAC of a tenant's bridge, the same on every node: an endpoint that moves keeps its gateway's neighbour entry.
 * Locally administered and unicast; its first byte keeps it apart from the MACs made from addresses (netaddr's macFromAddress).
 */
export function gatewayMac(vni: Vni): Mac {
  return macFromBytes(Uint8Array.of(0x0e, 0x77, 0x67, vni >> 16, (vni >> 8) & 0xff, vni & 0xff));
}
