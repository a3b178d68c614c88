/** The tenants of the cluster, and the node configuration that says so. */
import type { LabNode } from '../harness/lab-node.ts';

export interface Tenant {
  readonly name: string;
  readonly vni: number;
  /** Patterns of Kubernetes namespaces. */
  readonly namespaces: readonly string[];
  /** The first two bytes of its /16, and of its fd00:…::/64. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly isGateway: boolean;
}

/** Two tenants with equal subnets, and one that the nodes have an address in: two gateways of one subnet cannot be on one node. */
export const tenants: readonly Tenant[] = [
  { name: 'blue', vni: 1001, namespaces: ['blue', 'blue-*'], ipv4: '10.1', ipv6: 'fd00:1', isGateway: false },
  { name: 'red', vni: 1002, namespaces: ['red'], ipv4: '10.1', ipv6: 'fd00:1', isGateway: false },
  { name: 'green', vni: 1003, namespaces: ['green'], ipv4: '10.2', ipv6: 'fd00:2', isGateway: true },
];

/** Namespaces of Kubernetes that the test makes; `blue-batch` is blue's by its pattern. */
export const namespaces = ['blue', 'blue-batch', 'red', 'green'] as const;

/** Addresses of a tenant that each node gives out by itself: .10 to .109 on the first, .110 to .209 on the second. */
const rangeSize = 100;
const firstHost = 10;

/** weft.yaml for a node; JSON is YAML. @param index the node's number from 0 */
export function nodeConf(nodes: readonly LabNode[], index: number): string {
  const start = firstHost + index * rangeSize;
  const end = start + rangeSize - 1;
  return JSON.stringify({
    node: nodes[index]?.name,
    vtep: { interface: 'eth0' },
    peers: nodes.map(({ ipv4 }) => ipv4),
    tenants: tenants.map(({ name, vni, namespaces: patterns, ipv4, ipv6, isGateway }) => ({
      name,
      vni,
      namespaces: patterns,
      isGateway,
      ipam: {
        type: 'weft',
        ranges: [
          [{ subnet: `${ipv4}.1.0/24`, rangeStart: `${ipv4}.1.${start}`, rangeEnd: `${ipv4}.1.${end}`, gateway: `${ipv4}.1.1` }],
          [{ subnet: `${ipv6}::/64`, rangeStart: `${ipv6}::${start}`, rangeEnd: `${ipv6}::${end}`, gateway: `${ipv6}::1` }],
        ],
      },
    })),
  });
}
