/**
 * What the daemon says of the paths to the peers, which it probes: `path` of its status. It may be of another version, or have no such part:
 * what is not understood is taken for not known.
 */
import { isJsonObject } from '../cni/json-value.ts';

/** One peer as the daemon's probes have found it. */
export interface PathPeer {
  /** The other node's VTEP. */
  readonly peer: string;
  /** Whether it answers, and so hears this node and is heard; undefined while that is not known. */
  readonly isReachable?: boolean;
  /** The largest underlay packet that got there and back, bytes. */
  readonly largestBytes?: number;
  /** What this node's routes and links say would fit, bytes. */
  readonly expectedBytes?: number;
}

/** What the daemon knows of the paths. */
export interface PathReport {
  readonly peers: readonly PathPeer[];
  /** What it wants to be known, in words. */
  readonly findings: readonly string[];
}

/** The report in a daemon's status; undefined where there is none. */
export function parsePathReport(status: unknown): PathReport | undefined {
  const path = isJsonObject(status) ? status['path'] : undefined;
  if (!isJsonObject(path)) return undefined;
  const { peers, findings } = path;
  return { peers: Array.isArray(peers) ? peers.flatMap(parsePeer) : [], findings: Array.isArray(findings) ? findings.filter((item) => typeof item === 'string') : [] };
}

function parsePeer(item: unknown): readonly PathPeer[] {
  if (!isJsonObject(item) || typeof item['peer'] !== 'string') return [];
  const { peer, isReachable, largestBytes, expectedBytes } = item;
  return [{
    peer,
    ...(typeof isReachable === 'boolean' ? { isReachable } : {}),
    ...(typeof largestBytes === 'number' ? { largestBytes } : {}),
    ...(typeof expectedBytes === 'number' ? { expectedBytes } : {}),
  }];
}
