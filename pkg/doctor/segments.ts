/** Tenants' segments and the guard against the ledger: what a pass of the reconciler would find, explained. Pure. */
import type { Aspect } from '../datapath/fault.ts';
import type { InspectedGuard, SeenFault } from '../datapath/inspection.ts';
import type { Segment } from '../overlay/model.ts';
import { bridgeName, vxlanName } from '../overlay/names.ts';
import type { FindingId } from './catalogue.ts';
import { finding, type Finding } from './finding.ts';

/** A segment and what is wrong with it. */
export interface SegmentFacts {
  readonly segment: Segment;
  readonly faults: readonly SeenFault[];
}

/** How the switch is asked; undefined: there is none. */
export interface SwitchTools {
  /** The path of OVSDB's socket. */
  readonly database: string;
  readonly bridge: string;
  /** The path of the socket on which the bridge speaks OpenFlow. */
  readonly managementSocket: string;
}

const ids: Readonly<Record<Aspect, FindingId>> = {
  link: 'segment-link', mtu: 'segment-mtu', fdb: 'segment-fdb', neighbour: 'segment-fdb', address: 'segment-gateway', route: 'segment-gateway', sysctl: 'segment-gateway',
  setting: 'segment-setting', limit: 'segment-setting', move: 'segment-setting', switch: 'ovs-flows',
};

/** What is wrong with the segments, one finding for each fault. */
export function judgeSegments(segments: readonly SegmentFacts[], tools: SwitchTools | undefined): Finding[] {
  return segments.flatMap(({ segment, faults }) => faults.map((fault) => finding(fault.isMinor ? 'segment-drift' : ids[fault.aspect], {
    subject: `tenant ${segment.tenant} (VNI ${segment.vni})`, what: fault.what, show: showSegment(segment, fault.aspect, tools),
  })));
}

function showSegment({ vni, gateway }: Segment, aspect: Aspect, tools: SwitchTools | undefined): string {
  const [bridge, vxlan] = [bridgeName(vni), vxlanName(vni)];
  switch (aspect) {
    case 'fdb':
    case 'neighbour':
      return `bridge fdb show dev ${vxlan}`;
    case 'address':
    case 'route':
      return `ip address show dev ${bridge}; ip route show dev ${bridge}`;
    case 'sysctl':
      return `sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding${gateway === undefined ? '' : ` net.ipv4.conf.${bridge}.arp_ignore`}`;
    case 'switch':
      return showSwitch(tools);
    default:
      return `ip -d link show dev ${bridge}; ip -d link show dev ${vxlan}`;
  }
}

/** The command that lists the switch's flows of weft. */
export function showSwitch(tools: SwitchTools | undefined): string {
  return tools === undefined ? 'ovs-vsctl show' : `ovs-vsctl --db=unix:${tools.database} show; ovs-ofctl -O OpenFlow13 dump-flows unix:${tools.managementSocket}`;
}

/** What is wrong with the guard. */
export function judgeGuard({ structure, missing }: InspectedGuard): Finding[] {
  return [
    ...structure.map((what) => finding('guard-rules', { subject: 'guard', what, show: 'nft list ruleset' })),
    ...missing.map((set) => finding('guard-element', { subject: `nft set ${set}`, what: `the guard lacks an element of the nft set ${set}`, show: `nft list set ${set}` })),
  ];
}
