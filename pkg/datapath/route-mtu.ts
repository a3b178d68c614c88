/** How large a packet may be on its way to an address, as far as the kernel knows: by its route, what routers have said of it, and the link. */
import type { Address } from '../netaddr/netaddr.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { findEgress } from './egress.ts';

/** Bytes; undefined where no route leads there. Equivalent to: `ip route get ADDRESS`, and the MTU of its link. */
export function findRouteMtu(route: Netlink, address: Address): number | undefined {
  const egress = findEgress(route, address);
  return egress === undefined ? undefined : Math.min(egress.mtu ?? egress.link.mtu, egress.link.mtu);
}
