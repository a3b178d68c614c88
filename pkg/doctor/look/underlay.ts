/** Looks at what carries the tunnels. */
import { addressesEqual, formatAddress, type Address } from '../../netaddr/netaddr.ts';
import { decodeAddress, listAddresses } from '../../netlink/address.ts';
import { hasCarrier } from '../../netlink/carrier.ts';
import { decodeLink, listLinks } from '../../netlink/link.ts';
import { NetlinkError } from '../../netlink/netlink-error.ts';
import { decodeRoute, getRouteTo } from '../../netlink/route.ts';
import type { Kernel } from '../../datapath/kernel.ts';
import type { Segment } from '../../overlay/model.ts';
import { contentOf } from '../../report/node-state.ts';
import type { Peer, UnderlayLink, Vtep } from '../underlay.ts';
import type { Surroundings } from './surroundings.ts';

/** The ends of the tunnels of all tenants that are attached here. @throws NetlinkError */
export function lookAtUnderlay({ kernel, node }: Pick<Surroundings, 'kernel' | 'node'>): readonly Vtep[] {
  const segments = contentOf(node).segments.map(({ segment }) => segment);
  const links = readLinks(kernel);
  const holders = kernel.route.dump(listAddresses()).map(decodeAddress).filter((entry) => entry !== undefined);
  const byAddress = new Map(segments.map((segment) => [formatAddress(segment.vtepAddress), segment.vtepAddress]));
  return [...byAddress.values()].map((address) => {
    const own = segments.filter((segment) => addressesEqual(segment.vtepAddress, address));
    const holder = holders.find((entry) => addressesEqual(entry.address.address, address));
    return {
      address,
      link: holder === undefined ? undefined : links.get(holder.index),
      tenants: own.map(({ tenant, encapsulation, overlayMtu }) => ({ tenant, encapsulation: encapsulation ?? 'vxlan', overlayMtu })),
      peers: peersOf(own).map((peer) => lookAtPeer(kernel, peer, links)),
    };
  });
}

/** Each peer of the segments once. */
export function peersOf(segments: readonly Segment[]): readonly Address[] {
  return [...new Map(segments.flatMap(({ peers }) => peers).map((peer) => [formatAddress(peer), peer])).values()];
}

function readLinks({ route, readSysctl }: Kernel): ReadonlyMap<number, UnderlayLink> {
  const all = Number(readSysctl(['ipv4', 'conf', 'all', 'rp_filter']) ?? 0);
  return new Map(route.dump(listLinks()).map((message) => {
    const { index, name, isUp, mtu } = decodeLink(message);
    // Documentation/networking/ip-sysctl.rst, rp_filter: the larger of the two is in force.
    const reversePath = Math.max(all, Number(readSysctl(['ipv4', 'conf', name, 'rp_filter']) ?? 0));
    return [index, { index, name, isUp, mtu, hasCarrier: hasCarrier(message), reversePath }];
  }));
}

function lookAtPeer({ route }: Kernel, address: Address, links: ReadonlyMap<number, UnderlayLink>): Peer {
  const [outcome] = route.tryRequest([getRouteTo(address)]);
  const found = outcome === undefined || outcome instanceof NetlinkError || outcome[0] === undefined ? undefined : decodeRoute(outcome[0]);
  if (found?.isUnicast !== true) return { address, route: undefined };
  // A path MTU that ICMP has told of is in it too.
  const { index, mtu } = found;
  return { address, route: { link: index === undefined ? undefined : links.get(index), ...(mtu === undefined ? {} : { mtu }) } };
}
