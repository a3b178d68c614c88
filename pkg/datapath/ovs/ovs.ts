/**
 * The Open vSwitch datapath. All tenants share one integration bridge; a container is a veth pair whose host end is a port of it.
 *
 *     container        │ host
 *     eth0 ────────────┼── weft-p… ──┐                         flows: own MAC and addresses only, per-tenant, closed by default
 *     eth0 ────────────┼── weft-p… ──┤ weft-int ── weft-t… ══ VXLAN or Geneve over the underlay, flows: known VTEPs only
 *                      │             └ weft-br<VNI>, where the host is the tenant's gateway
 *
 * Growth on a node: a port and some 20 flows per attachment; flows 20 + 2 × peers per tenant; one tunnel for all tenants of an encapsulation,
 * VTEP and UDP port. Nothing is flooded whose place is known (flows/flows.ts), and nothing is left to the switch's own learning switch, NORMAL.
 *
 * A tenant with a control plane has three links more, by which FRR knows of it: see stand-in.ts.
 *
 * The switch is asked by its database for ports and by OpenFlow for flows; both are other processes and may be gone for a while. What a
 * restart of ovs-vswitchd loses the reconciler sends again; until then ports are closed, not open.
 */
import type { Segment } from '../../overlay/model.ts';
import { pause } from '../../sys/timer.ts';
import type { NodeDatapath } from '../datapath.ts';
import type { DatapathMigration } from '../migration.ts';
import { faultsInWords } from '../fault.ts';
import { containerFaults } from '../container-faults.ts';
import { describeGuardDamage } from '../guard/guard-damage.ts';
import { segmentElements } from '../guard/guard-elements.ts';
import { hostEndFaults } from '../host-end-faults.ts';
import { insideLimitFaults, standsInside } from '../inside-limit.ts';
import { portLimitFaults } from '../port-limits.ts';
import { tenantShaperFaults } from '../tenant-bandwidth.ts';
import type { Kernel } from '../kernel.ts';
import { observeNow } from '../observation.ts';
import type { PortRequest } from '../datapath.ts';
import { resizePort } from '../resize.ts';
import { collectGarbage } from './collect.ts';
import { detourFaults } from './detour.ts';
import { describePort, describeSegment } from './faults.ts';
import { gateFaults } from './gate.ts';
import { gatewayPortFaults } from './gateway-port.ts';
import { closeWaiting } from './opener.ts';
import { ovsMigration } from './migration.ts';
import { attachPort, type OvsParts } from './port.ts';
import { ovsRemotes } from './remotes.ts';
import { removalOf } from './removal.ts';
import { ovsRepair } from './repair.ts';
import { resizeSegment, updateSegment } from './segment.ts';
import { takeSnapshot, type SwitchSnapshot } from './snapshot.ts';
import { endpointFaults, standInFaults } from './stand-in-faults.ts';
import type { OvsSwitch } from './switch/switch.ts';
import { Tenants } from './tenants.ts';

/** As many ports as a flow can list with room to spare (64 KiB of OpenFlow, 16 bytes each). */
export const portsMax = 3000;

/** The datapath over a kernel and a switch. The caller closes both. */
export function ovsDatapath(kernel: Kernel, ovs: OvsSwitch): NodeDatapath & DatapathMigration {
  const parts: OvsParts = { kernel, ovs, tenants: new Tenants(ovs, kernel), untouched: new Set() };
  return {
    ...ovsRepair(parts),
    ...ovsRemotes(parts),
    ...ovsMigration(parts),
    portsMaxOf: () => portsMax,
    attach: (request) => attachPort(parts, request),
    ...removalOf(parts),
    updateSegment: (change) => updateSegment(parts, change),
    resizeSegment: (segment) => resizeSegment(parts, segment),
    resizePort: (request, mtu) => resizePort(kernel, request, mtu),
    check: (request) => checkPort(parts, request),
    collect: (known) => collectGarbage(parts, known),
    // Its guard is flows, which are repaired with what they belong to; the host's is everybody's.
    mendGuard: () => [],
    async findObstacle(segment) {
      const obstacle = await ovs.findObstacle();
      if (obstacle !== undefined) return obstacle;
      // Whoever only asks makes no bridge.
      return parts.tenants.describeWay(segment, await ovs.findDatapathType());
    },
  };
}

/** So long, in milliseconds, a check waits for another call about the tenant to have sent all of the flows that they share. */
const settlingMs = 2000;
const settlingPollMs = 50;

/**
 * The switch when the tenant's part of it is whole, or after a while. Whoever attaches or detaches another container of the tenant changes flows
 * one behind the other; and where it is killed in between, a daemon that starts puts them right.
 */
async function takeSettledSnapshot(ovs: OvsSwitch, segment: Segment): Promise<SwitchSnapshot | string> {
  for (const deadline = performance.now() + settlingMs; ; await pause(settlingPollMs)) {
    const snapshot = await takeSnapshot(ovs);
    if (typeof snapshot === 'string' || describeSegment(segment, snapshot).length === 0 || performance.now() > deadline) return snapshot;
  }
}

/** What is wrong, in words; empty when the attachment is whole. */
async function checkPort({ kernel, ovs, tenants }: OvsParts, { segment, port, netnsFd }: PortRequest): Promise<string[]> {
  const snapshot = await takeSettledSnapshot(ovs, segment);
  const seen = observeNow(kernel);
  // Of a port without its interface that is what there is to say.
  const isPlugged = seen.findLink(port.hostIf) !== undefined;
  const way = typeof snapshot === 'string' ? undefined : await tenants.describeWay(segment, tenants.isUserspace ? 'netdev' : 'system');
  return [
    ...(typeof snapshot === 'string' ? [snapshot] : [...describeSegment(segment, snapshot), ...(isPlugged ? describePort(segment, port, snapshot) : [])]),
    ...(way === undefined ? [] : [way]),
    ...faultsInWords(gatewayPortFaults(segment, seen)),
    ...faultsInWords(standInFaults(segment, seen)),
    ...faultsInWords([...tenantShaperFaults(segment, seen), ...detourFaults(segment, seen, tenants.isUserspace)]),
    ...faultsInWords(hostEndFaults(port, seen, (host) => [...portLimitFaults({ segment, port, index: host.index, isUserspace: tenants.isUserspace }, seen), ...endpointFaults(segment, port, seen), ...gateFaults(kernel.netfilter, port, () => closeWaiting({ kernel, ovs }, { segment, port }))])),
    ...faultsInWords(kernel.withRouteIn(netnsFd, (route) => [...containerFaults(route, port), ...insideLimitFaults(route, port, standsInside(segment, tenants.isUserspace))])),
    ...describeGuardDamage(kernel.netfilter, segmentElements(segment)),
  ];
}
