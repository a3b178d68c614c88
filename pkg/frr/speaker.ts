/** What weft wants of bgpd: a BGP speaker for EVPN. Pure values. */
import type { Address } from '../netaddr/netaddr.ts';

/** Another speaker. */
export interface SpeakerNeighbor {
  readonly address: Address;
  /** Its autonomous system. */
  readonly as: number;
  /** TCP MD5 (RFC 2385); printable and without spaces. Secret. */
  readonly password?: string;
  /** This speaker reflects routes to it (RFC 4456); only within the own autonomous system. */
  readonly routeReflectorClient: boolean;
}

/** A speaker as weft configures it, or as it expects it to be configured. */
export interface Speaker {
  /** Its autonomous system. */
  readonly as: number;
  /** IPv4, where it was chosen; absent: the VTEP's address where weft makes the router, and otherwise what bgpd has. */
  readonly routerId?: Address;
  /** This node's VTEP: sessions to neighbours of its family come from there. */
  readonly vtep: Address;
  readonly neighbors: readonly SpeakerNeighbor[];
  /** Seconds (RFC 4271 §4.2, §8.2.1). */
  readonly timers: { readonly keepaliveSeconds: number; readonly holdSeconds: number; readonly connectSeconds: number };
}

/**
 * The peer-groups that are weft's, with all their members. They are two, since bgpd refuses a group with internal and external
 * members (bgpd/bgpd.c, BGP_ERR_PEER_GROUP_PEER_TYPE_DIFFERENT).
 */
export const peerGroups = { internal: 'weft', external: 'weft-ebgp' } as const;

/** The route-map that lets pass all, which bgpd wants to see before it exchanges anything with an external neighbour (RFC 8212). */
export const routeMap = 'weft';

/** What is said of EVPN as a whole (bgpd/bgp_evpn_vty.c): that the kernel's VNIs are told of, and that an endpoint may move as often as it will. */
export const evpnLines = { advertise: 'advertise-all-vni', noDuplicates: 'no dup-addr-detection' } as const;

/** The peer-group a neighbour belongs to. */
export function groupOf({ as }: SpeakerNeighbor, speaker: Speaker): string {
  return as === speaker.as ? peerGroups.internal : peerGroups.external;
}
