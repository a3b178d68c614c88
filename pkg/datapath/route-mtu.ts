/** How large a packet may be on its way to an address, as far as the kernel knows: by its route, what routers have said of it, and the link. */
import type { Address } from '../netaddr/netaddr.ts';
import { decodeLink, getLinkByIndex } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeRoute, getRouteTo } from '../netlink/route.ts';

/** Bytes; undefined where no route leads there. Equivalent to: `ip route get ADDRESS`, and the MTU of its link. */
export function findRouteMtu(route: Netlink, address: Address): number | undefined {
  const [outcome] = route.tryRequest([getRouteTo(address)]);
  const found = outcome === undefined || outcome instanceof NetlinkError || outcome[0] === undefined ? undefined : decodeRoute(outcome[0]);
  if (found?.index === undefined) return undefined;
  const [links] = route.tryRequest([getLinkByIndex(found.index)]);
  const link = links instanceof NetlinkError || links?.[0] === undefined ? undefined : decodeLink(links[0]).mtu;
  const known = [found.mtu, link].filter((mtu) => mtu !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
