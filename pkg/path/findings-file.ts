/**
 * Findings on the disk: a daemon that is started anew, and a process without a daemon, must not take a path for wide before that is proven.
 * A file that cannot be read is as good as none: what it said is found again within seconds.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject } from '../cni/json-value.ts';
import { describeError } from '../errors/weft-error.ts';
import { formatAddress, parseAddress, type Address } from '../netaddr/netaddr.ts';
import { uniqueSuffix } from '../sys/unique.ts';
import { packetBytesMax, packetBytesMin } from './message.ts';
import type { ProbeWay } from './prober.ts';
import type { Narrowness } from './track.ts';

/** Found by an earlier look, perhaps by an earlier daemon. */
export interface RememberedFinding extends Narrowness {
  readonly vtep: Address;
  readonly peer: Address;
  readonly way: ProbeWay;
  /** What the interfaces said then. */
  readonly fullBytes: number;
  /** What the peer calls its node. */
  readonly peerNode?: string;
  /** Whether MTUs follow it, as it was configured when this was written. */
  readonly isActedOn?: boolean;
}

export interface FindingsFile {
  /** None where there is no file. A broken one is said, and none. */
  read(): readonly RememberedFinding[];
  /** Puts these in the place of what is there; without any the file goes. What fails is said, once in a row. */
  write(findings: readonly RememberedFinding[]): void;
}

const fileName = 'paths.json';
const version = 1;
/** Many more than there are nodes; a larger file is none of weft's. */
const fileBytesMax = 8 * 1024 * 1024;
const ways: readonly ProbeWay[] = ['underlay', 'tunnel'];

/** The file in a state directory. */
export function findingsFileIn(directory: string, warn: (message: string) => void): FindingsFile {
  const path = join(directory, fileName);
  let isFailing = false;
  return {
    read() {
      try {
        const size = statSync(path, { throwIfNoEntry: false })?.size;
        if (size === undefined) return [];
        if (size > fileBytesMax) throw new SyntaxError(`it has ${size} bytes`);
        return parseFindings(readFileSync(path, 'utf8'));
      } catch (error) {
        warn(`what was known of narrow paths cannot be read from ${path}, and has to be found again: ${describeError(error)}`);
        return [];
      }
    },
    write(findings) {
      try {
        if (findings.length === 0) rmSync(path, { force: true });
        else replaceFile(path, { directory, text: formatFindings(findings) });
        isFailing = false;
      } catch (error) {
        if (!isFailing) warn(`what is known of narrow paths cannot be written to ${path}, and the next daemon has to find it again: ${describeError(error)}`);
        isFailing = true;
      }
    },
  };
}

/** The file's text. */
export function formatFindings(findings: readonly RememberedFinding[]): string {
  const rows = findings.map(({ vtep, peer, ...rest }) => ({ vtep: formatAddress(vtep), peer: formatAddress(peer), ...rest }));
  return `${JSON.stringify({ version, findings: rows }, undefined, 1)}\n`;
}

/** @throws SyntaxError for a text that formatFindings() has not made */
export function parseFindings(text: string): readonly RememberedFinding[] {
  const content: unknown = JSON.parse(text);
  if (!isJsonObject(content) || content['version'] !== version || !Array.isArray(content['findings'])) throw new SyntaxError('it is not of this version');
  return content['findings'].map(parseFinding);
}

function parseFinding(row: unknown): RememberedFinding {
  if (!isJsonObject(row)) throw new SyntaxError('a finding must be an object');
  const { vtep, peer, way, since, peerNode } = row;
  const known = ways.find((candidate) => candidate === way);
  if (typeof vtep !== 'string' || typeof peer !== 'string' || known === undefined || typeof since !== 'number') throw new SyntaxError('a finding must have vtep, peer, way and since');
  return {
    vtep: parseAddress(vtep, 'vtep'), peer: parseAddress(peer, 'peer'), way: known, since,
    packetBytes: packetSize(row['packetBytes'], 'packetBytes'), fullBytes: packetSize(row['fullBytes'], 'fullBytes'),
    ...(typeof peerNode === 'string' ? { peerNode } : {}),
    ...(typeof row['isActedOn'] === 'boolean' ? { isActedOn: row['isActedOn'] } : {}),
  };
}

function packetSize(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= packetBytesMin && value <= packetBytesMax) return value;
  throw new SyntaxError(`${name} must be a whole number from ${packetBytesMin} to ${packetBytesMax}`);
}

function replaceFile(path: string, { directory, text }: { readonly directory: string; readonly text: string }): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const draft = `${path}.${uniqueSuffix()}.new`;
  const fd = openSync(draft, 'wx', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
