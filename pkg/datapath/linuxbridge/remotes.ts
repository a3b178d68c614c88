/** Remote endpoints in the kernel's tables, for a control plane: see ../remotes.ts. */
import { formatAddress, type Mac } from '../../netaddr/netaddr.ts';
import { tolerating, type NetlinkMessage } from '../../netlink/codec.ts';
import { decodeNeighbour, delNeighbour, getNeighbour, listNeighbours, putExternalNeighbour, type Neighbour } from '../../netlink/ip-neighbour.ts';
import type { Link } from '../../netlink/link.ts';
import { decodeFdb, delPortFdb, delVxlanFdb, getVxlanFdb, listBridgeFdb, listFdb, putPortFdb, putVxlanFdb, type FdbEntry, type VxlanDestination } from '../../netlink/neighbour.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import type { RemoteEndpoint, Segment } from '../../overlay/model.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { findLinks } from '../find-links.ts';
import type { Kernel } from '../kernel.ts';
import type { RemoteTables, SeenRemotes } from '../remotes.ts';
import { asSegmentLinks, linksOf, type SpareLinks } from './segment-links.ts';
import { realDestination } from './spare.ts';

interface Tables {
  readonly route: Netlink;
  readonly segment: Segment;
  readonly bridge: Link;
  readonly vxlan: Link;
  readonly spare: SpareLinks;
}

/** The tables of remote endpoints over a kernel. */
export function linuxBridgeRemotes(kernel: Pick<Kernel, 'route'>): RemoteTables {
  const withTables = (segment: Segment, endpoints: readonly RemoteEndpoint[], fn: (tables: Tables, endpoints: readonly RemoteEndpoint[]) => void): void => {
    const tables = endpoints.length === 0 ? undefined : findTables(kernel.route, segment);
    if (tables !== undefined) fn(tables, endpoints);
  };
  return {
    observeRemotes(segment) {
      const tables = findTables(kernel.route, segment);
      return tables === undefined ? { held: [], present: [] } : observe(tables);
    },
    holdRemotes: (segment, endpoints) => withTables(segment, endpoints, hold),
    restoreRemotes: (segment, endpoints) => withTables(segment, endpoints, restore),
    dropRemotes: (segment, endpoints) => withTables(segment, endpoints, drop),
  };
}

function findTables(route: Netlink, segment: Segment): Tables | undefined {
  if (!hasSpare(segment)) return undefined;
  const links = asSegmentLinks(segment, findLinks(route, linksOf(segment).map(({ name }) => name)));
  return links?.spare === undefined ? undefined : { route, segment, ...links, spare: links.spare };
}

function readFdb(route: Netlink, index: number): FdbEntry[] {
  return route.dump(listFdb(index)).map(decodeFdb).filter((entry) => entry?.index === index) as FdbEntry[];
}

function readNeighbours(route: Netlink, index: number): Neighbour[] {
  return route.dump(listNeighbours(index)).map(decodeNeighbour).filter((neighbour) => neighbour?.index === index) as Neighbour[];
}

function observe({ route, bridge, vxlan, spare }: Tables): SeenRemotes {
  const atVxlan = readFdb(route, vxlan.index).filter(({ isExternal }) => isExternal === true);
  const bridged = new Set(atVxlan.filter(({ master }) => master !== undefined).map(({ mac }) => mac));
  const held = readFdb(route, spare.tunnel.index).filter(({ isExternal }) => isExternal === true);
  // zebra leaves it behind where an endpoint comes here; it may have come before it was held.
  const local = localMacs(route, { bridge, vxlan });
  const stray = atVxlan.filter(({ mac }) => local.has(mac) && !held.some((entry) => entry.mac === mac));
  return {
    held: asEndpoints([...held, ...stray], readNeighbours(route, spare.tunnel.index)),
    present: asEndpoints(atVxlan.filter(({ mac }) => bridged.has(mac)), readNeighbours(route, bridge.index)),
  };
}

/** Entries that name a VTEP, each with what a control plane has told of its MAC's addresses. */
function asEndpoints(entries: readonly FdbEntry[], neighbours: readonly Neighbour[]): RemoteEndpoint[] {
  const addresses = Map.groupBy(neighbours.filter(({ isExternal }) => isExternal), ({ mac }) => mac);
  return entries.flatMap(({ mac, vtep }) => (vtep === undefined ? [] : [{ mac, vtep, addresses: (addresses.get(mac) ?? []).map(({ address }) => address) }]));
}

function heldAt(segment: Segment, { mac, vtep }: RemoteEndpoint): VxlanDestination {
  return { mac, vtep, other: realDestination(segment) };
}

function hold({ route, segment, spare: { tunnel } }: Tables, endpoints: readonly RemoteEndpoint[]): void {
  route.request(endpoints.flatMap((endpoint) => [
    putVxlanFdb(tunnel.index, heldAt(segment, endpoint)),
    ...endpoint.addresses.map((address) => putExternalNeighbour(tunnel.index, { address, mac: endpoint.mac })),
  ]));
}

/**
 * First the VXLAN device, then the bridge: in between, frames still take the spare tunnel. The other way round they would find the VXLAN
 * device without a VTEP for them.
 */
function restore({ route, bridge, vxlan }: Tables, endpoints: readonly RemoteEndpoint[]): void {
  const local = localMacs(route, { bridge, vxlan });
  const remote = endpoints.filter(({ mac }) => !local.has(mac));
  const neighbours = new Map(readNeighbours(route, bridge.index).map((neighbour) => [formatAddress(neighbour.address), neighbour]));
  const isFree = (text: string): boolean => {
    const present = neighbours.get(text);
    return present === undefined || !(present.isPermanent || present.isExternal);
  };
  route.request(remote.map(({ mac, vtep }) => putVxlanFdb(vxlan.index, { mac, vtep }, { isKept: true })));
  route.request(remote.flatMap(({ mac, addresses }) => [
    putPortFdb(vxlan.index, mac),
    ...addresses.filter((address) => isFree(formatAddress(address))).map((address) => putExternalNeighbour(bridge.index, { address, mac })),
  ]));
}

/** MACs that the bridge has anywhere but at the VXLAN device, its own included. */
function localMacs(route: Netlink, { bridge, vxlan }: Pick<Tables, 'bridge' | 'vxlan'>): ReadonlySet<Mac> {
  const entries = route.dump(listBridgeFdb(bridge.index)).map(decodeFdb);
  return new Set(entries.flatMap((entry) => (entry === undefined || entry.master !== bridge.index || entry.index === vxlan.index ? [] : [entry.mac])));
}

/**
 * First what names its VTEP or can be asked whose it is, then, for those of which the VXLAN device knows nothing any more, the bridge's entry: a
 * MAC that has moved meanwhile keeps it. Answers come in the order of the requests.
 */
function drop({ route, segment, bridge, vxlan, spare: { tunnel } }: Tables, endpoints: readonly RemoteEndpoint[]): void {
  const left = route.request(endpoints.flatMap(({ mac, vtep }) => [tolerating(delVxlanFdb(vxlan.index, { mac, vtep }), 'ENOENT'), tolerating(getVxlanFdb(vxlan.index, mac), 'ENOENT')]));
  const asked = endpoints.flatMap(({ mac, addresses }) => addresses.map((address) => ({ mac, address, index: bridge.index })));
  const macs = new Set(endpoints.map(({ mac }) => mac));
  const remembered = readNeighbours(route, tunnel.index).filter(({ mac }) => mac !== undefined && macs.has(mac));
  const neighbours = route.request(asked.map(({ index, address }) => tolerating(getNeighbour(index, address), 'ENOENT')));
  const gone = endpoints.filter((_endpoint, at) => left[2 * at + 1]?.length === 0);
  route.request([
    ...gone.map(({ mac }) => delPortFdb(vxlan.index, mac)),
    ...endpoints.map((endpoint) => delVxlanFdb(tunnel.index, heldAt(segment, endpoint))),
    ...remembered.map(({ address }) => delNeighbour(tunnel.index, address)),
    ...asked.filter(({ mac }, at) => isExternalOf(neighbours[at]?.[0], mac)).map(({ index, address }) => delNeighbour(index, address)),
  ].map((request) => tolerating(request, 'ENOENT')));
}

function isExternalOf(message: NetlinkMessage | undefined, mac: Mac): boolean {
  const neighbour = message === undefined ? undefined : decodeNeighbour(message);
  return neighbour?.isExternal === true && neighbour.mac === mac;
}
