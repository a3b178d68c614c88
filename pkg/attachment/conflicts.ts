/** Whether a tenant's subnets can have their gateway on this host without hiding something the host reaches today. */
import type { Kernel } from '../datapath/kernel.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { Pool } from '../ipam/pool.ts';
import { formatAddress, formatPrefix, prefixContains, prefixesOverlap, type Family, type Prefix } from '../netaddr/netaddr.ts';
import { decodeLink, listLinks } from '../netlink/link.ts';
import { decodeRoute, listRoutes } from '../netlink/route.ts';
import type { Segment } from '../overlay/model.ts';
import { bridgeName, bridgePrefix } from '../overlay/names.ts';

/**
 * Refuses a gateway whose subnet overlaps a route of this node: the bridge's own route would win or lose against it.
 * Default routes are no conflict. @throws WeftError subnetConflict
 */
export function requireFreeSubnets(kernel: Kernel, segment: Segment, pool: Pool): void {
  const subnets = pool.sets.flat().filter((range) => range.gateway !== undefined).map((range) => range.subnet);
  for (const subnet of subnets) {
    const endPoint = [segment.vtepAddress, ...segment.peers].find((address) => prefixContains(subnet, address));
    if (endPoint !== undefined) throw conflict(segment, subnet, `it contains the VTEP ${formatAddress(endPoint)}`);
  }
  const names = new Map(kernel.route.dump(listLinks()).map(decodeLink).map((link) => [link.index, link.name]));
  for (const family of new Set(subnets.map((subnet) => subnet.family))) refuseOverlaps(kernel, { segment, subnets, family, names });
}

function refuseOverlaps(kernel: Kernel, search: { segment: Segment; subnets: readonly Prefix[]; family: Family; names: ReadonlyMap<number, string> }): void {
  const { segment, subnets, family, names } = search;
  for (const route of kernel.route.dump(listRoutes(family)).map(decodeRoute)) {
    if (route === undefined || route.dst.length === 0) continue;
    const via = names.get(route.index ?? -1) ?? 'nowhere';
    const subnet = subnets.find((candidate) => prefixesOverlap(candidate, route.dst));
    if (subnet === undefined || via === bridgeName(segment.vni)) continue;
    const owner = via.startsWith(bridgePrefix) ? `the gateway of another tenant, on ${via}` : via;
    throw conflict(segment, subnet, `it overlaps this node's route ${formatPrefix(route.dst)} through ${owner}`);
  }
}

function conflict(segment: Segment, subnet: Prefix, why: string): WeftError {
  return new WeftError('subnetConflict', `The subnet ${formatPrefix(subnet)} of tenant ${segment.tenant} cannot have its gateway on this node: ${why}`, {
    details: 'use another subnet, or leave isGateway out: a tenant without a gateway on the host may have any subnet',
  });
}
