/** The peers as probes have found them. Pure. */
import type { PathsStatus, PathStatus } from '../report/paths.ts';
import { finding, quoted, type Finding } from './finding.ts';

/** What is known of them. */
export interface PeersFacts {
  /** VTEPs that tenants of this node send to. */
  readonly peers: readonly string[];
  /** What the daemon has found; undefined: nobody has asked. */
  readonly report: PathsStatus | undefined;
}

/** Ethernet is not IP's: ping's size is that of ICMP's payload. IPv4 or IPv6 header, and ICMP's. */
const pingOverheadBytes = { 4: 20 + 8, 6: 40 + 8 } as const;

/** What is wrong on the way to them. */
export function judgePeers({ peers, report }: PeersFacts): Finding[] {
  if (peers.length === 0) return [];
  if (report?.isProbing !== true) return [finding('path-not-probed', { subject: peers.length === 1 ? `peer ${peers[0]}` : `${peers.length} peers`, what: `nobody has probed the paths to ${peers.join(', ')}`, show: peers.map((peer) => `ping -c 1 -W 1 ${quoted(peer)}`).join('; ') })];
  return [...report.paths.flatMap(judgePeer), ...report.faults.map((what) => finding('path-finding', { subject: 'path', what, show: 'journalctl -u weft -n 50' }))];
}

function judgePeer({ peer, state, fullBytes, narrow }: PathStatus): Finding[] {
  const subject = `peer ${peer}`;
  if (state === 'unanswered') return [finding('path-silent', { subject, what: `the peer ${peer} does not answer the daemon's probes`, show: `ping -c 1 -W 1 ${quoted(peer)}` })];
  if (narrow === undefined) return [];
  const payload = fullBytes - pingOverheadBytes[peer.includes(':') ? 6 : 4];
  return [finding('path-narrow', { subject, what: `packets of ${narrow.packetBytes} bytes get to ${peer} and back, and this node's links and routes say ${fullBytes}`, show: `ping -c 1 -W 1 -M do -s ${payload} ${quoted(peer)}` })];
}
