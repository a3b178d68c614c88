/** The network configuration as it arrives on stdin: decoding, and the fields that are the specification's. Pure. */
import { describeError, WeftError } from '../errors/weft-error.ts';
import { identifierRule, isIdentifier } from './identifier.ts';
import { isJsonObject, showValue, type JsonObject } from './json-value.ts';

/** A configuration is a page of text; more is a mistake, or somebody's attempt to fill the memory. */
export const configurationBytesMax: number = 1024 * 1024;

/** Configurations need fewer than ten; deeper ones would overflow the stack of whoever walks them by recursion. */
const nestingMax = 64;

/** An attachment that the runtime knows to exist, as GC's list names it. */
export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/** GC's list (SPEC.md 1.1.0, "GC"), and the name that an early text of 1.1.0 gave it (containernetworking/cni issue 1101). */
const attachmentsKeys = ['cni.dev/valid-attachments', 'cni.dev/attachments'] as const;

/**
 * Decodes the configuration; its fields are not looked at.
 *
 * @throws WeftError undecodable (code 6) when it is not the JSON of an object, too long or too deep
 */
export function decodeConfiguration(stdin: string): JsonObject {
  const bytes = Buffer.byteLength(stdin);
  // Reading stops behind the limit, so how much there would have been is not known.
  if (bytes > configurationBytesMax) throw undecodable(`must have at most ${configurationBytesMax} bytes: it has more`);
  if (stdin.trim() === '') throw undecodable('must be a JSON object: stdin is empty');
  const value = parseJson(stdin);
  if (!isJsonObject(value)) throw undecodable(`must be a JSON object: current value is ${showValue(value)}`);
  if (isDeeperThan(value, nestingMax)) throw undecodable(`must be nested at most ${nestingMax} deep`);
  return value;
}

/**
 * Checks the network's name (SPEC.md 1.1.0, "Network configuration format").
 *
 * @throws WeftError invalidConfiguration (code 7)
 */
export function requireNetworkName(name: unknown): void {
  if (typeof name === 'string' && isIdentifier(name)) return;
  throw invalid(`name ${identifierRule}`, name);
}

/**
 * The attachments that GC must keep. Null is the empty list (CRI-O sends it at its start); a missing list is not, for
 * then everything would be collected because of a caller's mistake. For the same reason a malformed entry is refused.
 *
 * @throws WeftError invalidConfiguration (code 7)
 */
export function readValidAttachments(conf: JsonObject): readonly ValidAttachment[] {
  const key = attachmentsKeys.find((candidate) => conf[candidate] !== undefined) ?? attachmentsKeys[0];
  const list = conf[key];
  if (list === null) return [];
  if (!Array.isArray(list)) throw invalid(`${key} must be an array of the attachments to keep`, list);
  return list.map((entry: unknown, index) => readAttachment(entry, `${key}[${index}]`));
}

function readAttachment(entry: unknown, path: string): ValidAttachment {
  if (!isJsonObject(entry)) throw invalid(`${path} must be a JSON object`, entry);
  return { containerID: requireText(entry, 'containerID', path), ifname: requireText(entry, 'ifname', path) };
}

function requireText(entry: JsonObject, key: string, path: string): string {
  const value = entry[key];
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`${path}.${key} must be a string that is not empty`, value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw undecodable(`must be JSON: ${describeError(error)}`, error);
  }
}

/** Counts objects and arrays within each other, level by level: recursion is what a deep value breaks. */
function isDeeperThan(conf: JsonObject, levelsMax: number): boolean {
  let level: readonly object[] = [conf];
  for (let levels = 1; level.length > 0; levels++) {
    if (levels > levelsMax) return true;
    level = level.flatMap((item) => Object.values(item)).filter((item) => typeof item === 'object' && item !== null);
  }
  return false;
}

function undecodable(what: string, cause?: unknown): WeftError {
  return new WeftError('undecodable', `the network configuration on stdin ${what}`, { cause });
}

function invalid(rule: string, value: unknown): WeftError {
  return new WeftError('invalidConfiguration', `${rule}: current value is ${showValue(value)}`);
}
