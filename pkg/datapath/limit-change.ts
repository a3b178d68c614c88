/** Changing a tenant's limits while its containers use the network: no connection is lost, and no packet waits for long. */
import type { Segment } from '../overlay/model.ts';
import type { SegmentChange } from './datapath.ts';
import { findLinks } from './find-links.ts';
import type { Kernel } from './kernel.ts';
import { reroute } from './port-limits.ts';
import { makeTenantShapers, tenantShapersOf } from './tenant-bandwidth.ts';

/** Brings shapers and ports in line with the changed limits. What a container's own limit needs inside it, a pass does. @throws WeftError kernelRefused */
export function changeLimits(kernel: Pick<Kernel, 'route' | 'removeLinks'>, { segment, previous, ports }: SegmentChange, isUserspace = false): void {
  if (isSame(segment, previous)) return;
  const { route } = kernel;
  makeTenantShapers(route, segment, isUserspace);
  const [names, before] = [tenantShapersOf(segment), tenantShapersOf(previous)];
  // A rate alone is the shaper's.
  if (names.join() === before.join()) return;
  const hosts = findLinks(route, ports.map(({ hostIf }) => hostIf));
  for (const [position, port] of ports.entries()) {
    const host = hosts[position];
    if (host !== undefined) reroute(route, { segment, port, index: host.index, isUserspace });
  }
  // Behind the ports: a filter whose link is gone drops what it gets.
  const surplus = before.filter((name) => !names.includes(name));
  if (surplus.length > 0) kernel.removeLinks(surplus).catch(() => undefined);
}

function isSame(segment: Segment, previous: Segment): boolean {
  return JSON.stringify(segment.bandwidth) === JSON.stringify(previous.bandwidth);
}
