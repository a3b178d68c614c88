/**
 * Values as OVSDB writes them (RFC 7047 §5.1), and what a row's columns mean once their types are known. Pure.
 *
 * The wire form does not tell its type: a set of exactly one element is written as that element, and a column that has its
 * default is left out of what a monitor reports. So whoever reads names the types, as the schema has them:
 *
 *     { name: 'string', ofport: 'integer?', ports: 'uuid[]', external_ids: 'string=>string' }
 */
import { OvsdbError } from './ovsdb-error.ts';

declare const brand: unique symbol;

/** The identity of a row: a UUID in lower case, as the server gave it. */
export type Uuid = string & { readonly [brand]: 'Uuid' };

/** A value of a base type as it is written. */
export type Atom = string | number | boolean | readonly ['uuid', string] | readonly ['named-uuid', string];

/** A value of a column as it is written. */
export type Value = Atom | readonly ['set', readonly Atom[]] | readonly ['map', readonly (readonly [Atom, Atom])[]];

/** A row as it is written: columns by name. */
export type Row = Readonly<Record<string, Value>>;

/** The base types, by their names in a schema (RFC 7047 §3.2, `atomic-type`), with what they are here. */
interface Atoms {
  readonly integer: number;
  readonly real: number;
  readonly boolean: boolean;
  readonly string: string;
  readonly uuid: Uuid;
}
type AtomName = keyof Atoms;

/**
 * The type of a column: a scalar; `?` for one value or none (a schema's min 0, max 1); `[]` for a set with more than one possible element;
 * `=>` for a map. A set that can hold one element only must be declared as `?`: changes to it are reported in another way.
 */
export type ColumnType = AtomName | `${AtomName}?` | `${AtomName}[]` | `${AtomName}=>${AtomName}`;

/** The columns of a table that somebody reads, with their types. */
export type Columns = Readonly<Record<string, ColumnType>>;

/** What a column of a type holds once it is decoded. */
export type Decoded<T extends ColumnType> =
  T extends AtomName ? Atoms[T]
  : T extends `${infer A extends AtomName}?` ? Atoms[A] | undefined
  : T extends `${infer A extends AtomName}[]` ? ReadonlySet<Atoms[A]>
  : T extends `${infer K extends AtomName}=>${infer V extends AtomName}` ? ReadonlyMap<Atoms[K], Atoms[V]>
  : never;

/** A decoded row. */
export type RowOf<C extends Columns> = { readonly [K in keyof C]: Decoded<C[K]> };

/** A reference to a row that exists. */
export function uuidAtom(uuid: Uuid): Atom {
  return ['uuid', uuid];
}

/** A reference to a row that the same transaction inserts under this name. */
export function namedUuid(name: string): Atom {
  return ['named-uuid', name];
}

/** A set; exactly one element stands for itself (RFC 7047 §5.1, `set`). */
export function setOf(atoms: Iterable<Atom>): Value {
  const elements = [...atoms];
  const [only] = elements;
  return elements.length === 1 && only !== undefined ? only : ['set', elements];
}

/** A map; of texts as an object, or of any atoms as entries. */
export function mapOf(entries: Readonly<Record<string, Atom>> | Iterable<readonly [Atom, Atom]>): Value {
  return ['map', isIterable(entries) ? [...entries] : Object.entries(entries)];
}

/** @throws OvsdbError garbled where the text is no UUID */
export function parseUuid(text: unknown): Uuid {
  if (typeof text === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) return text as Uuid;
  throw new OvsdbError('garbled', `Cannot read ${JSON.stringify(text)} as a UUID`);
}

/** What of a kind a type consists of: the atoms of a set, or the keys and the values of a map. */
interface Shape {
  readonly kind: 'scalar' | 'optional' | 'set' | 'map';
  readonly key: AtomName;
  readonly value: AtomName;
}

/** A type in its parts. */
export function shapeOf(type: ColumnType): Shape {
  const [key, value] = type.split('=>') as [string, AtomName | undefined];
  if (value !== undefined) return { kind: 'map', key: key as AtomName, value };
  const kind = key.endsWith('[]') ? 'set' : key.endsWith('?') ? 'optional' : 'scalar';
  const name = key.replace(/(\[\]|\?)$/, '') as AtomName;
  return { kind, key: name, value: name };
}

const defaults: Readonly<Record<AtomName, unknown>> = { integer: 0, real: 0, boolean: false, string: '', uuid: '00000000-0000-0000-0000-000000000000' };

/**
 * A column's value of a type; undefined, for a column that was left out, means the type's default (RFC 7047 §5.2.1).
 * @throws OvsdbError garbled where the value is of another type
 */
export function decodeValue<T extends ColumnType>(type: T, value: unknown): Decoded<T> {
  const shape = shapeOf(type);
  return decodeShape(shape, value) as Decoded<T>;
}

function decodeShape({ kind, key, value: valueType }: Shape, value: unknown): unknown {
  if (kind === 'map') return new Map(decodePairs(value).map(([k, v]) => [decodeAtom(key, k), decodeAtom(valueType, v)]));
  if (kind === 'scalar') return value === undefined ? defaults[key] : decodeAtom(key, value);
  const elements = decodeElements(value).map((element) => decodeAtom(key, element));
  if (kind === 'set') return new Set(elements);
  if (elements.length > 1) throw mismatch(`at most one ${key}`, value);
  return elements[0];
}

/**
 * The columns that were asked for, of a row as it was received.
 * @throws OvsdbError garbled, with the column's name
 */
export function decodeRow<C extends Columns>(columns: C, row: Readonly<Record<string, unknown>>): RowOf<C> {
  const decoded: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(columns)) decoded[name] = decodeColumn(name, () => decodeValue(type, row[name]));
  return decoded as RowOf<C>;
}

/** Does it for the column, whose name then stands in what is thrown. @throws OvsdbError garbled */
export function decodeColumn<T>(name: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new OvsdbError('garbled', `Cannot read the column "${name}"`, { cause: error });
  }
}

const isAtomOf: Readonly<Record<AtomName, (value: unknown) => boolean>> = {
  integer: Number.isInteger,
  real: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  string: (value) => typeof value === 'string',
  uuid: (value) => Array.isArray(value) && value.length === 2 && value[0] === 'uuid',
};

function decodeAtom(type: AtomName, value: unknown): unknown {
  if (!isAtomOf[type](value)) throw mismatch(`a value of type ${type}`, value);
  return type === 'uuid' ? parseUuid((value as readonly unknown[])[1]) : value;
}

function decodeElements(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value[0] !== 'set') return [value];
  if (value.length === 2 && Array.isArray(value[1])) return value[1];
  throw mismatch('a set', value);
}

function decodePairs(value: unknown): readonly (readonly [unknown, unknown])[] {
  if (value === undefined) return [];
  const [tag, pairs, ...more]: readonly unknown[] = Array.isArray(value) ? value : [];
  const isMap = tag === 'map' && more.length === 0 && Array.isArray(pairs) && pairs.every((pair) => Array.isArray(pair) && pair.length === 2);
  if (!isMap) throw mismatch('a map', value);
  return pairs as readonly (readonly [unknown, unknown])[];
}

const valueCharactersShown = 80;

function mismatch(what: string, value: unknown): OvsdbError {
  return new OvsdbError('garbled', `It must be ${what}: it is ${String(JSON.stringify(value)).slice(0, valueCharactersShown)}`);
}

function isIterable(value: object): value is Iterable<readonly [Atom, Atom]> {
  return Symbol.iterator in value;
}
