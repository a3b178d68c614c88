/** What runs out. Pure. */
import { finding, quoted, type Finding } from './finding.ts';

/** What there is of it. */
export interface ResourceFacts {
  readonly stateDirectory: string;
  /** Bytes that may still be written there; undefined: it cannot be told. */
  readonly freeBytes: number | undefined;
  /** Inodes left; undefined where the file system has no such limit. */
  readonly freeInodes: number | undefined;
  /** The ledger's write-ahead log, bytes. */
  readonly walBytes: number;
  /** Connections that are tracked, and how many can be; undefined: none are. */
  readonly conntrack: { readonly count: number; readonly max: number } | undefined;
  /** Neighbours the node knows, and gc_thresh3 of their family. */
  readonly neighbours: readonly { readonly family: 4 | 6; readonly count: number; readonly max: number }[];
}

const mebibyte = 1024 * 1024;
/** SQLite writes pages of 4 KiB, and as many to its log: a handful of ADDs. */
const fullBytes = 4 * mebibyte;
/** Logs and images of the same file system may take the rest within minutes. */
const lowBytes = 128 * mebibyte;
const lowInodes = 1000;
/** The daemon empties it at 4000 pages of 4 KiB (walPagesMax of cmd/weft/daemon.ts); some readers are in the way for a while. */
const walBytesMax = 64 * mebibyte;
/** From here on a burst fills it. */
const fullShare = 0.9;

/** What is about to run out. */
export function judgeResources(facts: ResourceFacts): Finding[] {
  return [...judgeDisk(facts), ...judgeLedger(facts), ...judgeConntrack(facts), ...judgeNeighbours(facts)];
}

function judgeDisk({ stateDirectory, freeBytes, freeInodes }: ResourceFacts): Finding[] {
  const show = `df -h ${quoted(stateDirectory)}; df -i ${quoted(stateDirectory)}`;
  const described = (id: 'disk-full' | 'disk-low', left: string): Finding[] => [finding(id, { subject: stateDirectory, what: `the file system of ${stateDirectory} has ${left} left`, show })];
  if (freeBytes !== undefined && freeBytes < lowBytes) return described(freeBytes < fullBytes ? 'disk-full' : 'disk-low', `${Math.floor(freeBytes / mebibyte)} MiB`);
  if (freeInodes !== undefined && freeInodes < lowInodes) return described(freeInodes === 0 ? 'disk-full' : 'disk-low', `${freeInodes} inodes`);
  return [];
}

function judgeLedger({ stateDirectory, walBytes }: ResourceFacts): Finding[] {
  if (walBytes <= walBytesMax) return [];
  return [finding('ledger-large', { subject: stateDirectory, what: `the ledger's log has ${Math.floor(walBytes / mebibyte)} MiB, which nobody has emptied into the ledger`, show: `ls -l ${quoted(stateDirectory)}` })];
}

function judgeConntrack({ conntrack }: ResourceFacts): Finding[] {
  if (conntrack === undefined || conntrack.count < conntrack.max * fullShare) return [];
  return [finding('conntrack-full', { subject: 'conntrack', what: `${conntrack.count} of ${conntrack.max} connections are tracked`, show: 'sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max' })];
}

function judgeNeighbours({ neighbours }: ResourceFacts): Finding[] {
  return neighbours.filter(({ count, max }) => count >= max * fullShare).map(({ family, count, max }) => finding('neighbours-full', {
    subject: `IPv${family} neighbours`, what: `the node knows ${count} IPv${family} neighbours, and at most ${max} fit (gc_thresh3)`, show: `ip -${family} -s neigh show nud all | wc -l; sysctl net.ipv${family}.neigh.default.gc_thresh3`,
  }));
}
