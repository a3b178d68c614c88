/**
 * What the kernel knows of endpoints on other nodes, for a control plane that looks after what FRR's zebra programs.
 *
 * A remote endpoint stands in up to four tables: at the tenant's VXLAN device (`self`: which VTEP), in the bridge (`master`: behind the
 * VXLAN device), among the bridge device's neighbours (address to MAC, for answering ARP and neighbour discovery), and at the spare tunnel,
 * which remembers all of it for the time when zebra has taken the first three away. Only frames whose MAC the bridge has no entry for
 * reach the spare tunnel, so what it holds never overrules zebra.
 */
import type { RemoteEndpoint, Segment } from '../overlay/model.ts';

/** What the kernel has of a tenant's remote endpoints; each MAC at most once in a list. */
export interface SeenRemotes {
  /** At the spare tunnel; their addresses are its neighbours, which nobody asks. */
  readonly held: readonly RemoteEndpoint[];
  /**
   * As a control plane programs them (`extern_learn`), at the VXLAN device and in the bridge both: one that is in only one of the two is
   * missing here. Addresses are those among the bridge device's neighbours.
   */
  readonly present: readonly RemoteEndpoint[];
}

/**
 * A node's tables, those of every datapath. Only for segments with `controlPlane: evpn` that are in place: of any other nothing is seen, and
 * nothing is done. What is already there or already gone is no error. One call at a time for a segment. What each does says RemoteTables; Open
 * vSwitch has one table, its flows, which FRR does not touch: they are `held` and `present` both, and nothing is to be restored.
 */
export interface NodeRemotes {
  /** @throws WeftError tryAgainLater where it cannot be asked; NetlinkError, OpenFlowError */
  observeRemotes(segment: Segment): SeenRemotes | Promise<SeenRemotes>;
  /** @throws as observeRemotes() */
  holdRemotes(segment: Segment, endpoints: readonly RemoteEndpoint[]): void | Promise<void>;
  /** @throws as observeRemotes() */
  restoreRemotes(segment: Segment, endpoints: readonly RemoteEndpoint[]): void | Promise<void>;
  /** @throws as observeRemotes() */
  dropRemotes(segment: Segment, endpoints: readonly RemoteEndpoint[]): void | Promise<void>;
}

/**
 * Each method does its work within the call, with requests that travel together, and only for segments of Linux bridges.
 */
export interface RemoteTables extends NodeRemotes {
  /** One dump for each of bridge, VXLAN device and spare tunnel, and of the neighbours of two. @throws NetlinkError; WeftError tryAgainLater */
  observeRemotes(segment: Segment): SeenRemotes;
  /** Makes the spare tunnel hold the endpoints; a MAC that it holds for another VTEP is moved, addresses that it has stay. @throws NetlinkError */
  holdRemotes(segment: Segment, endpoints: readonly RemoteEndpoint[]): void;
  /**
   * Puts back what is missing of the endpoints at the VXLAN device, the bridge and its neighbours. What is there stays: a MAC at one of this
   * node's ports, a VTEP that learning or zebra has written since, an address of a local endpoint. @throws NetlinkError
   */
  restoreRemotes(segment: Segment, endpoints: readonly RemoteEndpoint[]): void;
  /**
   * Takes the endpoints out of all four tables, each where it still is this MAC's, at this VTEP and a control plane's: what is an endpoint's
   * of this node by now stays. (What the VXLAN device has learned of the MAC at this VTEP goes too; the next frame brings it back.) @throws NetlinkError
   */
  dropRemotes(segment: Segment, endpoints: readonly RemoteEndpoint[]): void;
}
