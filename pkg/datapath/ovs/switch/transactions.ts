/** What weft changes in Open vSwitch's database, as operations. Pure. */
import type { Mac } from '../../../netaddr/netaddr.ts';
import { deleteRows, insertRow, mutateRows, requireRows, updateRows, type Condition, type Operation } from '../../../ovsdb/operations.ts';
import { mapOf, namedUuid, setOf, uuidAtom, type Row, type Uuid, type Value } from '../../../ovsdb/values.ts';
import { bridgeSettings, ownerKey, tokenKey, type Role } from './rows.ts';
import type { DatapathType } from './settings.ts';

/** A port to be inserted, with its one interface. */
export interface NewPort {
  /** At most 15 characters. */
  readonly name: string;
  readonly role: Exclude<Role, 'bridge'>;
  /** '' for a network device that is there. */
  readonly type: string;
  readonly options?: Readonly<Record<string, string>>;
  /** Of an interface that ovs-vswitchd makes itself. */
  readonly mac?: Mac;
  /** Of an interface that ovs-vswitchd makes itself. */
  readonly mtu?: number;
  readonly externalIds: Readonly<Record<string, string>>;
  /** What no other row has. */
  readonly token: string;
  /** Whether one of the name that another process has added, or is adding, is as good. */
  readonly isShared?: boolean;
}

/** Makes the bridge, with the port and interface that every bridge has; nothing where one of the name is there by then. */
export function insertBridge(name: string, datapathType: DatapathType): readonly Operation[] {
  const external_ids = mapOf({ [ownerKey]: 'bridge' });
  const { failMode, otherConfig } = bridgeSettings;
  return [
    requireRows('Bridge', { where: named(name), columns: ['name'], rows: [] }),
    insertRow('Interface', { name, type: 'internal', external_ids }, 'interface'),
    insertRow('Port', { name, interfaces: namedUuid('interface'), external_ids }, 'port'),
    insertRow('Bridge', { name, datapath_type: datapathType, fail_mode: failMode, other_config: mapOf(otherConfig), external_ids, ports: namedUuid('port') }, 'bridge'),
    mutateRows('Open_vSwitch', [], [['bridges', 'insert', namedUuid('bridge')]]),
  ];
}

/** Sets a bridge as weft needs it; what else it has stays. */
export function mendBridge(bridge: Uuid): readonly Operation[] {
  const keys = setOf(Object.keys(bridgeSettings.otherConfig));
  return [
    updateRows('Bridge', identity(bridge), { fail_mode: bridgeSettings.failMode }),
    // Inserting keeps a value that the key has.
    mutateRows('Bridge', identity(bridge), [['other_config', 'delete', keys], ['other_config', 'insert', mapOf(bridgeSettings.otherConfig)]]),
  ];
}

/** Removes a bridge; nothing where it has other ports than these by then. */
export function removeBridgeWith(bridge: Uuid, ports: ReadonlySet<Uuid>): readonly Operation[] {
  return [requireRows('Bridge', { where: identity(bridge), columns: ['ports'], rows: [{ ports: setOf([...ports].map(uuidAtom)) }] }), ...removeBridge(bridge)];
}

/** Removes a bridge; its ports and interfaces go with it. */
export function removeBridge(bridge: Uuid): readonly Operation[] {
  return [mutateRows('Open_vSwitch', [], [['bridges', 'delete', uuidAtom(bridge)]])];
}

/** Adds ports to a bridge; nothing where the bridge is gone or a name is taken. */
export function insertPorts(bridge: Uuid, ports: readonly NewPort[]): readonly Operation[] {
  const insertions = ports.flatMap((port, index) => insertPort(port, index));
  const all = setOf(ports.map((_, index) => namedUuid(`port${index}`)));
  return [
    requireRows('Bridge', { where: identity(bridge), columns: ['_uuid'], rows: [{ _uuid: uuidAtom(bridge) }] }),
    ...insertions,
    mutateRows('Bridge', identity(bridge), [['ports', 'insert', all]]),
  ];
}

function insertPort({ name, role, type, options, mac, mtu, externalIds, token }: NewPort, index: number): readonly Operation[] {
  const external_ids = mapOf({ ...externalIds, [ownerKey]: role, [tokenKey]: token });
  const own: Row = { name, type, external_ids, ...optional('options', options && mapOf(options)), ...optional('mac', mac), ...optional('mtu_request', mtu) };
  return [
    requireRows('Port', { where: named(name), columns: ['name'], rows: [] }),
    insertRow('Interface', own, `interface${index}`),
    insertRow('Port', { name, interfaces: namedUuid(`interface${index}`), external_ids }, `port${index}`),
  ];
}

/** Removes ports from a bridge; their interfaces go with them. */
export function removePorts(bridge: Uuid, ports: readonly Uuid[]): readonly Operation[] {
  return [mutateRows('Bridge', identity(bridge), [['ports', 'delete', setOf(ports.map(uuidAtom))]])];
}

/** Gives a tunnel its options; others that it has are gone. */
export function setOptions(port: Uuid, options: Readonly<Record<string, string>>): readonly Operation[] {
  return [updateRows('Interface', identity(port), { options: mapOf(options) })];
}

/** Has ovs-vswitchd give an interface that it made an MTU, in bytes. */
export function setMtu(port: Uuid, mtu: number): readonly Operation[] {
  return [updateRows('Interface', identity(port), { mtu_request: mtu })];
}

/** Gives a port's interface a value of external_ids; undefined: none. */
export function setExternalId(port: Uuid, { key, value }: { readonly key: string; readonly value: string | undefined }): readonly Operation[] {
  // Inserting keeps a value that the key has.
  const insertion = value === undefined ? [] : [['external_ids', 'insert', mapOf({ [key]: value })] as const];
  return [mutateRows('Interface', identity(port), [['external_ids', 'delete', setOf([key])], ...insertion])];
}

/** Removes rows that stand for themselves. */
export function removeUnreferenced(table: 'QoS' | 'Queue', rows: readonly Uuid[]): readonly Operation[] {
  return rows.map((row) => deleteRows(table, identity(row)));
}

function optional(column: string, value: Value | undefined): Row {
  return value === undefined ? {} : { [column]: value };
}

function named(name: string): readonly Condition[] {
  return [['name', '==', name]];
}

function identity(uuid: Uuid): readonly Condition[] {
  return [['_uuid', '==', uuidAtom(uuid)]];
}
