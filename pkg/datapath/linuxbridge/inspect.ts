/** What a repair would find wrong, for whoever only looks. */
import { containerFaults } from '../container-faults.ts';
import { about } from '../fault.ts';
import { findGuardDamage } from '../guard/guard-damage.ts';
import { knownElements } from '../guard/guard-elements.ts';
import { setName } from '../guard/guard-state.ts';
import { insideLimitFaults, standsInside } from '../inside-limit.ts';
import { insideContainer } from '../inside-container.ts';
import { withoutHands, type DatapathInspection } from '../inspection.ts';
import type { Kernel } from '../kernel.ts';
import { movingFaults } from './moving-faults.ts';
import { portFaults } from './port-faults.ts';
import { segmentFaults } from './segment-faults.ts';

/** Looks at segments and ports of Linux bridges, and at the guard, which is everybody's. */
export function linuxBridgeInspection(kernel: Kernel): DatapathInspection {
  return {
    inspectSegment: (segment, seen) => withoutHands(segmentFaults(segment, seen)),
    inspectPort(request, seen) {
      const inside = insideContainer(request, (netnsFd) => kernel.withRouteIn(netnsFd, (route) => withoutHands([...containerFaults(route, request.port), ...about('limit', insideLimitFaults(route, request.port, standsInside(request.segment)))])));
      return { host: withoutHands([...portFaults(request, seen), ...about('move', movingFaults(kernel, request, seen))]), container: inside ?? 'gone' };
    },
    inspectGuard(settled) {
      if (settled.segments.length === 0) return { structure: [], missing: [] };
      const { structure, missing } = findGuardDamage(kernel.netfilter, knownElements(settled));
      return { structure, missing: [...new Set(missing.map(setName))] };
    },
  };
}
