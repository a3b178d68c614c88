/** A container's port: a veth pair, the container's end made straight into its namespace under its final name. */
import type { NetlinkRequest } from '../../netlink/codec.ts';
import type { BridgePortOptions } from '../../netlink/bridge-options.ts';
import { setLink, setNoLinkLocal, type LinkChange } from '../../netlink/link.ts';
import { replacePortFdb } from '../../netlink/neighbour.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { SystemCallError } from '../../sys/libc.ts';
import { hasChosenMac, locationFrame, neighbourFrame } from '../announcement.ts';
import { portsExhausted, type AttachedLink, type PortRequest } from '../datapath.ts';
import { shapersOf } from '../bandwidth.ts';
import { exchangeAside, exchangeNow, type Exchanges } from '../exchange.ts';
import { limitInside, standsInside } from '../inside-limit.ts';
import type { Kernel } from '../kernel.ts';
import { addGuard, exchangeGuard, hasElements, removeGuard } from '../guard/guard.ts';
import { openElement, portElements, type GuardElement } from '../guard/guard-elements.ts';
import type { GuardQueue } from '../guard/guard-queue.ts';
import { containerEnd, makeVeth, type HostEnd } from '../veth.ts';
import { isClosed, isWaiting } from '../phases.ts';
import { limitPort } from '../port-limits.ts';
import { removeCopies } from './copies.ts';
import { elsewhere } from './gate.ts';
import { forgetNeighbours, neighbourSettings } from './local-neighbours.ts';
import { letSourceOpen } from './opener.ts';
import { asMover, ensureRelay, openInlet, releaseRelay } from './relay.ts';
import { ensureSegment } from './segment.ts';
import type { SegmentLinks } from './segment-links.ts';

/** BR_MAX_PORTS is 1 << 10, and port number 0 is not used (net/bridge/br_private.h). One port is the VXLAN device's. */
const bridgePortsMax = 1023;
export const containersMax: number = bridgePortsMax - 1;

/**
 * Makes the port. The guard comes first, so that the port is never open; the host's end is up before the container's,
 * so that what that announces has a way out.
 */
export function* attachPort(kernel: Kernel, request: PortRequest): Exchanges<AttachedLink> {
  const links = yield* ensureSegment(kernel, request.segment);
  addGuard(kernel.netfilter, guardOf(request));
  prepareGate(kernel, request, links);
  return yield* plugPort(kernel, request, links);
}

/** As attachPort(), beside the event loop and together with others. */
export async function attachPortAside(kernel: Kernel, guard: GuardQueue, request: PortRequest): Promise<AttachedLink> {
  const links = await exchangeAside(kernel, ensureSegment(kernel, request.segment));
  await guard.add(guardOf(request));
  prepareGate(kernel, request, links);
  return exchangeAside(kernel, plugPort(kernel, request, links));
}

function guardOf({ port, segment }: PortRequest): GuardElement[] {
  return portElements(port, { hasGateway: segment.gateway !== undefined });
}

/** A port that waits has its relay, and is known to be elsewhere, before it is there. */
function prepareGate({ route, netfilter }: Kernel, { segment, port }: PortRequest, { vxlan }: SegmentLinks): void {
  const mover = asMover({ segment, port });
  if (mover === undefined || !isWaiting(port)) return;
  openInlet(route, segment, ensureRelay({ route, netfilter }, mover));
  route.request(elsewhere(mover, vxlan.index));
}

/** The part behind the guard. */
function* plugPort(kernel: Kernel, request: PortRequest, { bridge, vxlan }: SegmentLinks): Exchanges<AttachedLink> {
  const { port } = request;
  const host = yield* plugVeth(kernel, request, bridge.index);
  limitPort(kernel.route, { ...request, index: host.index });
  if (port.bandwidth?.egress !== undefined && standsInside(request.segment)) kernel.withRouteIn(request.netnsFd, (route) => limitInside(route, port, host.peerIndex));
  yield { requests: [...hostEndSettings(request, host.index), ...(isClosed(port) ? [] : neighbourSettings(request, bridge.index))] };
  yield containerEnd(request, host.peerIndex);
  letSourceOpen(kernel.route, port);
  if (!isClosed(port)) announce(kernel, request, { bridge, vxlan });
  return { hostMac: host.mac };
}

function* plugVeth(kernel: Kernel, request: PortRequest, bridge: number): Exchanges<HostEnd> {
  try {
    return yield* makeVeth(kernel, request, bridge);
  } catch (error) {
    // The bridge says EXFULL (br_if.c, br_add_if) when it has no port number left.
    if (isRefusal(error, 'EXFULL')) throw portsExhausted(request.port.vni, containersMax);
    throw error;
  }
}

/**
 * Learning is off on the port: its only MAC is written down here and guarded at the port. Unknown unicast is not flooded
 * to it either, since every MAC behind a local port is known. The host does not speak ARP on it: that is below the guard of
 * what reaches the host past the bridge. With a control plane the bridge answers for remote endpoints, which it does not do out of a port with
 * ARP off (net/ipv4/arp.c, arp_send_dst); there the host answers for none of its own addresses instead. Of a closed port see gate.ts.
 */
function hostEndSettings({ segment, port }: PortRequest, index: number): NetlinkRequest[] {
  const { hostIf, mac, alias } = port;
  const options: BridgePortOptions = isWaiting(port) ? { learning: true, unicastFlood: false, multicastFlood: false, broadcastFlood: false } : { learning: false, unicastFlood: false };
  const silence: LinkChange = hasSpare(segment) ? { isArpIgnored: true } : { isArpOff: true };
  return [
    setNoLinkLocal(hostIf),
    ...(isClosed(port) ? [] : [replacePortFdb(index, mac)]),
    setLink(hostIf, { alias, port: options, isUp: true, ...silence }),
  ];
}

/**
 * The container works without: others learn from its first frame. Out of the bridge's own device a frame goes to all of its ports; but
 * what announces an address does not go to one that suppresses it (br_arp_nd_proxy.c), and is sent there as well.
 */
function announce(kernel: Kernel, { segment, port }: Pick<PortRequest, 'segment' | 'port'>, links: SegmentLinks): void {
  announceWith(kernel, { segment, port, addresses: hasChosenMac(port) ? port.addresses : [] }, links);
}

interface Announcement extends Pick<PortRequest, 'segment' | 'port'> {
  readonly addresses: AttachmentPort['addresses'];
  readonly isMoved?: boolean;
}

/**
 * Tells all of the endpoint's place, and of its MAC those that may remember another for the addresses; where the network refuses that, they hear of it
 * later. Of an endpoint that has moved nobody on this node is told (`isMoved`): its MAC is what it was, and out of its own port too the frames would say
 * to a bridge behind it, as KubeVirt makes one, that its machine is not there.
 */
export function announceWith(kernel: Kernel, { segment, port: { mac, vni }, addresses, isMoved = false }: Announcement, { bridge, vxlan, spare }: SegmentLinks): void {
  const frames = addresses.map(({ address }) => neighbourFrame(mac, address));
  const hasPeers = segment.peers.length > 0;
  try {
    for (const frame of frames) {
      if (!isMoved) kernel.sendFrame(bridge.index, frame);
      if ((isMoved || spare !== undefined) && hasPeers) kernel.sendFrame(vxlan.index, frame);
    }
    if (hasPeers) kernel.sendFrame(vxlan.index, locationFrame(mac, gatewayMac(vni)));
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
  }
}

/**
 * Removes the port and its guard, wherever attachPort() got to. With the host's end the container's goes too. The segment,
 * where it is known, tells which elements there are: asking for one too many costs an aborted batch. The guard's elements go
 * while the link still stands: a port without them is closed.
 */
export function detachPort(kernel: Kernel, port: AttachmentPort, segment?: Segment): Promise<void> {
  const gone = Promise.all([kernel.removeLinksSoon([port.hostIf, ...shapersOf(port)]), endMoves(kernel, port, segment)]).then(() => undefined);
  // Whoever waits for it hears of it; here the guard may be what fails.
  gone.catch(() => undefined);
  removeGuard(kernel.netfilter, possibleElements(port, segment));
  exchangeNow(kernel, forgetNeighbours(port, segment));
  return gone;
}

/** As detachPort(), with the guard's elements of others: the port is closed when the promise is fulfilled. */
export async function detachPortSoon(kernel: Kernel, guard: GuardQueue, { port, segment }: { readonly port: AttachmentPort; readonly segment?: Segment | undefined }): Promise<void> {
  await Promise.all([
    kernel.removeLinksSoon([port.hostIf, ...shapersOf(port)]), endMoves(kernel, port, segment), guard.remove(possibleElements(port, segment)), exchangeAside(kernel, forgetNeighbours(port, segment)),
  ]);
}

/** What an attachment that moved has beside its port. */
export function endMoves(kernel: Kernel, port: AttachmentPort, segment: Segment | undefined): Promise<void> {
  if (port.migration === undefined) return Promise.resolve();
  if (isWaiting(port)) exchangeWaiting(kernel, port);
  removeCopies(kernel.netfilter, port);
  return releaseRelay(kernel, { port, segment });
}

/** Its machine may have opened it. */
function exchangeWaiting({ netfilter }: Kernel, port: AttachmentPort): void {
  if (hasElements(netfilter, [openElement(port)])[0] === true) exchangeGuard(netfilter, { removed: [openElement(port)] });
}

function possibleElements(port: AttachmentPort, segment: Segment | undefined): GuardElement[] {
  return portElements(port, { hasGateway: segment === undefined || segment.gateway !== undefined });
}

/** The elements of an attachment whose tenant's settings changed. */
export function refreshPortGuard(kernel: Kernel, port: AttachmentPort, segment: Segment): void {
  const hasGateway = segment.gateway !== undefined;
  addGuard(kernel.netfilter, portElements(port, { hasGateway }));
  if (!hasGateway) removeGuard(kernel.netfilter, portElements(port, { hasGateway: true }).filter((element) => element.set === 'gateway_ports'));
}
