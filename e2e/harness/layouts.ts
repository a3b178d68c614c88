/** Which datapaths the nodes of a scenario have: what holds of tenants must hold of them all, and of nodes that differ. */
import type { DatapathName } from './lab-node.ts';

export interface Layout {
  readonly title: string;
  /** In the order of the nodes. */
  readonly datapaths: readonly DatapathName[];
}

/** Two nodes. */
export const pairs: readonly Layout[] = [
  { title: 'Linux bridges', datapaths: ['bridge', 'bridge'] },
  { title: 'Open vSwitch', datapaths: ['ovs', 'ovs'] },
  { title: 'Open vSwitch and a Linux bridge', datapaths: ['ovs', 'bridge'] },
  { title: 'a Linux bridge and Open vSwitch', datapaths: ['bridge', 'ovs'] },
];

/** Three nodes. What moves from the second to the third crosses from either datapath to the other. */
export const triples: readonly Layout[] = [
  { title: 'Linux bridges', datapaths: ['bridge', 'bridge', 'bridge'] },
  { title: 'Open vSwitch', datapaths: ['ovs', 'ovs', 'ovs'] },
  { title: 'a Linux bridge between switches', datapaths: ['ovs', 'bridge', 'ovs'] },
  { title: 'a switch between Linux bridges', datapaths: ['bridge', 'ovs', 'bridge'] },
];
