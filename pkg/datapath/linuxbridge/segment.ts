/** A tenant's bridge and VXLAN device: made with its first attachment on the node, removed with its last. */
import { addressesEqual } from '../../netaddr/netaddr.ts';
import { addBridge, addVxlan, decodeLink, delLink, getLink, setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import type { NetlinkMessage } from '../../netlink/codec.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, relayName, segmentAlias, vxlanName } from '../../overlay/names.ts';
import { probeTunnels, probeVni } from '../../overlay/probe.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { WeftError } from '../../errors/weft-error.ts';
import type { SegmentChange, SegmentRemoval } from '../datapath.ts';
import { shapersOf } from '../bandwidth.ts';
import type { Exchanges } from '../exchange.ts';
import { findLinks } from '../find-links.ts';
import { makeGateway } from '../gateway.ts';
import { doomedGroup, reapLinks, removeLinksNow } from '../link-removal.ts';
import type { Kernel } from '../kernel.ts';
import { addGuard, ensureTables, exchangeGuard, removeGuard } from '../guard/guard.ts';
import { elementsWithout, openedElements, portElements, probeElements, relayElements, segmentElements } from '../guard/guard-elements.ts';
import { isClosed, isRelayed } from '../phases.ts';
import { removeCopies } from './copies.ts';
import { completeFloodList, removeFromFloodList, setFloodList } from './flood-list.ts';
import { neighbourSettings } from './local-neighbours.ts';
import { requireKind } from '../require-kind.ts';
import { removeProbeTunnels } from './probe-tunnel.ts';
import { linkFaults, vxlanSettings } from './segment-faults.ts';
import { asSegmentLinks, linksOf, type SegmentLinks } from './segment-links.ts';
import { makeSpare } from './spare.ts';
import { changeLimits, removeSurplusShapers } from '../limit-change.ts';
import { tenantShapersOf } from '../tenant-bandwidth.ts';
import { tunnelPortOptionsOf } from './tunnel-port.ts';

/** The segment's links, made where they are missing. @throws WeftError foreignObject, kernelRefused */
export function* ensureSegment(kernel: Kernel, segment: Segment): Exchanges<SegmentLinks> {
  const present = yield* findSegmentLinks(segment);
  if (isWhole(segment, present)) return present;
  // Of a burst's first ADDs all find it missing; only one of them makes it.
  const now = asSegmentLinks(segment, findLinks(kernel.route, linksOf(segment).map(({ name }) => name)));
  return isWhole(segment, now) ? now : makeSegment(kernel, segment);
}

function isWhole(segment: Segment, links: SegmentLinks | undefined): links is SegmentLinks {
  return links !== undefined && describeDamage(segment, links) === undefined;
}

function* findSegmentLinks(segment: Segment): Exchanges<SegmentLinks | undefined> {
  try {
    const answers = yield { requests: linksOf(segment).map(({ name }) => getLink(name)) };
    return asSegmentLinks(segment, answers.map(([message]) => decodeLink(message as NetlinkMessage)));
  } catch (error) {
    if (isRefusal(error, 'ENODEV')) return undefined;
    throw error;
  }
}

/** What keeps a segment's links from working as they stand, in words; undefined when nothing does. */
function describeDamage(segment: Segment, links: SegmentLinks): string | undefined {
  return linkFaults(segment, links)[0]?.what;
}

/**
 * Makes what is missing, in an order in which nothing is open at any moment: links down, guard, flood list, spare tunnel, links up.
 * Another process may be doing the same; whoever comes second finds the object and goes on.
 */
function makeSegment(kernel: Kernel, segment: Segment): SegmentLinks {
  const { route } = kernel;
  const names = { bridge: bridgeName(segment.vni), vxlan: vxlanName(segment.vni) };
  reapInterrupted(route, linksOf(segment).map(({ name }) => name));
  const alias = segmentAlias(segment);
  ensureTables(kernel.netfilter, segmentElements(segment));
  addGuard(kernel.netfilter, segmentElements(segment));
  requestTolerating(route, [addBridge({ name: names.bridge, mac: gatewayMac(segment.vni), mtu: segment.overlayMtu })], 'EEXIST');
  const bridge = requireKind(findLinks(route, [names.bridge])[0], names.bridge, 'bridge');
  removeUnfitVxlan(route, segment, bridge);
  // The kernel has one device of a VNI; whoever probes finds out.
  if (segment.vni === probeVni) void removeProbeTunnels({ route, netfilter: kernel.netfilter, removeLinks: (gone) => removeLinksNow(route, gone) });
  requestTolerating(route, [addVxlan({ name: names.vxlan, ...vxlanSettings(segment), mtu: segment.underlayMtu, learning: true, master: bridge.index })], 'EEXIST');
  const [found] = findLinks(route, [names.vxlan]);
  if (found === undefined) throw portTaken(segment);
  const vxlan = requireKind(found, names.vxlan, 'vxlan');
  route.request([
    setNoLinkLocal(names.bridge),
    setNoLinkLocal(names.vxlan),
    setLink(names.vxlan, { alias, mtu: segment.underlayMtu, master: bridge.index }),
    // Behind the port: a bridge takes its ports' MTU until it has been given one that is another (br_if.c, br_mtu_auto_adjust).
    setLink(names.bridge, { alias, mtu: segment.overlayMtu }),
  ]);
  if (hasSpare(segment)) completeFloodList(route, vxlan.index, segment.peers);
  else setFloodList(route, vxlan.index, segment.peers);
  const spare = hasSpare(segment) ? { spare: makeSpare(route, segment, bridge) } : {};
  // Of the others the kernel's defaults are what is wanted.
  if (hasSpare(segment)) route.request([setLink(names.vxlan, { port: tunnelPortOptionsOf(segment) })]);
  route.request([setLink(names.vxlan, { isUp: true }), setLink(names.bridge, { isUp: true })]);
  if (segment.gateway !== undefined) makeGateway(kernel, segment, bridge.index);
  return { bridge: { ...bridge, isUp: true }, vxlan: { ...vxlan, isUp: true, master: bridge.index }, ...spare };
}

/** Links of an earlier segment that are doomed will be gone at any moment, by whoever's hand: they must go before they are made anew. */
function reapInterrupted(route: Netlink, names: readonly string[]): void {
  if (findLinks(route, names).some((link) => link?.group === doomedGroup)) reapLinks(route);
}

/** A VXLAN device's VNI, address and port cannot be changed: one that does not fit is replaced. */
function removeUnfitVxlan(route: Netlink, segment: Segment, bridge: Link): void {
  const [vxlan] = findLinks(route, [vxlanName(segment.vni)]);
  if (vxlan === undefined) return;
  const whole = { isUp: true };
  const fit = { ...vxlan, ...whole, master: bridge.index, mtu: segment.underlayMtu };
  if (describeDamage(segment, { bridge: { ...bridge, ...whole }, vxlan: fit }) === undefined) return;
  requireKind(vxlan, vxlan.name, 'vxlan');
  requestTolerating(route, [delLink(vxlan.name)], 'ENODEV');
}

/** EEXIST and yet no device of that name: another device has the VNI on this port (drivers/net/vxlan, vxlan_dev_configure). */
function portTaken(segment: Segment): WeftError {
  return new WeftError('foreignObject', `Cannot make the VXLAN device of tenant ${segment.tenant}: another device of this node has VNI ${segment.vni} on UDP port ${segment.vtepPort}`, {
    details: 'choose another vni, or remove the other device: ip -d link show type vxlan',
  });
}

/** Brings a segment that is in place in line with changed peers or gateway. */
export function updateSegment(kernel: Kernel, change: SegmentChange): void {
  const { segment, previous, others } = change;
  const { bridge, vxlan } = makeSegment(kernel, segment);
  const kept = [segment, ...others].flatMap(segmentElements);
  removeGuard(kernel.netfilter, elementsWithout(segmentElements(previous), kept));
  // What else is on a flood list that zebra writes too has just come there.
  if (hasSpare(segment)) removeFromFloodList(kernel.route, vxlan.index, { peers: previous.peers.filter((peer) => !segment.peers.some((other) => addressesEqual(other, peer))) });
  else setFloodList(kernel.route, vxlan.index, segment.peers);
  changeLimits(kernel, change);
  removeSurplusShapers(kernel, change);
  if (previous.gateway === undefined) return;
  if (segment.gateway === undefined) makeGateway(kernel, segment, bridge.index);
  // With its last IPv4 address a link loses all its IPv4 neighbours, those written down for good among them (devinet.c, inetdev_destroy).
  kernel.route.request(change.ports.filter((port) => !isClosed(port)).flatMap((port) => neighbourSettings({ segment, port }, bridge.index)));
}

/** Removes a segment's links and what the guard knows of it, and the ports that are left on it. The guard's tables stay: without them a port that is not gone yet would be open. */
export function removeSegment(kernel: Kernel, removal: SegmentRemoval): Promise<void> {
  const { segment, ports = [], remaining } = removal;
  const stillProbed = probeTunnels(remaining);
  const unprobed = probeTunnels([segment]).filter(({ name }) => !stillProbed.some((other) => other.name === name));
  const links = [
    ...unprobed.map(({ name }) => ({ name, kind: 'vxlan' })),
    ...ports.flatMap((port) => [{ name: port.hostIf, kind: 'veth' }, ...shapersOf(port).map((name) => ({ name, kind: 'ifb' }))]),
    { name: relayName(segment.vni), kind: 'vxlan' },
    ...tenantShapersOf(segment).map((name) => ({ name, kind: 'ifb' })),
    ...linksOf(segment).reverse(),
  ];
  const found = findLinks(kernel.route, links.map(({ name }) => name));
  const own = links.filter(({ kind }, index) => found[index]?.kind === kind);
  const gone = kernel.removeLinks(own.map(({ name }) => name));
  removeSegmentGuard(kernel, removal);
  const elements = unprobed.filter(({ name }) => own.some((link) => link.name === name)).flatMap(probeElements);
  if (elements.length > 0) exchangeGuard(kernel.netfilter, { removed: elements });
  for (const port of ports.filter(isRelayed)) removeCopies(kernel.netfilter, port);
  return gone;
}

function removeSegmentGuard(kernel: Kernel, { segment, remaining, ports = [] }: SegmentRemoval): void {
  const elements = [...segmentElements(segment), ...ports.flatMap((port) => [...portElements(port, { hasGateway: segment.gateway !== undefined }), ...relayElements(segment, port)])];
  const opened = openedElements({ segments: [segment], ports });
  if (opened.length > 0) exchangeGuard(kernel.netfilter, { removed: opened });
  removeGuard(kernel.netfilter, elementsWithout(elements, remaining.flatMap(segmentElements)));
}
