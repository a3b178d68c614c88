/** A route reflector: FRR configured by hand on a node that has no weft, no tenant and no VTEP. */
import type { LabNode } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import { localAs, type SceneOptions } from './scene.ts';

/** Nodes that have it as their only neighbour; it is the lab's node behind them. */
export function reflected(nodes: number): SceneOptions {
  return { nodes, controlPlane: (_node, lab) => ['neighbors:', `  - address: ${lab.node(nodes + 1).ipv4}`], plain: [reflectorConf] };
}

/** Takes whoever connects from the underlay, as reflectors of a rack do. */
function reflectorConf({ ipv4 }: LabNode, _lab: Lab): string {
  return `
router bgp ${localAs}
 bgp router-id ${ipv4}
 no bgp default ipv4-unicast
 neighbor NODES peer-group
 neighbor NODES remote-as ${localAs}
 neighbor NODES timers 3 9
 bgp listen range 10.200.0.0/24 peer-group NODES
 address-family l2vpn evpn
  neighbor NODES activate
  neighbor NODES route-reflector-client
 exit-address-family
`;
}
