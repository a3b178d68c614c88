/**
 * Limits of a tenant: of what all its containers on the node receive together, and of what they send.
 *
 *     container ── weft-p… ──clsact ingress──▶ weft-if<VNI> ── back, as received by weft-p… ──▶ bridge
 *     container ◀─ weft-p… ◀── weft-it<VNI> ◀──clsact egress── bridge
 *
 * What two containers of the tenant send each other passes both. A container's own limit to it stands behind the tenant's, on the host interface;
 * that from it stands inside (inside-limit.ts).
 */
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';
import { addClsact, addRedirect, delClsact, type FilterPoint } from '../netlink/qdisc.ts';
import type { Bandwidth, RateLimit, Segment } from '../overlay/model.ts';
import { segmentAlias, tenantShaperName } from '../overlay/names.ts';
import { makeShaper, withKernelNeeds } from './bandwidth.ts';
import { about, type Fault, type RouteHands } from './fault.ts';
import { findLinks } from './find-links.ts';
import { doomedGroup, reapLinks } from './link-removal.ts';
import type { Observation } from './observation.ts';
import { isShaped, reshape } from './shaper.ts';

type Limited = Pick<Segment, 'tenant' | 'vni' | 'overlayMtu' | 'bandwidth'>;
type Direction = keyof Bandwidth;

interface TenantShaper {
  readonly name: string;
  readonly direction: Direction;
  readonly limit: RateLimit;
  /** Where the host interface's frames leave for it. */
  readonly point: FilterPoint;
}

const directions: readonly Direction[] = ['ingress', 'egress'];
/** A container receives what its host interface sends. */
const points: Readonly<Record<Direction, FilterPoint>> = { ingress: 'egress', egress: 'ingress' };
const words: Readonly<Record<Direction, string>> = { ingress: 'receive', egress: 'send' };

/** The tenant's shapers. */
function shapersIn({ vni, bandwidth = {} }: Pick<Segment, 'vni' | 'bandwidth'>): TenantShaper[] {
  return directions.flatMap((direction) => {
    const limit = bandwidth[direction];
    return limit === undefined ? [] : [{ name: tenantShaperName(vni, direction), direction, limit, point: points[direction] }];
  });
}

/** Those that a host interface sends its frames to. Open vSwitch's userspace datapath takes what it receives before its queues: see ovs/detour.ts. */
function shapersAtPorts(segment: Pick<Segment, 'vni' | 'bandwidth'>, isUserspace: boolean): TenantShaper[] {
  return shapersIn(segment).filter(({ direction }) => !isUserspace || direction !== 'egress');
}

/** Names of the links that a segment's limits need. */
export function tenantShapersOf(segment: Pick<Segment, 'vni' | 'bandwidth'>): string[] {
  return shapersIn(segment).map(({ name }) => name);
}

/** Makes the tenant's shapers, or gives those that are there the limits' numbers; packets that wait stay. @throws WeftError kernelRefused */
export function makeTenantShapers(route: Netlink, segment: Limited): void {
  for (const shaper of shapersIn(segment)) makeOne(route, segment, shaper);
}

function makeOne(route: Netlink, segment: Limited, { name, limit }: TenantShaper): number {
  if (findLinks(route, [name])[0]?.group === doomedGroup) reapLinks(route);
  try {
    return makeShaper(route, { name, alias: segmentAlias(segment), mtu: segment.overlayMtu, limit });
  } catch (error) {
    throw withKernelNeeds(error);
  }
}

/** Sends the frames of a host interface, whose number is given and which has no such filters, through its tenant's limits; those are made where they are missing. @throws WeftError kernelRefused */
export function joinTenantLimits(route: Netlink, segment: Limited, { index, isUserspace = false }: { readonly index: number; readonly isUserspace?: boolean }): void {
  join(route, segment, { index, shapers: shapersAtPorts(segment, isUserspace) });
}

/** Sends what a link that has no such filters sends through the limit of what the tenant's containers send, as joinTenantLimits(). @throws WeftError kernelRefused */
export function sendThroughLimit(route: Netlink, segment: Limited, index: number): void {
  join(route, segment, { index, shapers: shapersIn(segment).filter(({ direction }) => direction === 'egress').map((shaper) => ({ ...shaper, point: 'egress' })) });
}

function join(route: Netlink, segment: Limited, { index, shapers }: { readonly index: number; readonly shapers: readonly TenantShaper[] }): void {
  if (shapers.length === 0) return;
  const found = findLinks(route, shapers.map(({ name }) => name));
  const numbers = shapers.map((shaper, position) => {
    const link = found[position];
    return link !== undefined && link.isUp && link.group !== doomedGroup ? link.index : makeOne(route, segment, shaper);
  });
  try {
    requestTolerating(route, [addClsact(index)], 'EEXIST');
    route.request(shapers.map(({ point }, position) => addRedirect(index, numbers[position] as number, point)));
  } catch (error) {
    throw withKernelNeeds(error);
  }
}

/** Takes a link's frames off every limit that they are sent through. */
export function leaveLimits(route: Netlink, index: number): void {
  requestTolerating(route, [delClsact(index)], 'ENOENT', 'EINVAL', 'ENODEV');
}

/** What is wrong with the tenant's shapers. */
export function tenantShaperFaults(segment: Limited, seen: Observation): Fault<RouteHands>[] {
  const faults = shapersIn(segment).flatMap((shaper): Fault<RouteHands>[] => {
    const { name, limit, direction } = shaper;
    const link = seen.findLink(name);
    const what = `the limit of ${limit.rateBits} bit/s of what all containers of tenant ${segment.tenant} ${words[direction]} is missing`;
    if (link === undefined || !link.isUp || link.group === doomedGroup) return [{ what, remedy: { done: 'made anew', apply: ({ route }) => void makeOne(route, segment, shaper) } }];
    if (isShaped(seen, link.index, limit)) return [];
    return [{ what, remedy: { done: 'made anew', apply: ({ route }) => reshape(route, { name, index: link.index, mtu: segment.overlayMtu, limit }) } }];
  });
  return about('limit', faults);
}

/** Whether a port's frames go through its tenant's limits, in words where they do not, or where they still go through one that is no more. */
export function describeDetour(segment: Limited, index: number, { seen, isUserspace = false }: { readonly seen: Observation; readonly isUserspace?: boolean }): string[] {
  const shapers = shapersAtPorts(segment, isUserspace);
  const astray = shapers.filter(({ name, point }) => {
    const link = seen.findLink(name);
    return link === undefined || !seen.redirectsOf(index, point).includes(link.index);
  });
  if (astray.length > 0) return astray.map(({ direction }) => `what the container is to ${words[direction]} goes past the limit of tenant ${segment.tenant}`);
  const unlimited = directions.filter((direction) => !shapers.some((shaper) => shaper.direction === direction));
  if (unlimited.length === 0 || !seen.qdiscsOf(index).some(({ kind }) => kind === 'clsact')) return [];
  return unlimited.filter((direction) => isStale(segment, { index, direction, seen }))
    .map((direction) => `what the container is to ${words[direction]} goes through a limit that tenant ${segment.tenant} has no more`);
}

/** A filter whose link is gone has the number 0 (net/sched/act_mirred.c), and drops what it gets. */
function isStale({ vni }: Limited, { index, direction, seen }: { readonly index: number; readonly direction: Direction; readonly seen: Observation }): boolean {
  const link = seen.findLink(tenantShaperName(vni, direction));
  return seen.redirectsOf(index, points[direction]).some((to) => to === 0 || to === link?.index);
}
