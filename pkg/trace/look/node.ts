/** The node as the kernel has it, for a trace. Each answer is as of the moment of its question; nothing is changed, and no packet is sent. */
import { findGuardDamage } from '../../datapath/guard/guard-damage.ts';
import { gatewayTable } from '../../datapath/guard/gateway-rules.ts';
import { hasElements } from '../../datapath/guard/guard.ts';
import { segmentElements, type GuardElement } from '../../datapath/guard/guard-elements.ts';
import { insideContainer } from '../../datapath/inside-container.ts';
import type { Kernel } from '../../datapath/kernel.ts';
import { observeNow } from '../../datapath/observation.ts';
import { findForwardDrops } from '../../datapath/forward-drops.ts';
import type { Address, Mac } from '../../netaddr/netaddr.ts';
import { decodeAddress, listAddresses } from '../../netlink/address.ts';
import { hasCarrier } from '../../netlink/carrier.ts';
import type { NetlinkMessage, NetlinkRequest } from '../../netlink/codec.ts';
import { decodeNeighbour, getNeighbour, neighbourStateOf } from '../../netlink/ip-neighbour.ts';
import { decodeLink, getLink, getLinkByIndex, listLinks } from '../../netlink/link.ts';
import { decodeFdb, getBridgeFdb } from '../../netlink/neighbour.ts';
import { isRefusal, NetlinkError } from '../../netlink/netlink-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { decodeRouteLookup, getInputRoute, getRouteTo } from '../../netlink/route.ts';
import type { Segment } from '../../overlay/model.ts';
import type { PathStatus } from '../../report/paths.ts';
import type { NamespaceSight, NodeSight, SeenLink, SeenNeighbour, SeenRoute, SwitchSight } from '../sight.ts';

/** What the node is looked at with. */
export interface NodeToSee {
  readonly kernel: Kernel;
  /** Of the tenant whose packet it is. */
  readonly segment: Segment;
  readonly paths: readonly PathStatus[] | undefined;
  /** Of a tenant on Open vSwitch. */
  readonly switch: SwitchSight | undefined;
}

/** The node. @throws NetlinkError where the kernel does not let this process look */
export function seeNode({ kernel, segment, paths, switch: seen }: NodeToSee): NodeSight {
  const { route, netfilter } = kernel;
  const observation = observeNow(kernel);
  return {
    ...seeNamespace(route),
    inContainer: (record, fn) => insideContainer(record, (fd) => kernel.withRouteIn(fd, (inner) => fn(seeNamespace(inner)))),
    bridgeEntry: (bridge, mac) => findBridgeEntry(route, bridge, mac),
    portsOf: (bridge) => route.dump(listLinks({ master: bridge })).map(asSeen).filter(({ master }) => master === bridge),
    tunnelEntries: (index) => observation.fdbOf(index).filter(({ vtep }) => vtep !== undefined),
    redirectsOf: (index, point) => observation.redirectsOf(index, point),
    ratesOf: (index) => observation.qdiscsOf(index).flatMap(({ isRoot, rate }) => (isRoot && rate !== undefined ? [rate] : [])),
    sysctl: (parts) => kernel.readSysctl(parts),
    hasElement: (element) => hasElements(netfilter, [element])[0] === true,
    guardFaults: findGuardDamage(netfilter, gatewayElementsOf(segment)).structure,
    forwardDrops: findForwardDrops(netfilter),
    paths,
    switch: seen,
  };
}

/** With one of them the gateway's table is looked at as well. */
function gatewayElementsOf(segment: Segment): readonly GuardElement[] {
  return segmentElements(segment).filter(({ table }) => table === gatewayTable);
}

/** Any namespace, by a socket of it. */
export function seeNamespace(route: Netlink): NamespaceSight {
  return {
    findLink: (name) => ask(route, getLink(name), asSeen, 'ENODEV'),
    findLinkByIndex: (index) => ask(route, getLinkByIndex(index), asSeen, 'ENODEV'),
    addressesOf: (index) => route.dump(listAddresses(index)).flatMap((message) => decodeAddress(message) ?? []).filter((entry) => entry.index === index),
    routeTo: (address, input) => lookUpRoute(route, address, input),
    neighbour: (index, address) => ask(route, getNeighbour(index, address), asNeighbour, 'ENOENT', 'ENODEV'),
  };
}

/** Undefined where the kernel refuses with one of these. @throws NetlinkError where it does otherwise */
function ask<T>(route: Netlink, request: NetlinkRequest, decode: (message: NetlinkMessage) => T | undefined, ...absent: string[]): T | undefined {
  const [outcome] = route.tryRequest([request]);
  if (outcome instanceof NetlinkError) {
    if (absent.includes(outcome.errnoCode)) return undefined;
    throw outcome;
  }
  return outcome?.[0] === undefined ? undefined : decode(outcome[0]);
}

function asSeen(message: NetlinkMessage): SeenLink {
  return { ...decodeLink(message), hasCarrier: hasCarrier(message) };
}

function asNeighbour(message: NetlinkMessage): SeenNeighbour {
  const mac = decodeNeighbour(message)?.mac;
  return { state: neighbourStateOf(message), ...(mac === undefined ? {} : { mac }) };
}

function lookUpRoute(route: Netlink, address: Address, input: { readonly source: Address; readonly index: number } | undefined): SeenRoute {
  const [outcome] = route.tryRequest([input === undefined ? getRouteTo(address) : getInputRoute(address, input)]);
  if (outcome instanceof NetlinkError) return { refusal: outcome.errnoCode };
  const found = outcome?.[0] === undefined ? undefined : decodeRouteLookup(outcome[0]);
  return found ?? { refusal: 'no answer' };
}

function findBridgeEntry(route: Netlink, bridge: number, mac: Mac): ReturnType<NodeSight['bridgeEntry']> {
  try {
    return ask(route, getBridgeFdb(bridge, mac), decodeFdb, 'ENOENT');
  } catch (error) {
    if (isRefusal(error, 'ENODEV', 'EINVAL')) return undefined;
    throw error;
  }
}
