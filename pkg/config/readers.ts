/**
 * Readers: functions from unknown JSON to typed values that report what is wrong instead of throwing, so that one pass
 * finds every fault. An object's reader is a table of its keys; a key that is not in the table is refused. Each reader has
 * its shape with it, so that the reference pages (`make docs`) say what is really read.
 */
import { isAbsent, isJsonObject, showValue, type JsonObject } from '../cni/json-value.ts';
import { isWeftError } from '../errors/weft-error.ts';
import { formatPath, report, siteWithin, type Site } from './faults.ts';
import { nearestOf } from './nearest.ts';
import type { KeyShape, ObjectShape, Shape } from './shape.ts';

/** Undefined when a fault was reported. */
export interface Reader<T> {
  (value: unknown, site: Site): T | undefined;
  /** What it takes. */
  readonly shape: Shape;
}

/** A key of an object: how its value is read, and what is told of it. */
export interface Key<T> extends Omit<KeyShape, 'shape'> {
  readonly read: Reader<T>;
}

/** Every key; null and missing ones are left out before a reader sees them, for Go writes either. */
export type Keys<T> = { readonly [Name in keyof T]-?: Key<T[Name]> };

/** What an object may lack or have beside its table. */
export interface ObjectOptions<Needed> {
  /** Keys that must be there. */
  readonly required?: readonly Needed[];
  /** Keys beside those of the table that are left alone, and which these are, in words. */
  readonly ignored?: { readonly words: string; readonly has: (key: string) => boolean };
}

/** All keys that the table does not have. */
export const allOthers = { words: 'all other keys', has: (): boolean => true } as const;

/** Only the keys that were there and sound; a required key is always there. */
export type ObjectOf<T, Needed extends keyof T> = Partial<T> & Pick<T, Needed>;

/** A reader with its shape. */
export function readerOf<T>(shape: Shape, read: (value: unknown, site: Site) => T | undefined): Reader<T> {
  return Object.assign((value: unknown, site: Site) => read(value, site), { shape });
}

/** A key: its reader, what it does, and what counts where it is missing. */
export function key<T>(read: Reader<T>, meaning: string, told: Omit<KeyShape, 'shape' | 'meaning'> = {}): Key<T> {
  return { read, meaning, ...told };
}

/** Made of a parser that throws SyntaxError, RangeError or WeftError with a message that begins with the name. */
export function scalar<T>(shape: Shape, parse: (value: unknown, name: string) => T): Reader<T> {
  return readerOf(shape, (value, site) => {
    try {
      return parse(value, formatPath(site.path));
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof RangeError || isWeftError(error))) throw error;
      report(site, error.message, isWeftError(error, 'unsupportedField') ? 'unsupportedField' : 'invalidConfiguration');
      return undefined;
    }
  });
}

/** A scalar that is text; the parser sees strings only. The shape is the noun's where none is given. */
export function text<T>(noun: string, parse: (value: string, name: string) => T, shape: Shape = { kind: 'text', noun }): Reader<T> {
  return scalar(shape, (value, name) => {
    if (typeof value !== 'string') throw malformed(name, noun, value);
    return parse(value, name);
  });
}

/** An array whose items are all sound. */
export function listOf<T>(noun: string, readItem: Reader<T>): Reader<readonly T[]> {
  return readerOf({ kind: 'list', noun, item: readItem.shape }, (value, site) => {
    if (!Array.isArray(value)) {
      report(site, malformed(formatPath(site.path), `an array of ${noun}`, value).message);
      return undefined;
    }
    const items = value.map((item: unknown, index) => readItem(item, siteWithin(site, index)));
    const sound = items.filter((item) => item !== undefined);
    return sound.length === items.length ? sound : undefined;
  });
}

/** An object by the table of its keys. A key whose value is wrong is reported and left out. */
export function objectOf<T extends object, Needed extends keyof T & string = never>(keys: Keys<T>, options: ObjectOptions<Needed> = {}): ObjectReader<ObjectOf<T, Needed>> {
  const { required = [], ignored } = options;
  const read = (value: unknown, site: Site): ObjectOf<T, Needed> | undefined => {
    if (!isJsonObject(value)) {
      report(site, malformed(formatPath(site.path), 'an object', value).message);
      return undefined;
    }
    reportUnknownKeys(value, site, { known: Object.keys(keys), isIgnored: ignored?.has ?? (() => false) });
    for (const name of required) if (isAbsent(value[name])) report(site, `${formatPath([...site.path, name])} must be given`);
    const fields = readFields(value, site, keys);
    // Each field is what its reader returned; that the required ones are there is checked here.
    return required.every((name) => name in fields) ? (fields as ObjectOf<T, Needed>) : undefined;
  };
  return Object.assign(read, { shape: shapeOf(keys, options) });
}

/** The reader of an object, whose shape has keys. */
export interface ObjectReader<T> extends Reader<T> {
  readonly shape: ObjectShape;
}

function shapeOf<T extends object>(keys: Keys<T>, { required = [], ignored }: ObjectOptions<string>): ObjectShape {
  const named = Object.entries<Key<unknown>>(keys).map(([name, { read, ...told }]): [string, KeyShape] => [name, { shape: read.shape, ...told }]);
  return { kind: 'object', keys: Object.fromEntries(named), required, ...(ignored === undefined ? {} : { ignored: ignored.words }) };
}

/** True or false; "true" and 1 are neither. */
export const boolean: Reader<boolean> = scalar({ kind: 'boolean' }, (value, name) => {
  if (typeof value === 'boolean') return value;
  throw malformed(name, 'true or false', value);
});

/** A whole number from min to max. */
export function wholeNumber(min: number, max: number): Reader<number> {
  return scalar({ kind: 'integer', min, max }, (value, name) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw malformed(name, `a whole number from ${min} to ${max}`, value);
  });
}

/** The error of a value that is not what it must be. */
export function malformed(name: string, noun: string, value: unknown): SyntaxError {
  return new SyntaxError(`${name} must be ${noun}: current value is ${showValue(value)}`);
}

/** The fields whose value is not undefined. */
export function withoutAbsent<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

function readFields<T extends object>(value: JsonObject, site: Site, keys: Keys<T>): Partial<T> {
  const fields: Partial<T> = {};
  for (const name of Object.keys(keys) as (keyof T & string)[]) {
    const field = isAbsent(value[name]) ? undefined : keys[name].read(value[name], siteWithin(site, name));
    if (field !== undefined) fields[name] = field;
  }
  return fields;
}

function reportUnknownKeys(value: JsonObject, site: Site, { known, isIgnored }: { readonly known: readonly string[]; readonly isIgnored: (key: string) => boolean }): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key) || isIgnored(key)) continue;
    const inner = siteWithin(site, key);
    const nearest = formatPath([...site.path, nearestOf(key, known)]);
    report(inner, `unknown key ${showValue(formatPath(inner.path))}: the nearest known key is ${showValue(nearest)}`, 'unsupportedField');
  }
}
