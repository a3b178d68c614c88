/** Network configurations for the tests, as an administrator would write them. */

/** An IPAM range of the plugin's configuration (DESIGN.md, "The plugin's configuration"). */
export interface RangeConf {
  readonly subnet: string;
  readonly rangeStart?: string;
  readonly rangeEnd?: string;
  readonly gateway?: string;
}

/** A network configuration; deliberately loose, for tests also write what is wrong. */
export type NetConf = Readonly<Record<string, unknown>>;

export interface TenantConf {
  readonly name: string;
  readonly vni: number;
  /** This node's VTEP address. */
  readonly vtep: string;
  /** The other nodes' VTEP addresses. */
  readonly peers: readonly string[];
  /** One list for each family. */
  readonly ranges: readonly (readonly RangeConf[])[];
  /** Keys to add to the configuration or to put in the place of the above. */
  readonly extra?: NetConf;
}

/** The configuration of a tenant's network on one node. */
export function netConf({ name, vni, vtep, peers, ranges, extra = {} }: TenantConf): NetConf {
  return {
    cniVersion: '1.0.0',
    name,
    type: 'weft',
    vni,
    vtep: { address: vtep },
    peers,
    ipam: { type: 'weft', ranges },
    capabilities: { ips: true, mac: true },
    ...extra,
  };
}

/** A tenant's ranges on one of several nodes: the same subnets everywhere, ten addresses of them for each node. */
export function nodeRanges(node: number, subnets: { readonly ipv4?: string; readonly ipv6?: string }): readonly (readonly RangeConf[])[] {
  const { ipv4 = '10.1.1.0/24', ipv6 = 'fd00:1::/64' } = subnets;
  const ipv4Base = ipv4.replace(/\.0\/\d+$/, '');
  const ipv6Base = ipv6.replace(/::\/\d+$/, '');
  return [
    [{ subnet: ipv4, rangeStart: `${ipv4Base}.${node}0`, rangeEnd: `${ipv4Base}.${node}9` }],
    [{ subnet: ipv6, rangeStart: `${ipv6Base}::${node}0`, rangeEnd: `${ipv6Base}::${node}9` }],
  ];
}
