/** What a daemon that probes inside the tunnel needs of the datapath. */
import type { Address } from '../netaddr/netaddr.ts';
import type { ProbeTunnel } from '../overlay/probe.ts';

/** A probe tunnel that is in place. */
export interface ProbeDevice {
  readonly tunnel: ProbeTunnel;
  /** Index of its link; another one means that it has been made anew. */
  readonly index: number;
}

/** Makes and removes probe tunnels. */
export interface ProbeTunnels {
  /**
   * The tunnel, made where it is missing or does not fit, with the guard open for its peers alone and an entry for each of them; what it has of others goes.
   * @throws WeftError foreignObject, kernelRefused
   */
  ensure(tunnel: ProbeTunnel): ProbeDevice;
  /** Removes those of this node's probe tunnels that are none of `kept`, and what the guard has for them and not for `kept`. @throws NetlinkError */
  removeOthers(kept: readonly ProbeTunnel[]): Promise<void>;
  /** Names of weft's own VXLAN devices with this VTEP address: those of tenants, of spare tunnels, relays and probes. @throws NetlinkError */
  namesOf(vtep: Address): string[];
}
