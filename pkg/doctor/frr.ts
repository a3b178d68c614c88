/** FRR, where it is to tell the other nodes: whether it runs, speaks, and says what ledger and kernel say. Pure. */
import type { EvpnReport } from '../report/evpn.ts';
import { finding, quoted, type Finding } from './finding.ts';

/** What is known of it. */
export interface FrrFacts {
  /** Why a daemon of FRR cannot be asked, in words. */
  readonly problems: readonly { readonly daemon: 'bgpd' | 'zebra'; readonly problem: string }[];
  readonly report: EvpnReport;
  /** VNIs zebra knows, with the bridge it sees each in; undefined: it could not be asked. */
  readonly vnis: readonly { readonly vni: number; readonly bridge?: string }[] | undefined;
  /** What the daemon, which listens all the time, says is wrong, in words. */
  readonly controlPlaneFaults: readonly string[];
}

/** What is wrong with it. */
export function judgeFrr(facts: FrrFacts): Finding[] {
  const vtysh = vtyshOf(facts.report.runDirectory);
  const down = facts.problems.map(({ daemon, problem }) => finding('frr-down', { subject: daemon, what: problem, show: `${vtysh} -d ${daemon} -c 'show version'` }));
  const findings = [...down, ...judgeSessions(facts, vtysh), ...judgeVnis(facts, vtysh), ...judgeDisagreements(facts, vtysh)];
  if (findings.length > 0) return findings;
  return facts.controlPlaneFaults.map((what) => finding('frr-fault', { subject: 'daemon', what, show: `${vtysh} -c 'show bgp l2vpn evpn summary'` }));
}

function vtyshOf(runDirectory: string): string {
  return `vtysh --vty_socket ${quoted(runDirectory)}`;
}

function judgeSessions({ problems, report }: FrrFacts, vtysh: string): Finding[] {
  if (problems.some(({ daemon }) => daemon === 'bgpd')) return [];
  const show = `${vtysh} -c 'show bgp l2vpn evpn summary'`;
  if (report.sessions.length === 0) return [finding('frr-session', { subject: 'bgpd', what: 'bgpd has no session that speaks EVPN', show })];
  return report.sessions.filter(({ isUp }) => !isUp).map(({ neighbor, state, problem }) => finding('frr-session', {
    subject: `neighbor ${neighbor}`, what: `the session with ${neighbor} is in the state ${state}${problem === null ? '' : `: ${problem}`}`, show,
  }));
}

function judgeVnis({ report, vnis }: FrrFacts, vtysh: string): Finding[] {
  if (vnis === undefined) return [];
  const show = `${vtysh} -d zebra -c 'show evpn vni detail'`;
  return report.tenants.flatMap(({ tenant, vni }) => {
    const known = vnis.find((entry) => entry.vni === vni);
    if (known?.bridge !== undefined) return [];
    const what = known === undefined ? `zebra does not know VNI ${vni}` : `zebra sees the VXLAN device of VNI ${vni} in no bridge`;
    return [finding('frr-vni', { subject: `tenant ${tenant} (VNI ${vni})`, what, show })];
  });
}

function judgeDisagreements({ report }: FrrFacts, vtysh: string): Finding[] {
  return report.disagreements.map((what) => finding('frr-disagreement', { subject: 'EVPN', what, show: `${vtysh} -c 'show bgp l2vpn evpn route'` }));
}
