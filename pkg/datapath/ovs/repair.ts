/**
 * Repairs: what CHECK would say is wrong, put right. The links' part is done within the call, as of every datapath; the switch's goes on
 * behind it, in its own order with whatever is asked of the switch later.
 */
import { describeError, WeftError } from '../../errors/weft-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import type { Segment } from '../../overlay/model.ts';
import { findNetnsId } from '../../sys/netns.ts';
import { bandwidthFaults } from '../bandwidth.ts';
import { containerFaults } from '../container-faults.ts';
import { nothingWrong, repairInRounds, type Fault, type Repair, type RouteHands } from '../fault.ts';
import { hostEndFaults, type PortHands } from '../host-end-faults.ts';
import { asContainers, containerGone, insideContainer } from '../inside-container.ts';
import { observeNow, observeOnce, type Observation } from '../observation.ts';
import type { DatapathRepair, PortToRepair } from '../repair.ts';
import { describePort, describeSegment } from './faults.ts';
import { gateFaults } from './gate.ts';
import { gatewayPortFaults, type GatewayPortHands } from './gateway-port.ts';
import { insideLimitFaults, limitedOnHost } from './limits.ts';
import { remakePort, replugPort, type OvsParts } from './port.ts';
import { mendRemotes } from './remotes.ts';
import { resizeSegment } from './segment.ts';
import { takeSnapshot, type SwitchSnapshot } from './snapshot.ts';
import { makeStandIn } from './stand-in.ts';
import { endpointFaults, standInFaults, type StandInHands } from './stand-in-faults.ts';

/** The repairs of the Open vSwitch datapath. */
export function ovsRepair(parts: OvsParts): DatapathRepair {
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
  };
}

interface Seen {
  readonly seen: Observation | undefined;
  /** Absent: the switch was not looked at. */
  readonly snapshot: SwitchSnapshot | string | undefined;
}

function repairSegment({ kernel, ovs, tenants }: OvsParts, segment: Segment, { seen, snapshot }: Seen): Repair {
  const now = seen ?? observeNow(kernel);
  let resized: Promise<void> | undefined;
  const faultsOf = (view: Observation): Fault<GatewayPortHands & StandInHands>[] => [...gatewayPortFaults(segment, view), ...standInFaults(segment, view)];
  const hands = { route: kernel.route, setSysctl: kernel.setSysctl.bind(kernel), remake: () => void makeStandIn(kernel, segment), resize: () => void (resized = resizeSegment({ kernel, ovs }, segment)) };
  const links = faultsOf(now).length === 0 ? nothingWrong : repairInRounds(() => faultsOf(observeNow(kernel)), hands);
  const pending = resized;
  const host = pending === undefined ? links : { ...links, rest: mended([], 'resized', () => pending) };
  if (snapshot === undefined) return host;
  if (typeof snapshot === 'string') return { ...host, failed: [...host.failed, snapshot] };
  const faults = describeSegment(segment, snapshot);
  if (faults.length === 0) return host;
  tenants.forget(segment.vni);
  return { ...host, rest: mended(faults, 'sent again', async () => Promise.all([pending, tenants.ensure(segment).then((network) => mendRemotes(ovs, segment, network))])) };
}

function repairPort(parts: OvsParts, request: PortToRepair, { seen, snapshot }: Seen): Repair {
  const { kernel, tenants } = parts;
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
  const faultsOf = (view: Observation): ReturnType<typeof hostEndFaults> =>
    hostEndFaults(port, view, (host) => [...bandwidthFaults(limitedOnHost(port, tenants.isUserspace), host.index, view), ...endpointFaults(segment, port, view), ...gateFaults(kernel.netfilter, port)]);
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

function repairContainer({ kernel, tenants }: OvsParts, request: PortToRepair): Repair {
  const faultsOf = (route: Netlink): Fault<RouteHands>[] => [...containerFaults(route, request.port), ...insideLimitFaults(route, request.port, tenants.isUserspace)];
  const repair = insideContainer(request, (netnsFd) => kernel.withRouteIn(netnsFd, (route) => repairInRounds(() => faultsOf(route), { route })));
  return asContainers(repair);
}
