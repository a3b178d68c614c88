/** `weft tenants`: the tenants that have endpoints on this node, or are in the node configuration. */
import type { TenantConf } from '../config/node-model.ts';
import type { SegmentRecord } from '../ledger/records.ts';
import { formatAddress, formatInterfaceAddress, type Vni } from '../netaddr/netaddr.ts';
import { bridgeName, vxlanName } from '../overlay/names.ts';
import { contentOf, type NodeState } from './node-state.ts';
import { reportPools, type PoolReport } from './pools.ts';
import { compareTexts, renderTable, shorten, wrapList, type Cell } from './text.ts';

/**
 * A tenant as `weft tenants -o json` prints it. Every key is always there; keys may be added. What is settled with a tenant's
 * first endpoint on the node is null, or an empty list, before that.
 */
export interface TenantReport {
  readonly tenant: string;
  /** Null: the node configuration leaves it to the plugin's. */
  readonly vni: number | null;
  /** Whether it has its network on this node. */
  readonly isPresent: boolean;
  /** Whether the node configuration has it. */
  readonly isConfigured: boolean;
  readonly endpoints: number;
  readonly endpointsMax: number;
  /** This node's tunnel end point. */
  readonly vtepAddress: string | null;
  /** UDP. */
  readonly vtepPort: number | null;
  /** Bytes, of endpoints. */
  readonly mtu: number | null;
  /** Bytes, of the link that carries the VTEP's address. */
  readonly underlayMtu: number | null;
  /** The other VTEPs. */
  readonly peers: readonly string[];
  /** The gateway's addresses on this node, with prefix lengths. */
  readonly gateway: readonly string[];
  /** Whether the gateway masquerades what leaves the tenant. */
  readonly isMasqueraded: boolean;
  /** What wires its endpoints: `bridge` or `ovs`. */
  readonly datapath: string | null;
  readonly encapsulation: string | null;
  /** The tenant's own links; null with Open vSwitch, where all tenants share a bridge. */
  readonly bridge: string | null;
  readonly vxlan: string | null;
  /** The sets of ranges that weft gives addresses from; empty where it gives none. */
  readonly pools: readonly PoolReport[];
}

/** Every tenant, by name. */
export function reportTenants(node: NodeState): readonly TenantReport[] {
  const { segments } = contentOf(node);
  const configured = node.configuration.kind === 'valid' ? node.configuration.conf.tenants : [];
  const absent = configured.filter(({ name }) => !segments.some(({ segment }) => segment.tenant === name));
  const reports = [...segments.map((record) => reportPresent(node, record)), ...absent.map((conf) => reportAbsent(node, conf))];
  return reports.sort((a, b) => compareTexts(a.tenant, b.tenant) || (a.vni ?? 0) - (b.vni ?? 0));
}

function reportPresent(node: NodeState, { vni, segment }: SegmentRecord): TenantReport {
  const { tenant, gateway } = segment;
  return {
    ...reportUse(node, tenant, vni),
    isPresent: true,
    vtepAddress: formatAddress(segment.vtepAddress),
    vtepPort: segment.vtepPort,
    mtu: segment.overlayMtu,
    underlayMtu: segment.underlayMtu,
    peers: segment.peers.map(formatAddress),
    gateway: gateway?.addresses.map(formatInterfaceAddress) ?? [],
    isMasqueraded: gateway?.masquerade ?? false,
    datapath: segment.datapath ?? 'bridge',
    encapsulation: segment.encapsulation ?? 'vxlan',
    bridge: segment.datapath === 'ovs' ? null : bridgeName(vni),
    vxlan: segment.datapath === 'ovs' ? null : vxlanName(vni),
  };
}

function reportAbsent(node: NodeState, { name, vni }: TenantConf): TenantReport {
  const unsettled = { vtepAddress: null, vtepPort: null, mtu: null, underlayMtu: null, peers: [], gateway: [], isMasqueraded: false, datapath: null, encapsulation: null, bridge: null, vxlan: null };
  return { ...reportUse(node, name, vni), isPresent: false, ...unsettled };
}

type Use = Pick<TenantReport, 'tenant' | 'vni' | 'isConfigured' | 'endpoints' | 'endpointsMax' | 'pools'>;

function reportUse(node: NodeState, tenant: string, vni: Vni | undefined): Use {
  const content = contentOf(node);
  const conf = node.configuration.kind === 'valid' ? node.configuration.conf : undefined;
  return {
    tenant,
    vni: vni ?? null,
    isConfigured: conf?.tenants.some(({ name }) => name === tenant) ?? false,
    endpoints: content.attachments.filter((record) => record.vni === vni).length,
    endpointsMax: node.endpointsMaxOf(content.segments.find((record) => record.vni === vni)?.segment ?? {}),
    pools: reportPools(content, { tenant, vni, node: conf }),
  };
}

const header = ['TENANT', 'VNI', 'DATAPATH', 'ENDPOINTS', 'VTEP', 'PORT', 'MTU', 'GATEWAY', 'PEERS'] as const;
const nameCharactersMax = 30;
const listCharactersMax = 48;

/** The tenants as a table; a line that says so where there are none. */
export function renderTenants(tenants: readonly TenantReport[]): string {
  if (tenants.length === 0) return 'no tenants\n';
  const rows = tenants.map((tenant): readonly Cell[] => [
    shorten(tenant.tenant, nameCharactersMax),
    textOf(tenant.vni),
    textOf(tenant.datapath),
    `${tenant.endpoints}/${tenant.endpointsMax}`,
    textOf(tenant.vtepAddress),
    textOf(tenant.vtepPort),
    textOf(tenant.mtu),
    [...tenant.gateway, ...(tenant.isMasqueraded ? ['masqueraded'] : [])],
    wrapList(tenant.peers, listCharactersMax),
  ]);
  return renderTable([header, ...rows]);
}

function textOf(value: string | number | null): string {
  return value === null ? '' : String(value);
}
