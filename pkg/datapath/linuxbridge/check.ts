/** CHECK: what an attachment needs, looked for in the kernel. */
import { addressesEqual, formatAddress, formatInterfaceAddress, formatPrefix } from '../../netaddr/netaddr.ts';
import { decodeAddress, listAddresses } from '../../netlink/address.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { decodeFdb, floodMac, listFdb } from '../../netlink/neighbour.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import { decodeRoute, listRoutes, tableMain } from '../../netlink/route.ts';
import type { AttachmentPort, Route, Segment } from '../../overlay/model.ts';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import type { PortRequest } from '../datapath.ts';
import { describeBandwidthDamage } from '../bandwidth.ts';
import type { Kernel } from '../kernel.ts';
import { describeGuardDamage } from './guard-damage.ts';
import { portElements, segmentElements } from './guard-elements.ts';
import { describeDamage, findLinks, type SegmentLinks } from './segment.ts';

/** What is wrong, in words; empty when the attachment is whole. */
export function checkPort(kernel: Kernel, request: PortRequest): string[] {
  const { segment, port, netnsFd } = request;
  const names = { bridge: bridgeName(segment.vni), vxlan: vxlanName(segment.vni) };
  const [bridge, vxlan, host] = findLinks(kernel.route, [names.bridge, names.vxlan, port.hostIf]);
  const faults: string[] = [];
  if (bridge === undefined) faults.push(`the tenant's bridge ${names.bridge} is missing`);
  if (vxlan === undefined) faults.push(`the tenant's VXLAN device ${names.vxlan} is missing`);
  if (bridge !== undefined && vxlan !== undefined) faults.push(...checkSegment(kernel, segment, { bridge, vxlan }));
  if (host === undefined) faults.push(`the host interface ${port.hostIf} is missing`);
  else {
    if (!host.isUp) faults.push(`the host interface ${port.hostIf} is down`);
    if (host.mtu !== port.mtu) faults.push(`the host interface ${port.hostIf} has MTU ${host.mtu} instead of ${port.mtu}`);
    if (bridge !== undefined && host.master !== bridge.index) faults.push(`the host interface ${port.hostIf} is not a port of ${names.bridge}`);
    else faults.push(...checkPortFdb(kernel.route, host.index, port));
    faults.push(...describeBandwidthDamage(kernel.route, port, host.index));
  }
  faults.push(...kernel.withRouteIn(netnsFd, (route) => checkContainer(route, port)));
  const elements = [...segmentElements(segment), ...portElements(port, { hasGateway: segment.gateway !== undefined })];
  return [...faults, ...describeGuardDamage(kernel.netfilter, elements)];
}

function checkSegment(kernel: Kernel, segment: Segment, links: SegmentLinks): string[] {
  const damage = describeDamage(segment, links);
  if (damage !== undefined) return [damage];
  const entries = kernel.route.dump(listFdb(links.vxlan.index)).map(decodeFdb).filter((entry) => entry?.mac === floodMac);
  const vteps = entries.map((entry) => entry?.vtep).filter((vtep) => vtep !== undefined);
  const missing = segment.peers.filter((peer) => !vteps.some((vtep) => addressesEqual(vtep, peer)));
  const faults = missing.map((peer) => `the flood list of ${links.vxlan.name} lacks the peer ${formatAddress(peer)}`);
  const present = readAddresses(kernel.route, links.bridge.index);
  const lacking = (segment.gateway?.addresses ?? []).filter((address) => !present.has(formatInterfaceAddress(address)));
  return [...faults, ...lacking.map((address) => `the bridge lacks the gateway address ${formatInterfaceAddress(address)}`)];
}

function checkPortFdb(route: Netlink, index: number, port: AttachmentPort): string[] {
  const entries = route.dump(listFdb(index)).map(decodeFdb);
  const isThere = entries.some((entry) => entry?.mac === port.mac && entry.index === index && entry.master !== undefined);
  return isThere ? [] : [`the FDB entry of ${port.mac} at ${port.hostIf} is missing`];
}

function readAddresses(route: Netlink, index: number): Set<string> {
  const entries = route.dump(listAddresses(index)).map(decodeAddress).filter((entry) => entry?.index === index);
  return new Set(entries.map((entry) => (entry === undefined ? '' : formatInterfaceAddress(entry.address))));
}

function checkContainer(route: Netlink, port: AttachmentPort): string[] {
  const [link] = findLinks(route, [port.containerIf]);
  if (link === undefined) return [`the container's interface ${port.containerIf} is missing`];
  const faults: string[] = [];
  if (!link.isUp) faults.push(`the container's interface ${port.containerIf} is down`);
  if (link.kind !== 'veth') faults.push(`the container's interface ${port.containerIf} is no veth`);
  if (link.mac !== port.mac) faults.push(`the container's interface ${port.containerIf} has MAC ${link.mac ?? 'none'} instead of ${port.mac}`);
  if (link.mtu !== port.mtu) faults.push(`the container's interface ${port.containerIf} has MTU ${link.mtu} instead of ${port.mtu}`);
  const present = readAddresses(route, link.index);
  for (const address of port.addresses) {
    if (!present.has(formatInterfaceAddress(address))) faults.push(`the container lacks the address ${formatInterfaceAddress(address)}`);
  }
  return [...faults, ...missingRoutes(route, link.index, port.routes).map((dst) => `the container lacks the route to ${dst}`)];
}

function missingRoutes(route: Netlink, index: number, wanted: readonly Route[]): string[] {
  const missing: string[] = [];
  for (const settings of wanted) {
    const found = readRoutes(route, settings).some((entry) => {
      const sameGateway = settings.gateway === undefined ? entry?.gateway === undefined : entry?.gateway !== undefined && addressesEqual(entry.gateway, settings.gateway);
      return entry?.index === index && sameGateway && formatPrefix(entry.dst) === formatPrefix(settings.dst);
    });
    if (!found) missing.push(formatPrefix(settings.dst));
  }
  return missing;
}

/** The routes of the table a route belongs to; none where the kernel has no such table. */
function readRoutes(route: Netlink, settings: Route): ReturnType<typeof decodeRoute>[] {
  try {
    return route.dump(listRoutes(settings.dst.family, settings.table ?? tableMain)).map(decodeRoute);
  } catch (error) {
    if (isRefusal(error, 'ENOENT')) return [];
    throw error;
  }
}
