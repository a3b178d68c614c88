/** MTU arithmetic of the encapsulation. Pure. */
import type { Family } from '../netaddr/netaddr.ts';

/** RFC 7348 §5: the inner Ethernet header travels inside the tunnel. */
const innerEthernetBytes = 14;
/** RFC 7348 §5. */
const vxlanHeaderBytes = 8;
/** RFC 768. */
const udpHeaderBytes = 8;
/** RFC 791 §3.1 without options, RFC 8200 §3. */
const ipHeaderBytes = { 4: 20, 6: 40 } as const;

/** Least IPv6 link MTU (RFC 8200 §5), bytes. */
export const ipv6MinimumMtuBytes = 1280;
/** Least IPv4 link MTU the kernel takes (include/net/ip.h IPV4_MIN_MTU is 68), bytes. */
export const ipv4MinimumMtuBytes = 68;

/** Bytes that VXLAN adds to an inner IP packet over an underlay of the family: 50 over IPv4, 70 over IPv6. */
export function vxlanOverheadBytes(underlay: Family): number {
  return innerEthernetBytes + vxlanHeaderBytes + udpHeaderBytes + ipHeaderBytes[underlay];
}

/** The largest MTU, in bytes, that endpoints may use over an underlay link of underlayMtu bytes. */
export function overlayMtuBytes(underlayMtu: number, underlay: Family): number {
  return underlayMtu - vxlanOverheadBytes(underlay);
}
