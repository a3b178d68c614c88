/** The packet that is followed. Pure. */
import { overheadBytes, type Encapsulation } from '../mtu/overhead.ts';
import type { Address, Family } from '../netaddr/netaddr.ts';

export const protocols = ['icmp', 'tcp', 'udp'] as const;
export type Protocol = (typeof protocols)[number];

/** What somebody wants to send; never sent. It must not be fragmented, as is so of TCP's, and of `ping -M do`. */
export interface Packet {
  readonly destination: Address;
  readonly protocol: Protocol;
  /** The destination's, of tcp and udp. */
  readonly port?: number;
  /** Bytes of the whole IP packet, header included. */
  readonly size: number;
}

/** As of `ping` without options: 20 bytes of IP, 8 of ICMP, 56 of data. */
export const defaultSizeBytes = 84;
/** Of an IP packet; RFC 791 §3.1. */
export const sizeBytesMax = 65_535;

/** IEEE 802.3: the header that the kernel counts in when a frame is handed from one link to another, and room for a VLAN tag: include/linux/netdevice.h, __is_skb_forwardable. */
const vlanBytes = 4;

/** Whether a link of this MTU takes a frame with the packet that is handed to it: the kernel is 4 bytes more generous than the MTU says. */
export function fitsLink(size: number, mtu: number): boolean {
  return size <= mtu + vlanBytes;
}

/** The outer packet's size, and what it is made of. */
export function outerSize(size: number, encapsulation: Encapsulation, underlay: Family): { readonly bytes: number; readonly items: string } {
  const bytes = size + overheadBytes(encapsulation, underlay);
  const tunnel = overheadBytes(encapsulation, underlay) - ethernetBytes - udpBytes - ipBytes[underlay];
  const name = encapsulation === 'vxlan' ? 'VXLAN' : 'Geneve';
  return { bytes, items: `inner packet ${size} + inner Ethernet ${ethernetBytes} + ${name} ${tunnel} + UDP ${udpBytes} + outer IPv${underlay} ${ipBytes[underlay]} = ${bytes}` };
}

/** RFC 7348 §5, RFC 768, RFC 791 §3.1, RFC 8200 §3. */
const [ethernetBytes, udpBytes, ipBytes] = [14, 8, { 4: 20, 6: 40 }] as const;
