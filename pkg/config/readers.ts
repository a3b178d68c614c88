/**
 * Readers: functions from unknown JSON to typed values that report what is wrong instead of throwing, so that one pass
 * finds every fault. An object's reader is a table of its keys; a key that is not in the table is refused.
 */
import { isAbsent, isJsonObject, showValue, type JsonObject } from '../cni/json-value.ts';
import { isWeftError } from '../errors/weft-error.ts';
import { formatPath, report, siteWithin, type Site } from './faults.ts';
import { nearestOf } from './nearest.ts';

/** Undefined when a fault was reported. */
export type Reader<T> = (value: unknown, site: Site) => T | undefined;

/** A reader for every key; null and missing keys are left out before a reader sees them, for Go writes either. */
export type Readers<T> = { readonly [Key in keyof T]-?: Reader<T[Key]> };

/** What an object may lack or have beside its table. */
export interface ObjectOptions<Needed> {
  /** Keys that must be there. */
  readonly required?: readonly Needed[];
  /** Keys beside those of the table that are left alone. */
  readonly isIgnored?: (key: string) => boolean;
}

/** Only the keys that were there and sound; a required key is always there. */
export type ObjectOf<T, Needed extends keyof T> = Partial<T> & Pick<T, Needed>;

/** Made of a parser that throws SyntaxError, RangeError or WeftError with a message that begins with the name. */
export function scalar<T>(parse: (value: unknown, name: string) => T): Reader<T> {
  return (value, site) => {
    try {
      return parse(value, formatPath(site.path));
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof RangeError || isWeftError(error))) throw error;
      report(site, error.message, isWeftError(error, 'unsupportedField') ? 'unsupportedField' : 'invalidConfiguration');
      return undefined;
    }
  };
}

/** A scalar that is text; the parser sees strings only. */
export function text<T>(noun: string, parse: (value: string, name: string) => T): Reader<T> {
  return scalar((value, name) => {
    if (typeof value !== 'string') throw malformed(name, noun, value);
    return parse(value, name);
  });
}

/** An array whose items are all sound. */
export function listOf<T>(noun: string, readItem: Reader<T>): Reader<readonly T[]> {
  return (value, site) => {
    if (!Array.isArray(value)) {
      report(site, malformed(formatPath(site.path), `an array of ${noun}`, value).message);
      return undefined;
    }
    const items = value.map((item: unknown, index) => readItem(item, siteWithin(site, index)));
    const sound = items.filter((item) => item !== undefined);
    return sound.length === items.length ? sound : undefined;
  };
}

/** An object by the table of its keys. A key whose value is wrong is reported and left out. */
export function objectOf<T extends object, Needed extends keyof T & string = never>(
  readers: Readers<T>,
  { required = [], isIgnored = () => false }: ObjectOptions<Needed> = {},
): Reader<ObjectOf<T, Needed>> {
  return (value, site) => {
    if (!isJsonObject(value)) {
      report(site, malformed(formatPath(site.path), 'an object', value).message);
      return undefined;
    }
    reportUnknownKeys(value, site, { known: Object.keys(readers), isIgnored });
    for (const key of required) if (isAbsent(value[key])) report(site, `${formatPath([...site.path, key])} must be given`);
    const fields = readFields(value, site, readers);
    // Each field is what its reader returned; that the required ones are there is checked here.
    return required.every((key) => key in fields) ? (fields as ObjectOf<T, Needed>) : undefined;
  };
}

/** For keys that others read: taken as they are. */
export const anything: Reader<unknown> = (value) => value;

/** True or false; "true" and 1 are neither. */
export const boolean: Reader<boolean> = scalar((value, name) => {
  if (typeof value === 'boolean') return value;
  throw malformed(name, 'true or false', value);
});

/** A whole number from min to max. */
export function wholeNumber(min: number, max: number): Reader<number> {
  return scalar((value, name) => {
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

function readFields<T extends object>(value: JsonObject, site: Site, readers: Readers<T>): Partial<T> {
  const fields: Partial<T> = {};
  for (const key of Object.keys(readers) as (keyof T & string)[]) {
    const field = isAbsent(value[key]) ? undefined : readers[key](value[key], siteWithin(site, key));
    if (field !== undefined) fields[key] = field;
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
