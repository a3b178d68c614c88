/**
 * Repairs: what CHECK would say is wrong, put right. The links' part is done within the call, as of every datapath; the switch's goes on
 * behind it, in its own order with whatever is asked of the switch later.
 */
import { describeError, WeftError } from '../../errors/weft-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import type { Segment } from '../../overlay/model.ts';
import { findNetnsId } from '../../sys/netns.ts';
import { containerFaults } from '../container-faults.ts';
import { about, nothingWrong, repairInRounds, type Fault, type Repair, type RouteHands } from '../fault.ts';
import { hostEndFaults, type PortHands } from '../host-end-faults.ts';
import { insideLimitFaults, standsInside } from '../inside-limit.ts';
import { portLimitFaults } from '../port-limits.ts';
import { tenantShaperFaults } from '../tenant-bandwidth.ts';
import { asContainers, containerGone, insideContainer } from '../inside-container.ts';
import { ofSwitch, withoutHands, type DatapathInspection } from '../inspection.ts';
import { observeNow, observeOnce, type Observation } from '../observation.ts';
import type { DatapathRepair, PortToRepair } from '../repair.ts';
import { detourFaults, type DetourHands } from './detour.ts';
import { describePort, describeSegment } from './faults.ts';
import { gateFaults } from './gate.ts';
import { gatewayPortFaults, type GatewayPortHands } from './gateway-port.ts';
import { closeWaiting } from './opener.ts';
import { remakePort, replugPort, type OvsParts } from './port.ts';
import { mendRemotes } from './remotes.ts';
import { resizeSegment } from './segment.ts';
import { takeSnapshot, type SwitchSnapshot } from './snapshot.ts';
import { makeStandIn } from './stand-in.ts';
import { endpointFaults, standInFaults, type StandInHands } from './stand-in-faults.ts';

/** The repairs of the Open vSwitch datapath, and the same looks without their hands. */
export function ovsRepair(parts: OvsParts): DatapathRepair & DatapathInspection {
  /** What was seen of the switch with each observation of the kernel. */
  const snapshots = new WeakMap<Observation, SwitchSnapshot | string>();
  return {
    async observe() {
      const snapshot = await takeSnapshot(parts.ovs);
      const seen = observeOnce(parts.kernel);
      snapshots.set(seen, snapshot);
      return seen;
    },
    repairSegment: (segment, seen) => repairSegment(parts, segment, { seen, snapshot: seen === undefined ? undefined : snapshots.get(seen) }),
    repairPort: (request, seen) => repairPort(parts, request, { seen, snapshot: seen === undefined ? undefined : snapshots.get(seen) }),
    repairContainer: (request) => repairContainer(parts, request),
    inspectSegment: (segment, seen) => [...withoutHands([...hostFaults(segment, seen), ...detourFaults(segment, seen, parts.tenants.isUserspace)]), ...ofSwitch(inSwitch(snapshots.get(seen), (snapshot) => describeSegment(segment, snapshot)))],
    inspectPort({ segment, port, ...container }, seen) {
      const inside = insideContainer(container, (netnsFd) => parts.kernel.withRouteIn(netnsFd, (route) => withoutHands(insideFaults(parts, { segment, port }, route))));
      // Of a port without its interface that is what there is to say.
      const isPlugged = seen.findLink(port.hostIf) !== undefined;
      const switched = isPlugged ? inSwitch(snapshots.get(seen), (snapshot) => describePort(segment, port, snapshot)) : [];
      return { host: [...withoutHands(endFaults(parts, { segment, port }, seen)), ...ofSwitch(switched)], container: inside ?? 'gone' };
    },
    // Its guard is flows; the host's is everybody's.
    inspectGuard: () => ({ structure: [], missing: [] }),
  };
}

/** Nothing is said of a switch that cannot be asked: that is one thing, and not one for each of its ports. */
function inSwitch(snapshot: SwitchSnapshot | string | undefined, describe: (snapshot: SwitchSnapshot) => readonly string[]): readonly string[] {
  return snapshot === undefined || typeof snapshot === 'string' ? [] : describe(snapshot);
}

/** What the host's part of a segment is repaired with. */
type SegmentHands = GatewayPortHands & StandInHands & DetourHands;

/** What is wrong with the host's part of a segment, but for what detourFaults() says. */
function hostFaults(segment: Segment, seen: Observation): Fault<SegmentHands>[] {
  return [...gatewayPortFaults(segment, seen), ...standInFaults(segment, seen), ...tenantShaperFaults(segment, seen)];
}

/** What is wrong with the host's end of a port. */
function endFaults({ kernel, ovs, tenants }: OvsParts, { segment, port }: Pick<PortToRepair, 'segment' | 'port'>, seen: Observation): ReturnType<typeof hostEndFaults> {
  return hostEndFaults(port, seen, (host) => [...portLimitFaults({ segment, port, index: host.index, isUserspace: tenants.isUserspace }, seen), ...endpointFaults(segment, port, seen), ...gateFaults(kernel.netfilter, port, () => closeWaiting({ kernel, ovs }, { segment, port }))]);
}

/** What is wrong inside a port's container. */
function insideFaults({ tenants }: OvsParts, { segment, port }: Pick<PortToRepair, 'segment' | 'port'>, route: Netlink): Fault<RouteHands>[] {
  return [...containerFaults(route, port), ...about('limit', insideLimitFaults(route, port, standsInside(segment, tenants.isUserspace)))];
}

interface Seen {
  readonly seen: Observation | undefined;
  /** Absent: the switch was not looked at. */
  readonly snapshot: SwitchSnapshot | string | undefined;
}

function repairSegment(parts: OvsParts, segment: Segment, { seen, snapshot }: Seen): Repair {
  const { kernel, ovs, tenants } = parts;
  const now = seen ?? observeNow(kernel);
  let resized: Promise<void> | undefined;
  let isReconnected = false;
  const faultsOf = (view: Observation): Fault<SegmentHands>[] => [...hostFaults(segment, view), ...(isReconnected ? [] : detourFaults(segment, view, tenants.isUserspace))];
  const hands: SegmentHands = {
    route: kernel.route, setSysctl: kernel.setSysctl.bind(kernel), remake: () => void makeStandIn(kernel, segment), resize: () => void (resized = resizeSegment(parts, segment)),
    reconnect: () => void (isReconnected = true),
  };
  const links = faultsOf(now).length === 0 ? nothingWrong : repairInRounds(() => faultsOf(observeNow(kernel)), hands);
  const pending = resized;
  const host = pending === undefined ? links : { ...links, rest: mended([], 'resized', () => pending) };
  if (typeof snapshot === 'string') return { ...host, failed: [...host.failed, snapshot] };
  const faults = snapshot === undefined ? [] : describeSegment(segment, snapshot);
  if (faults.length === 0 && !isReconnected) return host;
  tenants.forget(segment.vni);
  return { ...host, rest: mended(faults, 'sent again', async () => Promise.all([pending, tenants.ensure(segment).then((network) => mendRemotes(ovs, segment, network))])) };
}

function repairPort(parts: OvsParts, request: PortToRepair, { seen, snapshot }: Seen): Repair {
  const { kernel } = parts;
  const { segment, port } = request;
  const now = observeNow(kernel);
  // With its namespace a port goes: that is no damage.
  if (now.findLink(port.hostIf) === undefined && findNetnsId(request.netns) !== request.netnsId) return containerGone;
  let rest: Promise<void> | undefined;
  const hands: PortHands = {
    route: kernel.route,
    remake() {
      rest = insideContainer(request, (netnsFd) => remakePort(parts, { segment, port, netnsFd }));
      if (rest === undefined) throw new WeftError('tryAgainLater', `The container's namespace ${request.netns} is gone`);
    },
  };
  const faultsOf = (view: Observation): ReturnType<typeof hostEndFaults> => endFaults(parts, request, view);
  const host = seen !== undefined && faultsOf(seen).length === 0 ? nothingWrong : repairInRounds(() => faultsOf(now), hands);
  const remade = rest;
  if (remade !== undefined) return { ...host, rest: mended([], 'plugged in again', () => remade) };
  if (snapshot === undefined || typeof snapshot === 'string') return host;
  const faults = describePort(segment, port, snapshot);
  return faults.length === 0 ? host : { ...host, rest: mended(faults, 'plugged in again', () => replugPort(parts, segment, port)) };
}

/** What the switch's part came to. */
async function mended(faults: readonly string[], done: string, work: () => Promise<unknown>): Promise<Repair> {
  try {
    await work();
    return { ...nothingWrong, repaired: faults.map((fault) => `${fault}: ${done}`) };
  } catch (error) {
    return { ...nothingWrong, failed: faults.length === 0 ? [describeError(error)] : faults.map((fault) => `${fault}: ${describeError(error)}`) };
  }
}

function repairContainer(parts: OvsParts, request: PortToRepair): Repair {
  const repair = insideContainer(request, (netnsFd) => parts.kernel.withRouteIn(netnsFd, (route) => repairInRounds(() => insideFaults(parts, request, route), { route })));
  return asContainers(repair);
}
