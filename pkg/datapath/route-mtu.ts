/** How large a packet may be on its way to an address, as far as the kernel knows: by its route, what routers have said of it, and the link. */
import type { Address } from '../netaddr/netaddr.ts';
import { decodeAttributes, type NetlinkMessage } from '../netlink/codec.ts';
import { decodeLink, getLinkByIndex } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeRoute, getRouteTo } from '../netlink/route.ts';

// include/uapi/linux/rtnetlink.h
const routeHeaderBytes = 12;
const rtaMetrics = 8;
const metricMtu = 2;

/** Bytes; undefined where no route leads there. Equivalent to: `ip route get ADDRESS`, and the MTU of its link. */
export function findRouteMtu(route: Netlink, address: Address): number | undefined {
  const [outcome] = route.tryRequest([getRouteTo(address)]);
  const message = outcome instanceof NetlinkError ? undefined : outcome?.[0];
  const index = message === undefined ? undefined : decodeRoute(message)?.index;
  if (message === undefined || index === undefined) return undefined;
  const [links] = route.tryRequest([getLinkByIndex(index)]);
  const link = links instanceof NetlinkError || links?.[0] === undefined ? undefined : decodeLink(links[0]).mtu;
  const known = [metricOf(message), link].filter((mtu) => mtu !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function metricOf({ payload }: NetlinkMessage): number | undefined {
  const metrics = decodeAttributes(payload, routeHeaderBytes).get(rtaMetrics);
  return metrics === undefined ? undefined : decodeAttributes(metrics).get(metricMtu)?.readUInt32LE(0);
}
