/** What is known of the ways to other nodes beyond what this node's own links and routes say. */
import type { Address } from '../netaddr/netaddr.ts';

export interface PathKnowledge {
  /** The size, in bytes, of the largest packet that reaches all of the peers, where one of them is known to be behind something narrower than this node's links. */
  narrowest(peers: readonly Address[]): number | undefined;
}

/** Of a process that probes nothing. */
export const noPathKnowledge: PathKnowledge = { narrowest: () => undefined };
