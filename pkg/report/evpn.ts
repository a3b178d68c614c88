/** `weft evpn`: what BGP EVPN, the ledger and the kernel know of each other. */
import { formatAge, renderTable, shorten, wrapList, type Cell } from './text.ts';

/** A session with a BGP neighbour. */
export interface EvpnSessionReport {
  readonly neighbor: string;
  readonly as: number;
  /** BGP's state machine (RFC 4271 §8.2.2) in FRR's words. */
  readonly state: string;
  readonly isUp: boolean;
  /** How long it has been up, or down; null: it never was up. */
  readonly sinceMs: number | null;
  readonly prefixesReceived: number;
  readonly prefixesSent: number;
  /** Why it is down, in FRR's words. */
  readonly problem: string | null;
}

/** A tenant that BGP is to tell of. */
export interface EvpnTenantReport {
  readonly tenant: string;
  readonly vni: number;
  /** Other VTEPs that announce the tenant. */
  readonly vteps: readonly string[];
  /** Other VTEPs that are kept although they announce it no more. */
  readonly lost: readonly string[];
  readonly advertised: number;
  readonly received: number;
}

/** An endpoint, of this node or of another. */
export interface EvpnEndpointReport {
  readonly tenant: string;
  readonly vni: number;
  readonly mac: string;
  readonly addresses: readonly string[];
  /** The VTEP; null: it is here. */
  readonly vtep: string | null;
  /** Whether BGP has it, advertised or received. */
  readonly isInBgp: boolean;
  /** Whether the kernel forwards to it. */
  readonly isInKernel: boolean;
}

/** What `weft evpn -o json` prints. Keys may be added. */
export interface EvpnReport {
  readonly as: number;
  /** Whether weft configures FRR. */
  readonly isManaged: boolean;
  /** Where FRR's sockets are. */
  readonly runDirectory: string;
  /** What is wrong, in words; where FRR does not answer, the rest is what is known without it. */
  readonly faults: readonly string[];
  /** Where BGP, ledger and kernel disagree, in words. */
  readonly disagreements: readonly string[];
  readonly sessions: readonly EvpnSessionReport[];
  readonly tenants: readonly EvpnTenantReport[];
  readonly endpoints: readonly EvpnEndpointReport[];
}

const listCharactersMax = 40;
const nameCharactersMax = 30;

/** For people: what is wrong first, then sessions, tenants, endpoints. */
export function renderEvpn({ as, isManaged, runDirectory, faults, disagreements, sessions, tenants, endpoints }: EvpnReport): string {
  const wrong = [...faults, ...disagreements];
  const parts = [
    `${wrong.length === 0 ? 'well' : `${wrong.length} to look at`}: AS ${as}, FRR in ${runDirectory} ${isManaged ? 'is configured by weft' : "is the operator's to configure"}\n${wrong.map((words) => `  ${words}\n`).join('')}`,
    sessions.length === 0 ? 'no sessions\n' : renderTable([['NEIGHBOR', 'AS', 'STATE', 'SINCE', 'RECEIVED', 'SENT', 'PROBLEM'], ...sessions.map(sessionRow)]),
    tenants.length === 0 ? 'no tenants on this node\n' : renderTable([['TENANT', 'VNI', 'ADVERTISED', 'RECEIVED', 'VTEPS'], ...tenants.map(tenantRow)]),
    ...(endpoints.length === 0 ? [] : [renderTable([['TENANT', 'MAC', 'ADDRESSES', 'AT', 'BGP', 'KERNEL'], ...endpoints.map(endpointRow)])]),
  ];
  return parts.join('\n');
}

function sessionRow({ neighbor, as, state, sinceMs, prefixesReceived, prefixesSent, problem }: EvpnSessionReport): readonly Cell[] {
  return [neighbor, String(as), state, sinceMs === null ? '' : formatAge(sinceMs), String(prefixesReceived), String(prefixesSent), problem ?? ''];
}

function tenantRow({ tenant, vni, advertised, received, vteps, lost }: EvpnTenantReport): readonly Cell[] {
  return [shorten(tenant, nameCharactersMax), String(vni), String(advertised), String(received), wrapList([...vteps, ...lost.map((vtep) => `${vtep} (lost)`)], listCharactersMax)];
}

function endpointRow({ tenant, mac, addresses, vtep, isInBgp, isInKernel }: EvpnEndpointReport): readonly Cell[] {
  return [shorten(tenant, nameCharactersMax), mac, wrapList(addresses, listCharactersMax), vtep ?? 'here', isInBgp ? 'yes' : 'no', isInKernel ? 'yes' : 'no'];
}
