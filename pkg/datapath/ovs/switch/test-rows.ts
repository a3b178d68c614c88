/** Rows of Open vSwitch's database without a database, for tests. */
import { Replica, type WatchedRow } from '../../../ovsdb/replica.ts';
import { mapOf, parseUuid, setOf, uuidAtom, type Row, type Uuid } from '../../../ovsdb/values.ts';
import { watched, type Watched } from './rows.ts';

/** An interface with the port it is alone in. */
export interface TestPort {
  readonly name: string;
  readonly type?: string;
  readonly externalIds?: Readonly<Record<string, string>>;
  readonly ofport?: number;
  readonly ifindex?: number | undefined;
  readonly qos?: Uuid;
}

/** A bridge with its ports. */
export interface TestBridge {
  readonly name: string;
  readonly datapathType?: string;
  readonly externalIds?: Readonly<Record<string, string>>;
  readonly ports?: readonly TestPort[];
}

let made = 0;

/** An identity that no other row of the test process has. */
export function testUuid(): Uuid {
  made += 1;
  return parseUuid(`00000000-0000-4000-8000-${made.toString(16).padStart(12, '0')}`);
}

/** Bridges as a monitor has them. */
export function testRows(bridges: readonly TestBridge[], more: Readonly<Record<string, Readonly<Record<Uuid, Row>>>> = {}): Replica<Watched> {
  const tables: Record<string, Record<string, { readonly new: Row }>> = { Bridge: {}, Port: {}, Interface: {} };
  const insert = (table: string, row: Row, uuid = testUuid()): Uuid => {
    (tables[table] ??= {})[uuid] = { new: row };
    return uuid;
  };
  for (const { name, datapathType = '', externalIds = {}, ports = [] } of bridges) {
    const uuids = ports.map((port) => insert('Port', portRow(port, insert('Interface', interfaceRow(port)))));
    insert('Bridge', { name, datapath_type: datapathType, external_ids: mapOf(externalIds), ports: setOf(uuids.map(uuidAtom)) });
  }
  for (const [table, rows] of Object.entries(more)) for (const [uuid, row] of Object.entries(rows)) insert(table, row, parseUuid(uuid));
  const replica = new Replica(watched);
  replica.apply(tables, 'update');
  return replica;
}

/** The interface of this name. */
export function interfaceNamed(rows: Replica<Watched>, name: string): readonly [Uuid, WatchedRow<Watched, 'Interface'>] {
  const entry = [...rows.table('Interface')].find(([, row]) => row.name === name);
  if (entry === undefined) throw new Error(`No interface ${name}`);
  return entry;
}

function portRow({ name, externalIds = {}, qos }: TestPort, interfaceUuid: Uuid): Row {
  return { name, interfaces: uuidAtom(interfaceUuid), external_ids: mapOf(externalIds), ...(qos === undefined ? {} : { qos: uuidAtom(qos) }) };
}

function interfaceRow({ name, type = '', externalIds = {}, ofport, ifindex }: TestPort): Row {
  const numbers = { ...(ofport === undefined ? {} : { ofport }), ...(ifindex === undefined ? {} : { ifindex }) };
  return { name, type, external_ids: mapOf(externalIds), ...numbers };
}
