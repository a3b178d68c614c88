/** Reading one value of a row or of a JSON object that weft itself wrote. Whatever is not as written means damage. */
import { damaged } from './failure.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** A field that must be text. @throws SyntaxError */
export function text(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== 'string') throw unexpected(key, 'text', value);
  return value;
}

/** Undefined for SQL's NULL and for a key that JSON leaves out. */
export function optionalText(fields: Fields, key: string): string | undefined {
  return isAbsent(fields[key]) ? undefined : text(fields, key);
}

/** A field that must be a whole number. @throws SyntaxError */
export function integer(fields: Fields, key: string): number {
  const value = fields[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw unexpected(key, 'a whole number', value);
  return value;
}

/** Those of the keys that are there, each a whole number. */
export function optionalIntegers<K extends string>(fields: Fields, keys: readonly K[]): Readonly<Partial<Record<K, number>>> {
  const found: Partial<Record<K, number>> = {};
  for (const key of keys) {
    if (!isAbsent(fields[key])) found[key] = integer(fields, key);
  }
  return found;
}

/** A field that must be a boolean. @throws SyntaxError */
export function flag(fields: Fields, key: string): boolean {
  const value = fields[key];
  if (typeof value !== 'boolean') throw unexpected(key, 'true or false', value);
  return value;
}

/** A field that must be a blob. @throws SyntaxError */
export function bytes(fields: Fields, key: string): Uint8Array {
  const value = fields[key];
  if (!(value instanceof Uint8Array)) throw unexpected(key, 'bytes', value);
  return value;
}

/** An array of texts, each parsed. */
export function texts<T>(fields: Fields, key: string, parse: (text: string) => T): readonly T[] {
  return array(fields, key).map((value) => {
    if (typeof value !== 'string') throw unexpected(key, 'a list of texts', value);
    return parse(value);
  });
}

/** An array of objects, each decoded. */
export function objects<T>(fields: Fields, key: string, decode: (fields: Fields) => T): readonly T[] {
  return array(fields, key).map((value) => decode(asFields(value, key)));
}

/** A field that may be absent or must be an object that `decode` takes. */
export function optionalObject<T>(fields: Fields, key: string, decode: (fields: Fields) => T): T | undefined {
  return isAbsent(fields[key]) ? undefined : decode(asFields(fields[key], key));
}

/** A column that holds a JSON object. */
export function jsonObject<T>(fields: Fields, key: string, decode: (fields: Fields) => T): T {
  return decode(asFields(JSON.parse(text(fields, key)), key));
}

/**
 * Decodes a row of the table.
 * @throws WeftError ledgerDamaged when anything in it is not as weft writes it.
 */
export function decodeRow<T>(table: string, row: Fields, decode: (row: Fields) => T): T {
  try {
    return decode(row);
  } catch (error) {
    throw damaged(`the ledger is damaged: a row of its table ${table} cannot be understood`, error);
  }
}

function array(fields: Fields, key: string): readonly unknown[] {
  const value = fields[key];
  if (!Array.isArray(value)) throw unexpected(key, 'a list', value);
  return value;
}

function asFields(value: unknown, key: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unexpected(key, 'an object', value);
  return { ...value };
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function unexpected(key: string, wanted: string, value: unknown): SyntaxError {
  return new SyntaxError(`${key} must be ${wanted}: current value is ${String(value)}`);
}
