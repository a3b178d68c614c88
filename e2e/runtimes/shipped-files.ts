/** The files that users copy from conf/, changed only in what differs from site to site. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Lab } from '../harness/lab.ts';
import type { RangeConf } from '../harness/net-conf.ts';

/** The addresses of two nodes in conf/, from the documentation prefix (RFC 5737), in the lab's order. */
const exampleVteps = ['192.0.2.1', '192.0.2.2'];

export interface ConfListChange {
  /** The tenant's and its network's name. */
  readonly name?: string;
  readonly vni?: number;
  readonly ranges?: readonly (readonly RangeConf[])[];
}

/** A file of conf/ with the VTEPs of the lab's first two nodes in the place of the example's, and the first one's link to the underlay. */
export function shippedFile(lab: Lab, name: string): string {
  const text = readFileSync(resolve(import.meta.dirname, '../../conf', name), 'utf8');
  return exampleVteps.reduce((changed, address, index) => changed.replaceAll(address, lab.node(index + 1).ipv4), text).replaceAll(/\beth0\b/g, lab.node(1).underlayIf);
}

/** 10-weft.conflist for the lab, for tenant blue as it is or for another. */
export function shippedConfList(lab: Lab, { name, vni, ranges }: ConfListChange = {}): string {
  const list = JSON.parse(shippedFile(lab, '10-weft.conflist')) as ShippedConfList;
  const plugins = list.plugins.map((plugin) => ({
    ...plugin,
    tenant: name ?? plugin.tenant,
    vni: vni ?? plugin.vni,
    ipam: { ...plugin.ipam, ranges: ranges ?? plugin.ipam.ranges },
  }));
  return JSON.stringify({ ...list, name: name ?? list.name, plugins });
}

interface ShippedConfList {
  readonly name: string;
  readonly plugins: readonly {
    readonly tenant: string;
    readonly vni: number;
    readonly ipam: { readonly ranges: readonly (readonly RangeConf[])[] };
  }[];
}
