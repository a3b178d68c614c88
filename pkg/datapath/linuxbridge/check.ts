/** CHECK: what an attachment needs, looked for in the kernel. A repair sees the same faults. */
import type { PortRequest } from '../datapath.ts';
import { faultsInWords } from '../fault.ts';
import { insideLimitFaults, standsInside } from '../inside-limit.ts';
import type { Kernel } from '../kernel.ts';
import { observeNow } from '../observation.ts';
import { containerFaults } from '../container-faults.ts';
import { describeGuardDamage } from '../guard/guard-damage.ts';
import { portElements, relayElements, segmentElements } from '../guard/guard-elements.ts';
import { movingFaults } from './moving-faults.ts';
import { portFaults } from './port-faults.ts';
import { segmentFaults } from './segment-faults.ts';

/** What is wrong, in words; empty when the attachment is whole. */
export function checkPort(kernel: Kernel, request: PortRequest): string[] {
  const { segment, port, netnsFd } = request;
  const seen = observeNow(kernel);
  const elements = [...segmentElements(segment), ...portElements(port, { hasGateway: segment.gateway !== undefined }), ...relayElements(segment, port)];
  return [
    ...faultsInWords(segmentFaults(segment, seen)),
    ...faultsInWords(portFaults(request, seen)),
    ...faultsInWords(movingFaults(kernel, request, seen)),
    ...faultsInWords(kernel.withRouteIn(netnsFd, (route) => [...containerFaults(route, port), ...insideLimitFaults(route, port, standsInside(segment))])),
    ...describeGuardDamage(kernel.netfilter, elements),
  ];
}
