/** Tenants spread over a lab's nodes, and their containers as participants of a reach measurement. */
import { readInterface } from './container.ts';
import type { Attached, AttachOptions, Lab } from './lab.ts';
import { netConf, nodeRanges, type NetConf } from './net-conf.ts';
import type { Participant } from './reach.ts';

export interface Tenant {
  readonly name: string;
  readonly vni: number;
  /** The family of the VTEPs' addresses. @default 4 */
  readonly underlay?: 4 | 6;
  /** @default '10.1.1.0/24' and 'fd00:1::/64', the same for every tenant */
  readonly subnets?: { readonly ipv4?: string; readonly ipv6?: string };
  /** Keys to add to every node's configuration. */
  readonly extra?: NetConf;
}

/** A container of a tenant, ready to take part in measurements. */
export interface Guest extends Attached {
  readonly participant: Participant;
}

export const blue: Tenant = { name: 'blue', vni: 1001 };
export const red: Tenant = { name: 'red', vni: 1002 };

/** The tenant's configuration on a node: all other nodes are peers. */
export function tenantConf(lab: Lab, { name, vni, underlay = 4, subnets = {}, extra = {} }: Tenant, nodeNumber: number): NetConf {
  const node = lab.node(nodeNumber);
  const vtep = underlay === 4 ? node.ipv4 : node.ipv6;
  const wiring = node.datapath === 'bridge' ? {} : { datapath: node.datapath };
  return netConf({ name, vni, vtep, peers: lab.peersOf(nodeNumber, underlay), ranges: nodeRanges(nodeNumber, subnets), extra: { ...wiring, ...extra } });
}

/**
 * Attaches a container of the tenant on a node. The label, at most eight bytes, names it in measurements.
 * @throws Error with the plugin's words
 */
export async function attachGuest(lab: Lab, tenant: Tenant, nodeNumber: number, options: Omit<AttachOptions, 'conf'>): Promise<Guest> {
  const attached = await lab.attach(lab.node(nodeNumber), { ...options, conf: tenantConf(lab, tenant, nodeNumber) });
  const { ipv4, ipv6 } = readInterface(attached.netns, options.ifName);
  const broadcast = (tenant.subnets?.ipv4 ?? '10.1.1.0/24').replace(/\.0\/\d+$/, '.255');
  return {
    ...attached,
    participant: { name: options.label, tenant: tenant.name, netns: attached.netns, ipv4: withoutLength(ipv4[0]), ipv6: withoutLength(ipv6[0]), broadcast },
  };
}

function withoutLength(address: string | undefined): string {
  return address?.split('/')[0] ?? '';
}
