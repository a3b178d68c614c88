/**
 * Probe tunnels (overlay/probe.ts): VXLAN devices that are in no bridge, learn nothing, flood nothing and are never fragmented over IPv4. Each peer
 * has one entry, under the MAC that its own probe tunnel has by its VTEP's address. Nothing that comes in reaches the host: the guard drops it by
 * the name's prefix, behind the packet socket that a daemon listens with.
 */
import { WeftError } from '../../errors/weft-error.ts';
import { addressesEqual, macFromAddress, type Address } from '../../netaddr/netaddr.ts';
import { addVxlan, decodeLink, delLink, listLinks, setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { decodeFdb, forgetVxlanFdb, listFdb, putStaticVxlanFdb } from '../../netlink/neighbour.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import { isProbeName, isSegmentName, relayPrefix, sparePrefix, vxlanPrefix } from '../../overlay/names.ts';
import { probeVni, type ProbeTunnel } from '../../overlay/probe.ts';
import { findLinks } from '../find-links.ts';
import { addGuard, exchangeGuard, hasElements } from '../guard/guard.ts';
import { elementsWithout, probeElements, type GuardElement } from '../guard/guard-elements.ts';
import type { Kernel } from '../kernel.ts';
import { doomedGroup, reapLinks } from '../link-removal.ts';
import type { ProbeTunnels } from '../probe-tunnels.ts';
import { misfitOf } from '../tunnel-settings.ts';

/** The probe tunnels of a node. */
export function linuxBridgeProbeTunnels(kernel: Kernel): ProbeTunnels {
  return {
    ensure: (tunnel) => ({ tunnel, index: ensureProbeTunnel(kernel, tunnel).index }),
    removeOthers: (kept) => removeProbeTunnels(kernel, kept),
    namesOf: (vtep) => listOwnTunnels(kernel.route).filter(({ vxlan }) => vxlan?.local !== undefined && addressesEqual(vxlan.local, vtep)).map(({ name }) => name),
  };
}

/** First the link, down: of one that is not there nobody keeps what the guard has for it (collect.ts). */
function ensureProbeTunnel(kernel: Kernel, tunnel: ProbeTunnel): Link {
  const { route, netfilter } = kernel;
  const [present] = findLinks(route, [tunnel.name]);
  const link = present !== undefined && probeMisfit(tunnel, present) === undefined ? present : makeProbeTunnel(route, tunnel, present);
  const elements = probeElements(tunnel);
  const areThere = hasElements(netfilter, elements);
  addGuard(netfilter, elements.filter((_element, index) => areThere[index] !== true));
  const known = peersOf(route, link.index);
  const isIn = (peers: readonly Address[], peer: Address): boolean => peers.some((other) => addressesEqual(other, peer));
  route.request(tunnel.peers.filter((peer) => !isIn(known, peer)).map((peer) => putStaticVxlanFdb(link.index, { mac: macFromAddress(peer), vtep: peer })));
  const gone = known.filter((peer) => !isIn(tunnel.peers, peer));
  requestTolerating(route, gone.map((peer) => forgetVxlanFdb(link.index, macFromAddress(peer))), 'ENOENT');
  if (gone.length > 0) removeElements(kernel, elementsWithout(probeElements({ ...tunnel, peers: gone }), elements));
  if (!link.isUp || link.mtu !== tunnel.underlayMtu) route.request([setLink(tunnel.name, { mtu: tunnel.underlayMtu, isUp: true })]);
  return link;
}

/** Why the link does not do as the probe tunnel, in words; undefined where it does. Its MTU, and whether it is up, is another matter. */
function probeMisfit(tunnel: ProbeTunnel, link: Link): string | undefined {
  const misfit = misfitOf(link, { vni: probeVni, port: tunnel.vtepPort, local: tunnel.vtepAddress });
  if (misfit !== undefined) return misfit;
  if (link.group === doomedGroup) return `${link.name} waits to be deleted`;
  if (link.master !== undefined) return `${link.name} is a port of a bridge`;
  if (link.vxlan?.learning === true) return `${link.name} learns MACs`;
  if (link.mac !== macFromAddress(tunnel.vtepAddress)) return `${link.name} has another MAC`;
  return undefined;
}

function makeProbeTunnel(route: Netlink, tunnel: ProbeTunnel, present: Link | undefined): Link {
  const { name, vtepAddress: local, vtepPort: port, underlayMtu: mtu } = tunnel;
  if (present !== undefined && present.kind !== 'vxlan') throw new WeftError('foreignObject', `Cannot use ${name}: it is a ${present.kind ?? 'device'} that weft did not make`);
  if (present?.group === doomedGroup) reapLinks(route);
  else if (present !== undefined) requestTolerating(route, [delLink(name)], 'ENODEV');
  requestTolerating(route, [addVxlan({ name, vni: probeVni, local, port, mtu, learning: false, isWhole: true })], 'EEXIST');
  const [made] = findLinks(route, [name]);
  if (made === undefined) {
    throw new WeftError('foreignObject', `Cannot probe inside the tunnel: another device of this node has VNI ${probeVni} on UDP port ${port}`, { details: 'remove it, or give it another VNI: ip -d link show type vxlan' });
  }
  route.request([
    setNoLinkLocal(name), setLink(name, { alias: 'weft probes', isArpOff: true, master: 0, mac: macFromAddress(local) }),
    setLink(name, { vxlanLearning: false }),
  ]);
  return made;
}

function peersOf(route: Netlink, index: number): Address[] {
  return route.dump(listFdb(index)).map(decodeFdb).flatMap((entry) => (entry?.index === index && entry.vtep !== undefined ? [entry.vtep] : []));
}

/** weft's VXLAN devices by the form of their names. */
function listOwnTunnels(route: Netlink): Link[] {
  const isOwn = (name: string): boolean => isProbeName(name) || [vxlanPrefix, sparePrefix, relayPrefix].some((prefix) => isSegmentName(name, prefix));
  return route.dump(listLinks()).map(decodeLink).filter(({ kind, name, group }) => kind === 'vxlan' && group !== doomedGroup && isOwn(name));
}

/** Removes probe tunnels but those kept, with what the guard has for them; what it takes to know that is read from their entries. */
export function removeProbeTunnels(kernel: Pick<Kernel, 'route' | 'netfilter' | 'removeLinks'>, kept: readonly ProbeTunnel[] = []): Promise<void> {
  const names = new Set(kept.map(({ name }) => name));
  const gone = listOwnTunnels(kernel.route).filter(({ name }) => isProbeName(name) && !names.has(name));
  const elements = gone.flatMap(({ index, vxlan }) => (vxlan === undefined ? [] : probeElements({ vtepPort: vxlan.port, peers: peersOf(kernel.route, index) })));
  const removed = elementsWithout(elements, kept.flatMap(probeElements));
  const done = kernel.removeLinks(gone.map(({ name }) => name));
  if (removed.length > 0) removeElements(kernel, removed);
  return done;
}

/** With the last tenant the guard's tables have gone. */
function removeElements({ netfilter }: Pick<Kernel, 'netfilter'>, removed: readonly GuardElement[]): void {
  try {
    exchangeGuard(netfilter, { removed });
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
  }
}
