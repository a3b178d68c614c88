/**
 * The rows of Open vSwitch's database that weft looks at (ovs-vswitchd.conf.db(5)), and which of them are its own. Pure.
 *
 * Weft owns what carries its external_ids, whatever the name: a name alone proves nothing, for anybody can take it.
 */
import type { WatchedRow, WatchedRows } from '../../../ovsdb/replica.ts';
import type { Uuid } from '../../../ovsdb/values.ts';
import type { DatapathType } from './settings.ts';

/** What is watched. Counters are not: they change all the time. */
export const watched = {
  Open_vSwitch: { columns: { datapath_types: 'string[]' } },
  Bridge: { columns: { name: 'string', datapath_type: 'string', fail_mode: 'string?', other_config: 'string=>string', external_ids: 'string=>string', ports: 'uuid[]' } },
  Port: { columns: { name: 'string', interfaces: 'uuid[]', external_ids: 'string=>string', qos: 'uuid?' } },
  Interface: {
    columns: { name: 'string', type: 'string', options: 'string=>string', external_ids: 'string=>string', ofport: 'integer?', error: 'string?', ifindex: 'integer?', link_state: 'string?' },
  },
  QoS: { columns: { external_ids: 'string=>string', queues: 'integer=>uuid' } },
  Queue: { columns: { external_ids: 'string=>string' } },
} as const;
export type Watched = typeof watched;

/** The rows by table, as a monitor has them. */
export interface SwitchRows {
  table<N extends keyof Watched>(name: N): WatchedRows<Watched, N>;
}

/** A row of the table Interface. */
export type SwitchInterface = WatchedRow<Watched, 'Interface'>;

/** The key in external_ids that says that a row is weft's; its value says what the row is for. */
export const ownerKey = 'weft';
/** The key in external_ids with what no other row has: by it who has inserted a row finds it again. */
export const tokenKey = 'weft-token';
/** What a row is for. */
export type Role = 'bridge' | 'port' | 'tunnel';

/** Settings of the bridge: it forwards nothing but what flows say, and no flows for a remote controller are hidden in it. */
export const bridgeSettings = { failMode: 'secure', otherConfig: { 'disable-in-band': 'true' } } as const;

/** One of weft's interfaces on its bridge. */
export interface SwitchPort {
  readonly role: Exclude<Role, 'bridge'>;
  /** '' for a network device, `internal`, or the kind of a tunnel. */
  readonly type: string;
  readonly options: ReadonlyMap<string, string>;
  /** The number by which flows know it; undefined while ovs-vswitchd has not opened it, or cannot. A number that it has once stays in the row. */
  readonly ofport?: number;
  /** Why ovs-vswitchd cannot open it. */
  readonly error?: string;
  /** Of the network device; 0 where it is gone, undefined where that was not looked at yet. With the userspace datapath nothing else tells. */
  readonly ifIndex?: number;
  /** Undefined while ovs-vswitchd has not looked. */
  readonly isLinkUp?: boolean;
  /** As they were given; those by which weft knows its rows are left out. */
  readonly externalIds: ReadonlyMap<string, string>;
}

/** A bridge of weft's name, as it is found. */
export type FoundBridge =
  | { readonly kind: 'absent' }
  /** Somebody else's. */
  | { readonly kind: 'foreign' }
  | {
      readonly kind: 'own';
      readonly uuid: Uuid;
      readonly datapathType: DatapathType;
      readonly ports: ReadonlySet<Uuid>;
      /** Whether ovs-vswitchd has made it. */
      readonly isMade: boolean;
      readonly failMode: string | undefined;
      /** Whether it is set as bridgeSettings says. */
      readonly isAsWanted: boolean;
    };

/** A bridge that is weft's. */
export type OwnBridge = Extract<FoundBridge, { kind: 'own' }>;

/** The bridge of this name. */
export function findBridge(rows: SwitchRows, name: string): FoundBridge {
  const uuid = findNamed(rows.table('Bridge'), name);
  const bridge = uuid === undefined ? undefined : rows.table('Bridge').get(uuid);
  if (uuid === undefined || bridge === undefined) return { kind: 'absent' };
  if (!bridge.external_ids.has(ownerKey)) return { kind: 'foreign' };
  return {
    kind: 'own',
    uuid,
    // An empty column means the same to ovs-vswitchd.
    datapathType: bridge.datapath_type === 'netdev' ? 'netdev' : 'system',
    ports: bridge.ports,
    isMade: hasNumber(rows, findNamed(rows.table('Interface'), name)),
    failMode: bridge.fail_mode,
    isAsWanted: bridge.fail_mode === bridgeSettings.failMode && Object.entries(bridgeSettings.otherConfig).every(([key, value]) => bridge.other_config.get(key) === value),
  };
}

/** How weft's bridge is set otherwise than it should be, in words; undefined where it is not. */
export function describeSettings(rows: SwitchRows, name: string): string | undefined {
  const found = findBridge(rows, name);
  if (found.kind !== 'own' || found.isAsWanted) return undefined;
  if (found.failMode === bridgeSettings.failMode) return `the bridge ${name} has flows that Open vSwitch hides`;
  return `the bridge ${name} has the fail mode "${found.failMode ?? ''}" and not "${bridgeSettings.failMode}"`;
}

/** Weft's own interfaces on the bridge by name, without the bridge's own. */
export function portsOf(rows: SwitchRows, bridge: OwnBridge): Map<string, SwitchPort> {
  const ports = new Map<string, SwitchPort>();
  for (const row of interfacesOf(rows, bridge.ports)) {
    const role = roleOf(row.external_ids);
    if (role === 'port' || role === 'tunnel') ports.set(row.name, describePort(row, role));
  }
  return ports;
}

/** What stands in the way of a port of this name. */
export type Occupant =
  | { readonly kind: 'none' }
  /** Somebody else's, or on another bridge. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'own'; readonly port: Uuid; readonly interface: Uuid; readonly token: string | undefined };

/** Who has the name: in the database it is given once, to whichever bridge. */
export function findOccupant(rows: SwitchRows, bridge: OwnBridge, name: string): Occupant {
  const port = findNamed(rows.table('Port'), name);
  const uuid = findNamed(rows.table('Interface'), name);
  if (port === undefined && uuid === undefined) return { kind: 'none' };
  const row = uuid === undefined ? undefined : rows.table('Interface').get(uuid);
  if (port === undefined || uuid === undefined || row === undefined || !bridge.ports.has(port) || !isOwnPort(row.external_ids)) return { kind: 'foreign' };
  return { kind: 'own', port, interface: uuid, token: row.external_ids.get(tokenKey) };
}

/** Weft's ports of these names on the bridge; what is not weft's stays. */
export function ownPortRows(rows: SwitchRows, bridge: OwnBridge, isMeant: (name: string, token: string | undefined) => boolean): readonly Uuid[] {
  const meant = (uuid: Uuid): boolean => {
    const port = rows.table('Port').get(uuid);
    return port !== undefined && isOwnPort(port.external_ids) && isMeant(port.name, port.external_ids.get(tokenKey));
  };
  return [...bridge.ports].filter(meant);
}

/** The interface that somebody inserted with this token. */
export function findByToken(rows: SwitchRows, token: string): Uuid | undefined {
  for (const [uuid, row] of rows.table('Interface')) if (row.external_ids.get(tokenKey) === token) return uuid;
  return undefined;
}

/** The interface of this name. */
export function findByName(rows: SwitchRows, name: string): Uuid | undefined {
  return [...rows.table('Interface')].find(([, row]) => row.name === name)?.[0];
}

/** Whether it is the number of a port; -1 stands for one that cannot be opened. */
export function isPortNumber(ofport: number | undefined): ofport is number {
  return ofport !== undefined && ofport > 0;
}

/** What a row of weft's is for; undefined for anybody else's. */
export function roleOf(externalIds: ReadonlyMap<string, string>): Role | undefined {
  const value = externalIds.get(ownerKey);
  return value === 'bridge' || value === 'port' || value === 'tunnel' ? value : undefined;
}

function hasNumber(rows: SwitchRows, uuid: Uuid | undefined): boolean {
  return uuid !== undefined && isPortNumber(rows.table('Interface').get(uuid)?.ofport);
}

/** Without a copy of the table, which may be long. */
function findNamed(table: ReadonlyMap<Uuid, { readonly name: string }>, name: string): Uuid | undefined {
  for (const [uuid, row] of table) if (row.name === name) return uuid;
  return undefined;
}

function isOwnPort(externalIds: ReadonlyMap<string, string>): boolean {
  const role = roleOf(externalIds);
  return role === 'port' || role === 'tunnel';
}

/** The interfaces of ports. */
export function interfacesOf(rows: SwitchRows, ports: ReadonlySet<Uuid>): readonly SwitchInterface[] {
  const uuids = [...ports].flatMap((port) => [...(rows.table('Port').get(port)?.interfaces ?? [])]);
  return uuids.flatMap((uuid) => rows.table('Interface').get(uuid) ?? []);
}

function describePort(row: SwitchInterface, role: SwitchPort['role']): SwitchPort {
  const externalIds = new Map([...row.external_ids].filter(([key]) => key !== ownerKey && key !== tokenKey));
  return {
    role,
    type: row.type,
    options: row.options,
    externalIds,
    ...(isPortNumber(row.ofport) ? { ofport: row.ofport } : {}),
    ...(row.error === undefined || row.error === '' ? {} : { error: row.error }),
    ...(row.ifindex === undefined ? {} : { ifIndex: row.ifindex }),
    ...(row.link_state === undefined ? {} : { isLinkUp: row.link_state === 'up' }),
  };
}
