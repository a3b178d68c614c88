/**
 * What the kernel knows of endpoints on other nodes, for a control plane that looks after what FRR's zebra programs.
 *
 * A remote endpoint stands in up to four tables: at the tenant's VXLAN device (`self`: which VTEP), in the bridge (`master`: behind the
 * VXLAN device), among the bridge device's neighbours (address to MAC, for answering ARP and neighbour discovery), and at the spare tunnel,
 * which remembers all of it for the time when zebra has taken the first three away. Only frames whose MAC the bridge has no entry for
 * reach the spare tunnel, so what it holds never overrules zebra.
 */
import type { Address, Mac } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';

/** An endpoint on another node. */
export interface RemoteEntry {
  readonly mac: Mac;
  /** The VTEP behind which it is; of the family of the segment's own. */
  readonly vtep: Address;
  /** Empty where none is known (a type 2 route without an address). */
  readonly addresses: readonly Address[];
}

/** What there is of a MAC that a control plane, zebra or weft, has programmed somewhere. */
export interface ObservedRemote {
  readonly mac: Mac;
  /** Where the spare tunnel would send it; absent: it is not held. */
  readonly heldAt?: Address;
  /** Addresses that are remembered with it; they are neighbours of the spare tunnel, which nobody asks. */
  readonly heldAddresses: readonly Address[];
  /** Where the VXLAN device sends it, as a control plane said (`extern_learn`); absent: no such entry. */
  readonly programmedAt?: Address;
  /** Whether the bridge has a control plane's entry for it at the VXLAN device: without, no frame gets as far as `programmedAt`. */
  readonly isBridged: boolean;
  /** Addresses that a control plane has told the bridge device (`extern_learn`). */
  readonly addresses: readonly Address[];
  /** Whether it is at a port of this node: then nothing of it is restored. */
  readonly isLocal: boolean;
}

/**
 * Each method does its work within the call, with requests that travel together, and only for segments with `controlPlane: evpn` that are in
 * place: of any other observe() finds nothing, and the rest do nothing. What is already there or already gone is no error.
 */
export interface RemoteTables {
  /** One dump for each of bridge, VXLAN device and spare tunnel, and their neighbours. @throws NetlinkError, WeftError tryAgainLater */
  observeRemotes(segment: Segment): ObservedRemote[];
  /** Makes the spare tunnel hold the entries; a MAC that it holds already for another VTEP is moved, its other addresses stay. @throws NetlinkError */
  holdRemotes(segment: Segment, entries: readonly RemoteEntry[]): void;
  /**
   * Puts back what is missing of the entries at the VXLAN device, the bridge and its neighbours. What is there stays: a MAC at one of this
   * node's ports, a VTEP that learning or zebra has written since, an address of a local endpoint or of another MAC. @throws NetlinkError
   */
  restoreRemotes(segment: Segment, entries: readonly RemoteEntry[]): void;
  /** Takes the entries out of all four tables, each where it is still this MAC's, at this VTEP and a control plane's. @throws NetlinkError */
  dropRemotes(segment: Segment, entries: readonly RemoteEntry[]): void;
}
