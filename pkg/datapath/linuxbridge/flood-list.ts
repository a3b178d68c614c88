import { addressesEqual, type Address } from '../../netaddr/netaddr.ts';
import { appendFlood, decodeFdb, delFlood, floodMac, listFdb, type VxlanDestination } from '../../netlink/neighbour.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';

/** Makes a VXLAN device's flood list just these VTEPs; `other`: their port and VNI, where they are not the device's own. */
export function setFloodList(route: Netlink, index: number, peers: readonly Address[], other?: VxlanDestination['other']): void {
  const present = route.dump(listFdb(index)).map(decodeFdb).filter((entry) => entry?.mac === floodMac && entry.index === index).map((entry) => entry?.vtep).filter((vtep) => vtep !== undefined);
  const isIn = (list: readonly Address[], address: Address): boolean => list.some((known) => addressesEqual(known, address));
  requestTolerating(route, peers.filter((peer) => !isIn(present, peer)).map((peer) => appendFlood(index, peer, other)), 'EEXIST');
  requestTolerating(route, present.filter((vtep) => !isIn(peers, vtep)).map((vtep) => delFlood(index, vtep, other)), 'ENOENT');
}
