/**
 * Carrying another MTU into what is there, while packets pass. The order keeps connections whole: nobody may send what the next device on its way does not
 * take, so what sends is lowered first and raised last. Of a veth pair the container's end sends; of a segment the gateway does, and the tunnel
 * device takes what all of them send.
 *
 * An interface whose MTU the container has lowered itself stays as it is, as long as it fits. One that it has put into a bridge is a guest's
 * behind that: it is lowered where it is too large, and never raised. What else bears its name is the container's own.
 */
import { isRefusal } from '../netlink/netlink-error.ts';
import { setLink, type Link } from '../netlink/link.ts';
import { requestTolerating, type Netlink } from '../netlink/netlink-socket.ts';
import { decodeQdisc, listQdiscs, replaceTokenBucket } from '../netlink/qdisc.ts';
import type { AttachmentPort, RateLimit, Segment } from '../overlay/model.ts';
import { shaperName } from '../overlay/names.ts';
import { findLinks } from './find-links.ts';
import { insideContainer } from './inside-container.ts';
import type { Kernel } from './kernel.ts';
import type { PortToRepair } from './repair.ts';
import { tokenBucketOf } from './shaper.ts';

/** What every datapath does to follow another MTU. In a transaction. */
export interface DatapathResize {
  /**
   * Gives the links of a segment that is in place its MTUs: tunnel devices the underlay's, the bridge or gateway the overlay's. No error where one
   * is missing. What a switch daemon does is in train when the call returns. @throws WeftError where the kernel refuses
   */
  resizeSegment(segment: Segment): Promise<void>;
  /**
   * Gives both ends of a port another MTU than `port.mtu`; returns what is to be written down. No error where one of them, or the namespace,
   * is gone. @throws WeftError where the kernel refuses
   */
  resizePort(request: Pick<PortToRepair, 'port' | 'netns' | 'netnsId'>, mtu: number): ResizedPort;
}

export interface ResizedPort {
  readonly port: AttachmentPort;
  /** Bytes; the smaller MTU that the container has chosen itself and keeps. */
  readonly keptMtu?: number;
}

/** DatapathResize.resizePort() of any datapath: a port is a veth pair everywhere. */
export function resizePort(kernel: Pick<Kernel, 'route' | 'withRouteIn'>, request: Pick<PortToRepair, 'port' | 'netns' | 'netnsId'>, mtu: number): ResizedPort {
  const { port } = request;
  const setHost = (): void => requestTolerating(kernel.route, [setLink(port.hostIf, { mtu })], 'ENODEV');
  if (mtu > port.mtu) {
    growShapers(kernel.route, { ...port, mtu });
    setHost();
  }
  const inside = insideContainer(request, (netnsFd) => kernel.withRouteIn(netnsFd, (route) => resizeInside(route, port, mtu)));
  if (mtu <= port.mtu) setHost();
  const { ownMtu, keptMtu } = inside ?? {};
  const { ownMtu: _before, ...rest } = port;
  return { port: { ...rest, mtu, ...(ownMtu === undefined ? {} : { ownMtu }) }, ...(keptMtu === undefined ? {} : { keptMtu }) };
}

/** A limit drops what is larger than it was made for. Of those that are there; the others are made for the new MTU by whoever makes them. */
function growShapers(route: Netlink, port: AttachmentPort): void {
  const { ingress, egress } = port.bandwidth ?? {};
  const places = [...(ingress === undefined ? [] : [{ name: port.hostIf, limit: ingress }]), ...(egress === undefined ? [] : [{ name: shaperName(port.hostIf), limit: egress }])];
  if (places.length === 0) return;
  for (const [position, link] of findLinks(route, places.map(({ name }) => name)).entries()) grow(route, { ...places[position], mtu: port.mtu, index: link?.index });
}

function growInside(route: Netlink, { mtu, bandwidth }: AttachmentPort, index: number): void {
  if (bandwidth?.egress !== undefined) grow(route, { index, mtu, limit: bandwidth.egress });
}

function grow(route: Netlink, { index, mtu, limit }: { readonly index?: number | undefined; readonly mtu: number; readonly limit?: RateLimit }): void {
  if (index === undefined || limit === undefined) return;
  const { rate } = tokenBucketOf(limit, mtu);
  const isLimited = route.dump(listQdiscs(index)).map(decodeQdisc).some((qdisc) => qdisc.index === index && qdisc.isRoot && qdisc.rate === rate);
  if (isLimited) route.request([replaceTokenBucket(index, tokenBucketOf(limit, mtu))]);
}

interface Inside {
  readonly ownMtu?: number;
  readonly keptMtu?: number;
}

function resizeInside(route: Netlink, port: AttachmentPort, mtu: number): Inside {
  const [link] = findLinks(route, [port.containerIf]);
  if (link === undefined) return {};
  if (mtu > port.mtu) growInside(route, { ...port, mtu }, link.index);
  const { target, ...inside } = planInside(port, link, mtu);
  if (target !== link.mtu) route.request([setLink(port.containerIf, { mtu: target })]);
  return inside;
}

/**
 * What the container's end is to have, and what is to be remembered of its own choice. An end that has the new MTU already was given it before a
 * process died that could not write it down. Pure.
 */
export function planInside(port: Pick<AttachmentPort, 'mtu' | 'ownMtu'>, link: Pick<Link, 'mtu' | 'kind' | 'master'>, mtu: number): Inside & { readonly target: number } {
  if (link.kind !== 'veth') return { target: link.mtu, ...remembered(port.ownMtu, mtu) };
  const isOwnChoice = link.mtu < port.mtu;
  if (link.mtu > mtu) return { target: mtu, ...(isOwnChoice ? { ownMtu: link.mtu } : remembered(port.ownMtu, mtu)) };
  if (isOwnChoice || link.mtu === mtu) return { target: link.mtu, ...(link.mtu < mtu ? { keptMtu: link.mtu } : remembered(port.ownMtu, mtu)) };
  if (link.master !== undefined) return { target: link.mtu, keptMtu: link.mtu };
  // It has what it was given: up to what it had chosen before that.
  const target = Math.min(mtu, port.ownMtu ?? mtu);
  return { target, ...(target < mtu ? { keptMtu: target } : remembered(port.ownMtu, mtu)) };
}

/** A choice that can be seen needs no remembering. */
function remembered(ownMtu: number | undefined, mtu: number): Inside {
  return ownMtu === undefined || ownMtu <= mtu ? {} : { ownMtu };
}

/** Sets those of the links that are there and have another MTU, in this order. */
export function resizeLinks(route: Netlink, wanted: readonly (readonly [name: string, mtu: number])[]): void {
  const found = findLinks(route, wanted.map(([name]) => name));
  for (const [at, [name, mtu]] of wanted.entries()) {
    if (found[at] === undefined || found[at].mtu === mtu) continue;
    try {
      route.request([setLink(name, { mtu })]);
    } catch (error) {
      // It went a moment ago.
      if (!isRefusal(error, 'ENODEV')) throw error;
    }
  }
}
