/**
 * What the daemon says of the paths to the peers, which it probes: `paths` of its status. It may be of another version, or have no such part:
 * what is not understood is taken for not known.
 */
import { isJsonObject } from '../cni/json-value.ts';

/** One peer as the daemon's probes have found it. */
export interface PathPeer {
  /** The other node's VTEP. */
  readonly peer: string;
  /** Whether it answers, and so hears this node and is heard; undefined while that is not known. */
  readonly isReachable?: boolean;
  /** The largest underlay packet that gets there and back, bytes; only where that is less than expected. */
  readonly largestBytes?: number;
  /** What this node's routes and links say would fit, bytes. */
  readonly expectedBytes?: number;
}

/** What the daemon knows of the paths. */
export interface PathReport {
  readonly peers: readonly PathPeer[];
  /** What keeps it from probing, in words. */
  readonly faults: readonly string[];
}

/** The report in a daemon's status; undefined where there is none, or where it does not probe. */
export function parsePathReport(status: unknown): PathReport | undefined {
  const report = isJsonObject(status) ? status['paths'] : undefined;
  if (!isJsonObject(report) || report['isProbing'] !== true) return undefined;
  const { paths, faults } = report;
  return { peers: Array.isArray(paths) ? paths.flatMap(parsePeer) : [], faults: Array.isArray(faults) ? faults.filter((item) => typeof item === 'string') : [] };
}

const reachable: ReadonlyMap<unknown, boolean> = new Map([['whole', true], ['narrow', true], ['unanswered', false]]);

function parsePeer(item: unknown): readonly PathPeer[] {
  if (!isJsonObject(item) || typeof item['peer'] !== 'string') return [];
  const { peer, state, fullBytes, narrow } = item;
  const isReachable = reachable.get(state);
  const largest = isJsonObject(narrow) ? narrow['packetBytes'] : undefined;
  return [{
    peer,
    ...(isReachable === undefined ? {} : { isReachable }),
    ...(typeof largest === 'number' ? { largestBytes: largest } : {}),
    ...(typeof fullBytes === 'number' ? { expectedBytes: fullBytes } : {}),
  }];
}
