/** `weft migrate status`: the attachments on this node whose endpoints are on their way, one row each. */
import { formatAddress, formatInterfaceAddress } from '../netaddr/netaddr.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import type { MigrationPhase, PortMigration } from '../overlay/model.ts';
import { contentOf, type NodeState } from './node-state.ts';
import { compareTexts, formatAge, renderTable, shortContainerId, shorten } from './text.ts';

/** A migration as `weft migrate status -o json` prints it. Every key is always there; keys may be added. */
export interface MigrationReport {
  readonly tenant: string;
  readonly vni: number;
  /** WEFT_ENDPOINT. */
  readonly endpoint: string | null;
  /** The same on both nodes. */
  readonly id: string;
  readonly role: 'source' | 'target';
  readonly phase: MigrationPhase;
  /** VTEP of the other node. */
  readonly other: string;
  readonly containerId: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  /** Since when it is in this phase, in milliseconds since the epoch. */
  readonly since: number;
}

/** Every migration of the node: by tenant, then name. */
export function reportMigrations(node: NodeState): readonly MigrationReport[] {
  const reports = contentOf(node).attachments.flatMap((record) => (record.port.migration === undefined ? [] : [reportMigration(record, record.port.migration)]));
  return reports.sort((a, b) => compareTexts(a.tenant, b.tenant) || compareTexts(a.endpoint ?? '', b.endpoint ?? '') || compareTexts(a.containerId, b.containerId));
}

function reportMigration({ tenant, vni, endpoint, key, mac, port }: AttachmentRecord, { id, phase, other, since }: PortMigration): MigrationReport {
  return {
    tenant, vni, endpoint: endpoint ?? null, id, role: phase === 'waiting' || phase === 'arrived' ? 'target' : 'source', phase, other: formatAddress(other),
    containerId: key.containerId, mac, addresses: port.addresses.map(formatInterfaceAddress), since,
  };
}

/** What a phase means to whoever looks at it. */
const meanings: Readonly<Record<MigrationPhase, string>> = {
  relaying: 'here; prepared over there', departed: 'stopped here; relayed until all others know', left: 'gone; waits for its DEL',
  waiting: 'closed; not here yet', arrived: 'here; the source still relays',
};

const header = ['TENANT', 'VNI', 'ENDPOINT', 'CONTAINER', 'ADDRESSES', 'ROLE', 'OTHER NODE', 'PHASE', 'SINCE', 'WHICH MEANS'] as const;
const nameCharactersMax = 30;

/** The migrations as a table; a line that says so where there are none. */
export function renderMigrations(migrations: readonly MigrationReport[], { now }: Pick<NodeState, 'now'>): string {
  if (migrations.length === 0) return 'no migrations\n';
  const rows = migrations.map(({ tenant, vni, endpoint, containerId, addresses, role, other, phase, since }) => [
    shorten(tenant, nameCharactersMax), String(vni), shorten(endpoint ?? '', nameCharactersMax), shortContainerId(containerId), addresses, role, other, phase, formatAge(now - since), meanings[phase],
  ]);
  return renderTable([header, ...rows]);
}
