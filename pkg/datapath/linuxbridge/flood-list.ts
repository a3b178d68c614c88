import { addressesEqual, type Address } from '../../netaddr/netaddr.ts';
import { appendFlood, decodeFdb, delFlood, floodMac, listFdb, type VxlanDestination } from '../../netlink/neighbour.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';

/** Makes a VXLAN device's flood list just these VTEPs; `other`: their port and VNI, where they are not the device's own. */
export function setFloodList(route: Netlink, index: number, peers: readonly Address[], other?: VxlanDestination['other']): void {
  const present = route.dump(listFdb(index)).map(decodeFdb).filter((entry) => entry?.mac === floodMac && entry.index === index).map((entry) => entry?.vtep).filter((vtep) => vtep !== undefined);
  const isIn = (list: readonly Address[], address: Address): boolean => list.some((known) => addressesEqual(known, address));
  requestTolerating(route, peers.filter((peer) => !isIn(present, peer)).map((peer) => appendFlood(index, peer, other)), 'EEXIST');
  removeFromFloodList(route, index, { peers: present.filter((vtep) => !isIn(peers, vtep)), ...(other === undefined ? {} : { other }) });
}

/** Puts VTEPs on a flood list that zebra writes as well: one that weft does not know is one that it will hear of in a moment. */
export function completeFloodList(route: Netlink, index: number, peers: readonly Address[]): void {
  requestTolerating(route, peers.map((peer) => appendFlood(index, peer)), 'EEXIST');
}

/** Takes VTEPs off a flood list, those that are on it. */
export function removeFromFloodList(route: Netlink, index: number, { peers, other }: { readonly peers: readonly Address[]; readonly other?: VxlanDestination['other'] }): void {
  requestTolerating(route, peers.map((vtep) => delFlood(index, vtep, other)), 'ENOENT');
}
