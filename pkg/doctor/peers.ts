/** The peers as probes have found them. Pure. */
import { finding, quoted, type Finding } from './finding.ts';
import type { PathPeer, PathReport } from './path-report.ts';

/** What is known of them. */
export interface PeersFacts {
  /** VTEPs that tenants of this node send to. */
  readonly peers: readonly string[];
  /** Undefined: nobody probes. */
  readonly report: PathReport | undefined;
}

/** Ethernet is not IP's: ping's size is that of ICMP's payload. IPv4 or IPv6 header, and ICMP's. */
const pingOverheadBytes = { 4: 20 + 8, 6: 40 + 8 } as const;

/** What is wrong on the way to them. */
export function judgePeers({ peers, report }: PeersFacts): Finding[] {
  if (peers.length === 0) return [];
  if (report === undefined) return [finding('path-not-probed', { subject: peers.length === 1 ? `peer ${peers[0]}` : `${peers.length} peers`, what: `nobody has probed the paths to ${peers.join(', ')}`, show: peers.map((peer) => `ping -c 1 -W 1 ${quoted(peer)}`).join('; ') })];
  return [...report.peers.flatMap(judgePeer), ...report.faults.map((what) => finding('path-finding', { subject: 'path', what, show: 'journalctl -u weft -n 50' }))];
}

function judgePeer({ peer, isReachable, largestBytes, expectedBytes }: PathPeer): Finding[] {
  const subject = `peer ${peer}`;
  if (isReachable === false) return [finding('path-silent', { subject, what: `the peer ${peer} does not answer the daemon's probes`, show: `ping -c 1 -W 1 ${quoted(peer)}` })];
  if (largestBytes === undefined || expectedBytes === undefined || largestBytes >= expectedBytes) return [];
  const payload = expectedBytes - pingOverheadBytes[peer.includes(':') ? 6 : 4];
  return [finding('path-narrow', { subject, what: `packets of ${largestBytes} bytes get to ${peer} and back, and this node's links and routes say ${expectedBytes}`, show: `ping -c 1 -W 1 -M do -s ${payload} ${quoted(peer)}` })];
}
