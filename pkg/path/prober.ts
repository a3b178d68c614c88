/** A way to ask whether a packet of some size reaches another node. What is done with the answer is decided elsewhere. */
import type { Address } from '../netaddr/netaddr.ts';

/** How a probe travels: as a UDP datagram between the VTEPs, or inside the tunnel as the tenants' frames do. */
export type ProbeWay = 'underlay' | 'tunnel';

export type ProbeOutcome =
  /** The peer's daemon has received all of it and said so. */
  | { readonly kind: 'answered'; readonly milliseconds: number }
  /** Nothing came back in time. */
  | { readonly kind: 'silent' }
  /** This node's kernel knows of a narrower path, by its own links or by what a router said (RFC 1191 §4, RFC 8201 §4). */
  | { readonly kind: 'tooBig'; readonly mtuBytes?: number };

export interface Probe {
  /** The VTEP to ask. */
  readonly peer: Address;
  /** Length of the outer IP packet with all its headers, bytes. It is never fragmented. */
  readonly packetBytes: number;
  readonly deadlineMs: number;
}

export interface Prober {
  readonly way: ProbeWay;
  /** Sends one packet and waits for its answer; retries are the caller's. Never rejects for what the network does. */
  probe(probe: Probe): Promise<ProbeOutcome>;
}
