/** Repairs: what CHECK would say is wrong, put right. */
import { WeftError } from '../../errors/weft-error.ts';
import type { Vni } from '../../netaddr/netaddr.ts';
import type { Segment } from '../../overlay/model.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { findNetnsId } from '../../sys/netns.ts';
import { exchangeNow } from '../exchange.ts';
import { nothingWrong, repairInRounds, type Repair } from '../fault.ts';
import type { PortFault, PortHands } from '../host-end-faults.ts';
import type { Kernel } from '../kernel.ts';
import { insideLimitFaults, standsInside } from '../inside-limit.ts';
import { asContainers, containerGone, insideContainer } from '../inside-container.ts';
import { observeNow, observeOnce, type Observation } from '../observation.ts';
import type { DatapathRepair, PortToRepair } from '../repair.ts';
import { containerFaults } from '../container-faults.ts';
import { attachPort } from './port.ts';
import { movingFaults } from './moving-faults.ts';
import { portFaults } from './port-faults.ts';
import { ensureSegment } from './segment.ts';
import { segmentFaults } from './segment-faults.ts';
import type { SegmentHands } from './spare-faults.ts';

/** The repairs of the Linux bridge datapath over a kernel. */
export function linuxBridgeRepair(kernel: Kernel): DatapathRepair {
  // What is done to a bridge and its addresses costs it its neighbours, which are a port's: those that were seen before are no longer there.
  const outdated = new WeakMap<Observation, Set<Vni>>();
  return {
    observe: async () => observeOnce(kernel),
    repairSegment(segment, seen) {
      const repair = repairSegment(kernel, segment, seen);
      if (seen !== undefined && hasSpare(segment) && repair.repaired.length > 0) outdated.set(seen, (outdated.get(seen) ?? new Set()).add(segment.vni));
      return repair;
    },
    repairPort: (request, seen) => repairPort(kernel, request, seen !== undefined && outdated.get(seen)?.has(request.segment.vni) === true ? undefined : seen),
    repairContainer: (request) => repairContainer(kernel, request),
  };
}

function repairSegment(kernel: Kernel, segment: Segment, seen: Observation | undefined): Repair {
  if (seen !== undefined && segmentFaults(segment, seen).length === 0) return nothingWrong;
  const hands: SegmentHands = { route: kernel.route, setSysctl: (parts, value) => kernel.setSysctl(parts, value), remake: () => void exchangeNow(kernel, ensureSegment(kernel, segment)) };
  return repairInRounds(() => segmentFaults(segment, observeNow(kernel)), hands);
}

function repairPort(kernel: Kernel, request: PortToRepair, seen: Observation | undefined): Repair {
  const look = (observation: Observation): PortFault[] => [...portFaults(request, observation), ...movingFaults(kernel, request, observation)];
  if (seen !== undefined && look(seen).length === 0) return nothingWrong;
  const hands: PortHands = {
    route: kernel.route,
    remake() {
      const isMade = insideContainer(request, (netnsFd) => exchangeNow(kernel, attachPort(kernel, { ...request, netnsFd }))) !== undefined;
      if (!isMade) throw new WeftError('tryAgainLater', `The container's namespace ${request.netns} is gone`);
    },
  };
  const now = observeNow(kernel);
  // With its namespace a port goes: that is no damage.
  if (now.findLink(request.port.hostIf) === undefined && findNetnsId(request.netns) !== request.netnsId) return containerGone;
  return repairInRounds(() => look(now), hands);
}

function repairContainer(kernel: Kernel, request: PortToRepair): Repair {
  const repair = insideContainer(request, (netnsFd) => kernel.withRouteIn(netnsFd, (route) => repairInRounds(() => [...containerFaults(route, request.port), ...insideLimitFaults(route, request.port, standsInside(request.segment))], { route })));
  return asContainers(repair);
}
