/** What weft has put on a node, so that it knows its own files from those that somebody else made or changed. */
import { isJsonObject } from '../cni/json-value.ts';

/** Of each path on the node, the SHA-256 digests that weft has put there: one, or two while an installation is under way. */
export type InstallRecord = ReadonlyMap<string, readonly string[]>;

const digestForm = /^[0-9a-f]{64}$/;

/** As text for the file. */
export function formatRecord(record: InstallRecord): string {
  return `${JSON.stringify({ format: 1, files: Object.fromEntries(record) }, undefined, 2)}\n`;
}

/** Reads the file's text; undefined where it is none that weft wrote: then nothing on the node is known to be weft's. */
export function parseRecord(text: string): InstallRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(value) || value['format'] !== 1 || !isJsonObject(value['files'])) return undefined;
  const entries = Object.entries(value['files']).map(([path, digests]) => [path, digestsOf(digests)] as const);
  return new Map(entries.filter((entry): entry is [string, readonly string[]] => entry[1] !== undefined));
}

function digestsOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter((digest): digest is string => typeof digest === 'string' && digestForm.test(digest));
}

/** Both what there was and what there will be is weft's: to be written before the first file is replaced. */
export function recordDuring(before: InstallRecord, wanted: readonly { readonly path: string; readonly digest: string }[]): InstallRecord {
  const next = new Map(before);
  for (const { path, digest } of wanted) next.set(path, [...new Set([...(before.get(path) ?? []), digest])]);
  return next;
}

/** After the last file was replaced. Files of earlier installations under other names stay on record. */
export function recordAfter(before: InstallRecord, wanted: readonly { readonly path: string; readonly digest: string }[]): InstallRecord {
  const next = new Map(before);
  for (const { path, digest } of wanted) next.set(path, [digest]);
  return next;
}
