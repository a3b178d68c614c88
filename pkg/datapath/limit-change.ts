/** Changing a tenant's limits while its containers use the network: no connection is lost, and no packet waits for long. */
import type { Segment } from '../overlay/model.ts';
import type { SegmentChange } from './datapath.ts';
import { findLinks } from './find-links.ts';
import type { Kernel } from './kernel.ts';
import { reroute } from './port-limits.ts';
import { openShapers } from './shaper.ts';
import { makeTenantShapers, tenantShapersOf } from './tenant-bandwidth.ts';

/** Brings shapers and ports in line with the changed limits. What a container's own limit needs inside it, a pass does. @throws WeftError kernelRefused */
export function changeLimits({ route }: Pick<Kernel, 'route'>, { segment, previous, ports }: SegmentChange, isUserspace = false): void {
  if (isSame(segment, previous)) return;
  makeTenantShapers(route, segment);
  // A rate alone is the shaper's.
  if (tenantShapersOf(segment).join() === tenantShapersOf(previous).join()) return;
  openShapers(route, surplusOf({ segment, previous }), previous.overlayMtu);
  const hosts = findLinks(route, ports.map(({ hostIf }) => hostIf));
  for (const [position, port] of ports.entries()) {
    const host = hosts[position];
    if (host !== undefined) reroute(route, { segment, port, index: host.index, isUserspace });
  }
}

/** Removes the shapers that there is no limit for any more. Behind changeLimits(), and whatever else sends through them: a filter whose link is gone drops what it gets. */
export function removeSurplusShapers(kernel: Pick<Kernel, 'removeLinks'>, { segment, previous }: Pick<SegmentChange, 'segment' | 'previous'>): void {
  const surplus = surplusOf({ segment, previous });
  if (surplus.length > 0) kernel.removeLinks(surplus).catch(() => undefined);
}

function surplusOf({ segment, previous }: Pick<SegmentChange, 'segment' | 'previous'>): readonly string[] {
  const kept = tenantShapersOf(segment);
  return tenantShapersOf(previous).filter((name) => !kept.includes(name));
}

function isSame(segment: Segment, previous: Segment): boolean {
  return JSON.stringify(segment.bandwidth) === JSON.stringify(previous.bandwidth);
}
