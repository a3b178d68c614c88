/** `weft endpoints`: the attachments on this node, one row each. */
import { formatInterfaceAddress } from '../netaddr/netaddr.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import type { MigrationPhase } from '../overlay/model.ts';
import { contentOf, type NodeState } from './node-state.ts';
import { compareTexts, formatAge, renderTable, shortContainerId, shorten } from './text.ts';

/** An endpoint as `weft endpoints -o json` prints it. Every key is always there; keys may be added. */
export interface EndpointReport {
  readonly tenant: string;
  readonly vni: number;
  /** WEFT_ENDPOINT. */
  readonly endpoint: string | null;
  readonly containerId: string;
  /** `namespace/name`. */
  readonly pod: string | null;
  /** Name of the CNI network. */
  readonly network: string;
  /** The container's interface. */
  readonly interface: string;
  readonly hostInterface: string;
  readonly mac: string;
  /** With prefix lengths; empty for a layer 2 attachment. */
  readonly addresses: readonly string[];
  /** Bytes. */
  readonly mtu: number;
  /** `weft`, `none`, or the type of the delegated IPAM plugin. */
  readonly ipam: string;
  readonly state: 'adding' | 'attached' | 'deleting';
  /** How far the endpoint is on its way between two nodes; null where it is not. */
  readonly migration: MigrationPhase | null;
  /** Whether the process that was adding or deleting it has ended: what is left of it goes with its DEL, or a GC. */
  readonly isInterrupted: boolean;
  /** Path of the container's network namespace at the ADD. */
  readonly netns: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/**
 * Every endpoint, or those of a tenant: by tenant, then name, then interface.
 * @param tenant its name or, where no tenant has that name, its VNI
 */
export function reportEndpoints(node: NodeState, tenant?: string): readonly EndpointReport[] {
  const { attachments } = contentOf(node);
  const isName = attachments.some((record) => record.tenant === tenant);
  const records = attachments.filter((record) => tenant === undefined || (isName ? record.tenant === tenant : String(record.vni) === tenant));
  return records.map((record) => reportEndpoint(record, node)).sort(compareEndpoints);
}

function reportEndpoint(record: AttachmentRecord, { interrupted }: NodeState): EndpointReport {
  const { tenant, vni, endpoint = null, pod = null, key, hostIf, mac, port, ipam, state, netns, createdAt } = record;
  return {
    tenant,
    vni,
    endpoint,
    containerId: key.containerId,
    pod,
    network: key.network,
    interface: key.ifName,
    hostInterface: hostIf,
    mac,
    addresses: port.addresses.map(formatInterfaceAddress),
    mtu: port.mtu,
    ipam,
    state,
    migration: port.migration?.phase ?? null,
    isInterrupted: interrupted.has(record.seq),
    netns,
    createdAt,
  };
}

/** Container, interface and network are unique together, so no two endpoints are equal in this order. */
function compareEndpoints(a: EndpointReport, b: EndpointReport): number {
  const keysOf = ({ tenant, endpoint, containerId, interface: ifName, network }: EndpointReport): readonly string[] => [tenant, endpoint ?? containerId, containerId, ifName, network];
  const others = keysOf(b);
  return keysOf(a).map((key, index) => compareTexts(key, others[index] ?? '')).find((order) => order !== 0) ?? 0;
}

/** One that is on its way is attached, but not as others are. */
function stateOf({ state, isInterrupted, migration }: EndpointReport): string {
  if (isInterrupted) return `${state} (interrupted)`;
  return migration === null ? state : `${state} (${migration})`;
}

const header = ['TENANT', 'VNI', 'ENDPOINT', 'POD', 'INTERFACE', 'HOST INTERFACE', 'MAC', 'ADDRESSES', 'STATE', 'AGE', 'NAMESPACE'] as const;
const podCharactersMax = 40;
const nameCharactersMax = 30;

/** The endpoints as a table; a line that says so where there are none. */
export function renderEndpoints(endpoints: readonly EndpointReport[], { now }: Pick<NodeState, 'now'>): string {
  if (endpoints.length === 0) return 'no endpoints\n';
  const rows = endpoints.map((endpoint) => [
    shorten(endpoint.tenant, nameCharactersMax),
    String(endpoint.vni),
    endpoint.endpoint === null ? shortContainerId(endpoint.containerId) : shorten(endpoint.endpoint, nameCharactersMax),
    shorten(endpoint.pod ?? '', podCharactersMax),
    endpoint.interface,
    endpoint.hostInterface,
    endpoint.mac,
    endpoint.addresses,
    stateOf(endpoint),
    formatAge(now - endpoint.createdAt),
    endpoint.netns,
  ]);
  return renderTable([header, ...rows]);
}
