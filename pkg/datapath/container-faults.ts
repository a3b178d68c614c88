/**
 * What can be wrong inside a container. It is the container's own, and it may have CAP_NET_ADMIN: what it needs to have a
 * network is put back (addresses, routes, the MAC without which its guard drops everything); what it may have chosen (an
 * interface that is down, renamed or moved, a smaller MTU, a route by another interface) is said and left.
 *
 * An interface that it has put into a bridge leads to somebody behind that: a guest, which has the MAC and the addresses, and has them from the
 * interface (KubeVirt's bridge binding). Put back there, they would take the guest's frames from it.
 */
import { addressesEqual, formatInterfaceAddress, formatPrefix, type InterfaceAddress } from '../netaddr/netaddr.ts';
import { addAddress, decodeAddress, delAddress, listAddresses } from '../netlink/address.ts';
import type { Link } from '../netlink/link.ts';
import { isRefusal } from '../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';
import { addRoute, decodeRoute, listRoutes, replaceRoute, tableMain, type KernelRoute } from '../netlink/route.ts';
import type { AttachmentPort, Route } from '../overlay/model.ts';
import { about, type Fault, type RouteHands } from './fault.ts';
import { changed } from './link-faults.ts';
import { findLinks } from './find-links.ts';

type ContainerFault = Fault<RouteHands>;

/** Everything that is wrong inside the container; `route` is a socket of its namespace. */
export function containerFaults(route: Netlink, port: AttachmentPort): ContainerFault[] {
  const name = port.containerIf;
  const [link] = findLinks(route, [name]);
  if (link === undefined) return [{ what: `the container's interface ${name} is missing` }];
  // Of a bridge or another master, whoever is behind that decides; but what is too large for the overlay is so for anybody.
  if (link.master !== undefined) return link.mtu > port.mtu ? about('mtu', mtuFaults(port, link)) : [];
  const faults = [...linkFaults(port, link), ...about('mtu', mtuFaults(port, link)), ...about('address', addressFaults(route, port, link)), ...about('route', routeFaults(route, port, link))];
  if (link.kind === 'veth' && link.isUp) return faults;
  // On a link that is down the kernel takes no route and keeps no IPv6 address: they come back when it is up.
  return faults.map(({ what, aspect = 'link' }) => ({ what, aspect }));
}

function linkFaults(port: AttachmentPort, link: Link): ContainerFault[] {
  const name = port.containerIf;
  const faults: ContainerFault[] = [];
  if (!link.isUp) faults.push({ what: `the container's interface ${name} is down` });
  if (link.kind !== 'veth') faults.push({ what: `the container's interface ${name} is no veth` });
  if (link.mac !== port.mac) faults.push(changed(name, { what: `the container's interface ${name} has MAC ${link.mac ?? 'none'} instead of ${port.mac}`, done: 'set back', change: { mac: port.mac } }));
  return faults;
}

function mtuFaults(port: AttachmentPort, link: Link): ContainerFault[] {
  const name = port.containerIf;
  if (link.mtu === port.mtu) return [];
  const what = `the container's interface ${name} has MTU ${link.mtu} instead of ${port.mtu}`;
  return [link.mtu > port.mtu ? changed(name, { what, done: 'lowered', change: { mtu: port.mtu } }) : { what }];
}

function addressFaults(route: Netlink, port: AttachmentPort, { index }: Link): ContainerFault[] {
  if (port.addresses.length === 0) return [];
  const present = route.dump(listAddresses(index)).map(decodeAddress).filter((entry) => entry?.index === index).flatMap((entry) => (entry === undefined ? [] : [entry.address]));
  const texts = new Set(present.map(formatInterfaceAddress));
  return port.addresses.filter((address) => !texts.has(formatInterfaceAddress(address))).map((address): ContainerFault => {
    const others = present.filter((other) => addressesEqual(other.address, address.address));
    return { what: `the container lacks the address ${formatInterfaceAddress(address)}`, remedy: { done: 'added', apply: (hands) => putAddress(hands.route, index, { address, others }) } };
  });
}

/** `others`: the same address with other lengths. Of IPv6 the kernel takes an address only once (net/ipv6/addrconf.c, ipv6_add_addr). */
function putAddress(route: Netlink, index: number, { address, others }: { address: InterfaceAddress; others: readonly InterfaceAddress[] }): void {
  if (address.address.family === 6) requestTolerating(route, others.map((other) => delAddress(index, other)), 'EADDRNOTAVAIL');
  requestTolerating(route, [addAddress(index, address)], 'EEXIST');
}

/** The kernel's priority of a route that was given none (net/ipv6/route.c, IP6_RT_PRIO_USER). */
const defaultPriorities = { 4: 0, 6: 1024 } as const;

function routeFaults(route: Netlink, port: AttachmentPort, { index }: Link): ContainerFault[] {
  const tables = new Map<string, KernelRoute[]>();
  return port.routes.flatMap((wanted): ContainerFault[] => {
    const table = wanted.table ?? tableMain;
    const key = `${wanted.dst.family} ${table}`;
    const present = tables.get(key) ?? readRoutes(route, wanted);
    tables.set(key, present);
    const same = present.filter((entry) => formatPrefix(entry.dst) === formatPrefix(wanted.dst));
    if (same.some((entry) => entry.index === index && isSameGateway(entry, wanted))) return [];
    const what = `the container lacks the route to ${formatPrefix(wanted.dst)}`;
    const rival = same.find((entry) => entry.priority === (wanted.priority ?? defaultPriorities[wanted.dst.family]));
    if (rival === undefined) return [{ what, remedy: { done: 'added', apply: (hands) => requestTolerating(hands.route, [addRoute(index, wanted)], 'EEXIST') } }];
    if (rival.index !== index) return [{ what }];
    return [{ what, remedy: { done: 'put in the place of another one', apply: (hands) => void hands.route.request([replaceRoute(index, wanted)]) } }];
  });
}

function isSameGateway(entry: KernelRoute, { gateway }: Route): boolean {
  if (gateway === undefined) return entry.gateway === undefined;
  return entry.gateway !== undefined && addressesEqual(entry.gateway, gateway);
}

/** The routes of the table a route belongs to; none where the kernel has no such table. */
function readRoutes(route: Netlink, { dst, table = tableMain }: Route): KernelRoute[] {
  try {
    return route.dump(listRoutes(dst.family, table)).map(decodeRoute).filter((entry) => entry !== undefined);
  } catch (error) {
    if (isRefusal(error, 'ENOENT')) return [];
    throw error;
  }
}
