/** What a daemon has found out of the ways to other nodes. */
import { compareTexts, countOf, formatAge, renderTable, type Cell } from './text.ts';

/** A path to a peer. Sizes are bytes of an outer IP packet, times milliseconds since the epoch. */
export interface PathStatus {
  /** This node's VTEP. */
  readonly vtep: string;
  /** The other node's. */
  readonly peer: string;
  /** What the other node calls itself; absent: it has not said. */
  readonly peerNode?: string;
  /** Of the last look; a path that was found narrow is narrow until it has been seen wide for long enough. */
  readonly state: 'unknown' | 'whole' | 'narrow' | 'unanswered';
  /** What this node's interfaces say. */
  readonly fullBytes: number;
  readonly narrow?: {
    /** The largest packet that passes. */
    readonly packetBytes: number;
    /** Where: a tunnel that is narrower than its underlay is something else than a link. */
    readonly way: 'underlay' | 'tunnel';
    readonly since: number;
    /** Whether tenants' MTUs follow it. */
    readonly isActedOn: boolean;
  };
  /** The last packet that was answered. */
  readonly proof?: { readonly packetBytes: number; readonly at: number };
  /** Absent in what earlier daemons say, and before the first look. */
  readonly recent?: RecentProbes;
}

/** Probes of the last minute that should have been answered. */
export interface RecentProbes {
  readonly sent: number;
  /** Of those, without an answer in time. */
  readonly lost: number;
  /** Mean of the others, milliseconds; absent where there are none. */
  readonly roundTripMs?: number;
  readonly roundTripMsMax?: number;
}

/** What is known of all of them. */
export interface PathsStatus {
  /** Whether packets are sent to find out. */
  readonly isProbing: boolean;
  /** How long it takes until each peer has been asked once more. */
  readonly intervalMs: number;
  /** Why it cannot be found out, in words. */
  readonly faults: readonly string[];
  /** Narrow ones first, then those without an answer; by address. */
  readonly paths: readonly PathStatus[];
}

const order = { narrow: 0, unanswered: 1, unknown: 2, whole: 3 } as const;

/** Whatever wants to be seen first. */
export function comparePaths(a: PathStatus, b: PathStatus): number {
  return order[a.state] - order[b.state] || compareTexts(a.peer, b.peer) || compareTexts(a.vtep, b.vtep);
}

/** A narrow path in words: which nodes, which size, what is done about it. */
export function describeNarrowPath({ vtep, peer, peerNode, fullBytes, narrow }: PathStatus & Required<Pick<PathStatus, 'narrow'>>, node: string): string {
  const where = narrow.way === 'tunnel' ? 'the tunnel' : 'the path';
  const act = narrow.isActedOn ? 'the MTU of tenants that use it follows' : 'no MTU follows it (path.act, path.mtuMin)';
  return `${where} from ${node} (${vtep}) to ${peerNode ?? 'the node'} (${peer}) carries packets of ${narrow.packetBytes} bytes at most, and the interfaces here say ${fullBytes}: ${act}`;
}

/** What needs attention, in words. */
export function findPathFaults({ faults, paths }: PathsStatus, node: string): readonly string[] {
  return [...faults, ...paths.flatMap((path) => (path.narrow === undefined ? [] : [describeNarrowPath({ ...path, narrow: path.narrow }, node)]))];
}

/** One line. */
export function summarizePaths({ isProbing, intervalMs, paths }: PathsStatus): string {
  if (!isProbing) return 'not probed (path.probe)';
  if (paths.length === 0) return 'no peers';
  const count = (state: PathStatus['state']): number => paths.filter((path) => path.state === state).length;
  const others = (['narrow', 'unanswered', 'unknown'] as const).filter((state) => count(state) > 0).map((state) => `${count(state)} ${words[state]}`);
  return [`${countOf(paths.length, 'peer')}, each probed every ${formatAge(Math.max(intervalMs, 1000))}`, `${count('whole')} at full size`, ...others].join(', ');
}

const words = { whole: 'whole', narrow: 'narrow', unanswered: 'without an answer', unknown: 'not known yet' } as const;
/** JSON has them all. */
const rowsMax = 20;

/** A table; those that want to be seen first, and how many more there are. */
export function renderPaths({ paths }: PathsStatus, now: number): string {
  const rows = paths.slice(0, rowsMax).map(({ peer, peerNode, vtep, state, fullBytes, narrow, recent, proof }): readonly Cell[] => [
    peer, peerNode ?? '', vtep, narrow?.way === 'tunnel' ? 'narrow in the tunnel' : words[state],
    `${narrow?.packetBytes ?? (state === 'whole' ? fullBytes : '?')} of ${fullBytes}`, formatRoundTrip(recent), formatLoss(recent), proof === undefined ? 'never' : `${formatAge(now - proof.at)} ago`,
  ]);
  const rest = paths.length > rowsMax ? `and ${paths.length - rowsMax} more, which -o json has\n` : '';
  return `${renderTable([['PEER', 'NODE', 'FROM', 'PATH', 'BYTES', 'RTT', 'LOSS', 'PROVEN'], ...rows])}${rest}`;
}

function formatRoundTrip({ roundTripMs }: Partial<RecentProbes> = {}): string {
  if (roundTripMs === undefined) return '';
  return `${roundTripMs < 10 ? roundTripMs.toFixed(2) : Math.round(roundTripMs)}ms`;
}

/** In whole per cent; a loss that there is is never 0 %, and one that is not whole is never 100 %. */
function formatLoss({ sent = 0, lost = 0 }: Partial<RecentProbes> = {}): string {
  if (sent === 0) return '';
  const percent = lost === 0 || lost === sent ? (lost / sent) * 100 : Math.min(99, Math.max(1, Math.round((lost / sent) * 100)));
  return `${percent}%`;
}
