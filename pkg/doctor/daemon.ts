/** The daemon: whether it answers, and what it says of itself. Pure. */
import type { DaemonState } from '../report/node-state.ts';
import { formatAge } from '../report/text.ts';
import { finding, quoted, type Finding } from './finding.ts';

/** What is known of it. */
export interface DaemonFacts {
  readonly state: DaemonState;
  readonly socket: string;
  /** What the configuration asks for that only a daemon does, in words. */
  readonly needs: readonly string[];
  /** Of the weft that asks. */
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A pass comes every five minutes by itself (pkg/reconcile): three of them missed is no chance. */
const passMsMax = 15 * 60_000;

/** What is wrong with it. */
export function judgeDaemon({ state, socket, needs, version, now }: DaemonFacts): Finding[] {
  const subject = socket;
  const show = `ss -xlp src ${quoted(socket)}; systemctl status weft`;
  if (state.kind === 'absent') {
    const what = `no daemon listens on ${socket}`;
    return needs.length === 0 ? [finding('daemon-absent', { subject, what, show })] : needs.map((need) => finding('daemon-needed', { subject, what: `${what}, and ${need} needs it`, show }));
  }
  if (state.kind === 'faulty') return [finding('daemon-silent', { subject, what: state.problem, show })];
  const { status } = state;
  const process = `process ${status.pid}`;
  const findings: Finding[] = [];
  if (status.version !== version) findings.push(finding('daemon-version', { subject: process, what: `the daemon is version ${status.version}, this weft ${version}`, show: `readlink /proc/${status.pid}/exe` }));
  if (status.configError !== undefined) findings.push(finding('daemon-configuration', { subject: status.configPath ?? process, what: status.configError, show: 'journalctl -u weft -n 50' }));
  // One that has just started has not looked yet.
  const lookedAt = status.reconciler.lastPassAt ?? status.startedAt;
  if (now - lookedAt > passMsMax) findings.push(finding('daemon-pass-late', { subject: process, what: `the daemon has compared the node with the ledger for the last time ${formatAge(now - lookedAt)} ago`, show: 'journalctl -u weft -n 50' }));
  for (const fault of [...status.reconciler.openFaults, ...(status.migrationFaults ?? []), ...(status.metricsFaults ?? [])]) findings.push(finding('daemon-fault', { subject: process, what: fault, show: 'journalctl -u weft -n 50' }));
  for (const fault of status.offloadFaults ?? []) findings.push(finding('offload-found', { subject: process, what: fault, show: 'for link in $(ls /sys/class/net | grep ^weft-vx); do echo $link; ethtool -k $link | grep -E "checksum-ip-generic|segmentation"; done' }));
  return findings;
}
