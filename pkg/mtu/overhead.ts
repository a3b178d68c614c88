/** MTU arithmetic of the encapsulations. Pure. */
import type { Family } from '../netaddr/netaddr.ts';

/** How a tenant's frames travel between nodes; both inside UDP. */
export type Encapsulation = 'vxlan' | 'geneve';

/** RFC 7348 §5, RFC 8926 §3.4: the inner Ethernet header travels inside the tunnel. */
const innerEthernetBytes = 14;
/** RFC 7348 §5. */
const vxlanHeaderBytes = 8;
/** RFC 8926 §3.4. */
const geneveBaseHeaderBytes = 8;
/** RFC 8926 §3.5: weft sends none. Whoever gives it an option makes room for it here. */
const geneveOptionsBytes = 0;
/** RFC 768. */
const udpHeaderBytes = 8;
/** RFC 791 §3.1 without options, RFC 8200 §3. */
const ipHeaderBytes = { 4: 20, 6: 40 } as const;

const tunnelHeaderBytes: Readonly<Record<Encapsulation, number>> = {
  vxlan: vxlanHeaderBytes,
  geneve: geneveBaseHeaderBytes + geneveOptionsBytes,
};

/** Least IPv6 link MTU (RFC 8200 §5), bytes. */
export const ipv6MinimumMtuBytes = 1280;
/** Least IPv4 link MTU the kernel takes (include/net/ip.h IPV4_MIN_MTU is 68), bytes. */
export const ipv4MinimumMtuBytes = 68;

/** Bytes that the encapsulation adds to an inner IP packet over an underlay of the family: of either, 50 over IPv4 and 70 over IPv6. */
export function overheadBytes(encapsulation: Encapsulation, underlay: Family): number {
  return innerEthernetBytes + tunnelHeaderBytes[encapsulation] + udpHeaderBytes + ipHeaderBytes[underlay];
}

/** The largest MTU, in bytes, that endpoints may use over an underlay link of underlayMtu bytes. */
export function overlayMtuBytes(underlayMtu: number, { encapsulation, underlay }: { readonly encapsulation: Encapsulation; readonly underlay: Family }): number {
  return underlayMtu - overheadBytes(encapsulation, underlay);
}
