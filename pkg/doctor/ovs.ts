/** Open vSwitch, where tenants are wired by it. Its ports and flows are looked at with the segments and endpoints they belong to. Pure. */
import { finding, quoted, type Finding } from './finding.ts';
import type { SwitchTools } from './segments.ts';

/** What is known of it. */
export interface OvsFacts {
  readonly tools: SwitchTools;
  /** Why an ADD would not work with it, in words. */
  readonly obstacle: string | undefined;
}

/** What is wrong with it. */
export function judgeOvs({ tools, obstacle }: OvsFacts): Finding[] {
  if (obstacle === undefined) return [];
  return [finding('ovs-down', { subject: tools.bridge, what: obstacle, show: `ovs-vsctl --timeout=2 --db=unix:${quoted(tools.database)} show; ovs-ofctl -O OpenFlow13 show unix:${quoted(tools.managementSocket)}` })];
}
