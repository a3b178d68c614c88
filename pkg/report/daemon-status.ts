/** What a daemon says of itself: the answer to the question `status`. */
import { isAbsent, isJsonObject, showValue, type JsonObject } from '../cni/json-value.ts';
import type { PathsStatus, PathStatus } from './paths.ts';

/** How often a verb was called since the daemon started. */
export interface CallCount {
  readonly ok: number;
  readonly failed: number;
}

/** Something that the reconciler has put right. */
export interface Repair {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** In words. */
  readonly what: string;
}

export interface ReconcilerStatus {
  /** How many times the node was compared with what should be there. */
  readonly passes: number;
  /** Milliseconds since the epoch. */
  readonly lastPassAt?: number;
  /** How long that pass took, in milliseconds. */
  readonly lastPassMs?: number;
  /** The latest, the oldest first; at most repairsMax. */
  readonly repairs: readonly Repair[];
  /** What is wrong and could not be put right, in words. */
  readonly openFaults: readonly string[];
}

/** How many repairs a daemon remembers. */
export const repairsMax = 50;

/** The answer's body, as JSON. Keys that this version does not know are passed over: the daemon may be newer. */
export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The node's name. */
  readonly node: string;
  /** The node configuration in force; absent where there is none. */
  readonly configPath?: string;
  /** Why the configuration that is on the disk was refused; the one before is in force. */
  readonly configError?: string;
  readonly callsInFlight: number;
  /** By verb. */
  readonly calls: Readonly<Record<string, CallCount>>;
  readonly reconciler: ReconcilerStatus;
  /** What is wrong with the control plane, in words; absent where nothing is, or where there is none. */
  readonly controlPlaneFaults?: readonly string[];
  /** Why endpoints cannot come and go, in words; absent where they can, or where nobody wants it. */
  readonly migrationFaults?: readonly string[];
  /** The ways to other nodes; absent in what earlier daemons say. */
  readonly paths?: PathsStatus;
  /** What of offloads does not work on the way to other nodes, and what is done about it, in words; absent where all is well, or nobody looks. */
  readonly offloadFaults?: readonly string[];
  /** Why the metrics cannot be fetched, in words; absent where they can, or where nobody wants them. */
  readonly metricsFaults?: readonly string[];
  /** Resident. */
  readonly memoryBytes: number;
}

/** Reads a daemon's answer. @throws SyntaxError naming the first key that is not as it should be */
export function parseDaemonStatus(json: string): DaemonStatus {
  const fields = object(JSON.parse(json), 'the status');
  const calls = object(fields['calls'], 'calls');
  return {
    version: text(fields, 'version'),
    pid: number(fields, 'pid'),
    startedAt: number(fields, 'startedAt'),
    node: text(fields, 'node'),
    ...optional(fields, 'configPath', text),
    ...optional(fields, 'configError', text),
    callsInFlight: number(fields, 'callsInFlight'),
    calls: Object.fromEntries(Object.entries(calls).map(([verb, count]) => [verb, parseCount(object(count, `calls.${verb}`))])),
    reconciler: parseReconciler(object(fields['reconciler'], 'reconciler')),
    ...optional(fields, 'controlPlaneFaults', texts),
    ...optional(fields, 'migrationFaults', texts),
    ...(isAbsent(fields['paths']) ? {} : { paths: parsePaths(object(fields['paths'], 'paths')) }),
    ...optional(fields, 'offloadFaults', texts),
    ...optional(fields, 'metricsFaults', texts),
    memoryBytes: number(fields, 'memoryBytes'),
  };
}

function parseCount(fields: JsonObject): CallCount {
  return { ok: number(fields, 'ok'), failed: number(fields, 'failed') };
}

function parseReconciler(fields: JsonObject): ReconcilerStatus {
  return {
    passes: number(fields, 'passes'),
    ...optional(fields, 'lastPassAt', number),
    ...optional(fields, 'lastPassMs', number),
    repairs: list(fields, 'repairs').map((item) => parseRepair(object(item, 'repairs'))),
    openFaults: texts(fields, 'openFaults'),
  };
}

function parsePaths(fields: JsonObject): PathsStatus {
  return {
    isProbing: fields['isProbing'] === true,
    intervalMs: number(fields, 'intervalMs'),
    faults: texts(fields, 'faults'),
    paths: list(fields, 'paths').map((item) => parsePath(object(item, 'paths.paths'))),
  };
}

function parsePath(fields: JsonObject): PathStatus {
  const [narrow, proof, recent] = [fields['narrow'], fields['proof'], fields['recent']].map((value) => (isAbsent(value) ? undefined : object(value, 'paths.paths')));
  return {
    vtep: text(fields, 'vtep'),
    peer: text(fields, 'peer'),
    ...optional(fields, 'peerNode', text),
    state: oneOf(fields, 'state', ['unknown', 'whole', 'narrow', 'unanswered']),
    fullBytes: number(fields, 'fullBytes'),
    ...(narrow === undefined ? {} : { narrow: { packetBytes: number(narrow, 'packetBytes'), way: oneOf(narrow, 'way', ['underlay', 'tunnel']), since: number(narrow, 'since'), isActedOn: narrow['isActedOn'] === true } }),
    ...(proof === undefined ? {} : { proof: { packetBytes: number(proof, 'packetBytes'), at: number(proof, 'at') } }),
    ...(recent === undefined ? {} : { recent: { sent: number(recent, 'sent'), lost: number(recent, 'lost'), ...optional(recent, 'roundTripMs', number), ...optional(recent, 'roundTripMsMax', number) } }),
  };
}

function oneOf<T extends string>(fields: JsonObject, key: string, values: readonly T[]): T {
  const found = values.find((value) => value === fields[key]);
  if (found === undefined) throw unexpected(key, `one of ${values.join(', ')}`, fields[key]);
  return found;
}

function parseRepair(fields: JsonObject): Repair {
  return { at: number(fields, 'at'), what: text(fields, 'what') };
}

function optional<K extends string, T>(fields: JsonObject, key: K, read: (fields: JsonObject, key: K) => T): Partial<Record<K, T>> {
  return isAbsent(fields[key]) ? {} : ({ [key]: read(fields, key) } as Partial<Record<K, T>>);
}

function object(value: unknown, key: string): JsonObject {
  if (!isJsonObject(value)) throw unexpected(key, 'an object', value);
  return value;
}

function list(fields: JsonObject, key: string): readonly unknown[] {
  const value = fields[key];
  if (!Array.isArray(value)) throw unexpected(key, 'a list', value);
  return value;
}

function texts(fields: JsonObject, key: string): readonly string[] {
  return list(fields, key).map((item) => {
    if (typeof item !== 'string') throw unexpected(key, 'a list of texts', item);
    return item;
  });
}

function text(fields: JsonObject, key: string): string {
  const value = fields[key];
  if (typeof value !== 'string') throw unexpected(key, 'text', value);
  return value;
}

function number(fields: JsonObject, key: string): number {
  const value = fields[key];
  if (typeof value !== 'number') throw unexpected(key, 'a number', value);
  return value;
}

function unexpected(key: string, wanted: string, value: unknown): SyntaxError {
  return new SyntaxError(`${key} must be ${wanted}: current value is ${showValue(value)}`);
}
