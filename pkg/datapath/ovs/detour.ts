/**
 * The way through the limit of what a tenant's containers send, on Open vSwitch's userspace datapath: that takes what a host interface receives before
 * any queue of the host's could hold it. So the switch itself sends it through a veth pair, both of whose ends are ports of the bridge.
 *
 *     weft-p… ─▶ weft-int ─▶ weft-sl<VNI> ──clsact egress──▶ weft-if<VNI> ──▶ weft-so<VNI> ─▶ weft-int ─▶ where it goes
 *
 * The guard has looked at a frame before it goes in, and knows it by its MAC when it comes out (flows/detour.ts). A filter at a link's egress takes a
 * copy of what it redirects (net/sched/act_mirred.c): what waits is no longer the socket's by which ovs-vswitchd sends for all of its ports.
 */
import { addVeth, decodeLink, listLinks, setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import type { Segment } from '../../overlay/model.ts';
import { detourNames, detourPrefixes, isSegmentName, segmentAlias, tenantShaperName } from '../../overlay/names.ts';
import { WeftError } from '../../errors/weft-error.ts';
import type { KnownState } from '../datapath.ts';
import { about, minor, type Fault, type RouteHands } from '../fault.ts';
import { findLinks } from '../find-links.ts';
import type { Kernel } from '../kernel.ts';
import { changed, linkLocalFaults } from '../link-faults.ts';
import { doomedGroup, reapLinks } from '../link-removal.ts';
import type { Observation } from '../observation.ts';
import { leaveLimits, sendThroughLimit } from '../tenant-bandwidth.ts';
import type { Detour } from './flows/flows.ts';
import type { OvsSwitch } from './switch/switch.ts';

/** Whether the segment has one. */
export function hasDetour({ bandwidth }: Pick<Segment, 'bandwidth'>, isUserspace: boolean): boolean {
  return isUserspace && bandwidth?.egress !== undefined;
}

/** The names of a segment's links that it may have for one. */
export function detourLinks({ vni, bandwidth }: Pick<Segment, 'vni' | 'bandwidth'>): readonly string[] {
  const { into, outOf } = detourNames(vni);
  return bandwidth?.egress === undefined ? [] : [into, outOf];
}

/** Makes it, or brings it in line with the segment. @returns the numbers of its ports @throws WeftError as OvsSwitch.addPort() does */
export async function ensureDetour(ovs: OvsSwitch, kernel: Kernel, segment: Segment): Promise<Detour> {
  const { into, outOf } = detourNames(segment.vni);
  const names = [into, outOf];
  const isWhole = findLinks(kernel.route, names).every((link) => link !== undefined && link.group !== doomedGroup);
  // An interface that is gone and comes back is not opened again, though its row soon looks whole: the row goes first.
  const dead = names.filter((name) => ovs.ports().has(name) && (!isWhole || ovs.ports().get(name)?.ifIndex === 0));
  if (dead.length > 0) await ovs.removePorts(dead);
  makePair(kernel.route, segment);
  const open = async (name: string): Promise<number> => (dead.includes(name) ? undefined : ovs.ports().get(name)?.ofport) ?? ovs.addPort({ name, externalIds: { limit: String(segment.vni) }, isShared: true });
  const [intoPort, outOfPort] = await Promise.all([open(into), open(outOf)]);
  // Behind the plugging in: ovs-vswitchd takes other qdiscs off an interface that becomes its port.
  joinLimit(kernel.route, segment);
  return { into: intoPort, outOf: outOfPort };
}

/** Makes the pair; whatever of it is there already stays. @throws WeftError foreignObject, kernelRefused */
function makePair(route: Netlink, segment: Segment): void {
  const { into, outOf } = detourNames(segment.vni);
  const present = findLinks(route, [into, outOf]).filter((link) => link !== undefined);
  const foreign = present.find(({ kind }) => kind !== 'veth');
  if (foreign !== undefined) throw new WeftError('foreignObject', `Cannot use ${foreign.name}: it is a ${foreign.kind ?? 'device'} that weft did not make`);
  if (present.some(({ group }) => group === doomedGroup)) reapLinks(route);
  requestTolerating(route, [addVeth({ name: into, mtu: segment.overlayMtu, peer: { name: outOf } })], 'EEXIST');
  const settings = { alias: segmentAlias(segment), mtu: segment.overlayMtu, isUp: true, isArpOff: true, isPromiscuous: true };
  route.request([into, outOf].flatMap((name) => [setNoLinkLocal(name), setLink(name, settings)]));
}

function joinLimit(route: Netlink, segment: Segment): void {
  const [link] = findLinks(route, [detourNames(segment.vni).into]);
  if (link === undefined) throw new WeftError('tryAgainLater', `The link ${detourNames(segment.vni).into} is gone`);
  leaveLimits(route, link.index);
  sendThroughLimit(route, segment, link.index);
}

/** What a detour is repaired with. */
export interface DetourHands extends RouteHands {
  /** Makes what is missing of it, and plugs it in. The switch takes its time: for the moment nothing more is to be said of it. */
  reconnect(): void;
}

/** What is wrong with a segment's links. Whether they are ports the switch knows, which hears seconds later of one that has gone. */
export function detourFaults(segment: Segment, seen: Observation, isUserspace: boolean): Fault<DetourHands>[] {
  if (!hasDetour(segment, isUserspace)) return [];
  const { into, outOf } = detourNames(segment.vni);
  const [first, second] = [seen.findLink(into), seen.findLink(outOf)];
  if (first === undefined || second === undefined) {
    const missing = first === undefined ? into : outOf;
    return about('limit', [{ what: `the link ${missing} to the tenant's limit is missing`, remedy: { done: 'made anew', apply: (hands) => hands.reconnect() } }]);
  }
  return about('limit', [...[first, second].flatMap((link) => linkFaults(segment, link)), ...filterFaults(segment, first, seen)]);
}

function linkFaults(segment: Segment, link: Link): Fault<RouteHands>[] {
  const { name, isUp, mtu, alias } = link;
  const wanted = segmentAlias(segment);
  return [
    ...(isUp ? [] : [changed(name, { what: `${name} is down`, done: 'set up', change: { isUp: true } })]),
    ...(mtu === segment.overlayMtu ? [] : [changed(name, { what: `${name} has MTU ${mtu} instead of ${segment.overlayMtu}`, done: 'set back', change: { mtu: segment.overlayMtu } })]),
    ...linkLocalFaults(link),
    ...(alias === wanted ? [] : [minor(changed(name, { what: `${name} has lost its description`, done: 'written again', change: { alias: wanted } }))]),
  ];
}

function filterFaults(segment: Segment, { index }: Link, seen: Observation): Fault<RouteHands>[] {
  const shaper = seen.findLink(tenantShaperName(segment.vni, 'egress'));
  const isJoined = shaper !== undefined && seen.redirectsOf(index, 'egress').includes(shaper.index);
  if (isJoined) return [];
  return [{ what: `what containers of tenant ${segment.tenant} send goes past their limit`, remedy: { done: 'sent through it', apply: ({ route }) => joinLimit(route, segment) } }];
}

/** Removes the links of no segment. What is garbage is found, and doomed, within the call. @returns what went, in words */
export async function collectDetours(kernel: Kernel, { segments }: KnownState): Promise<string[]> {
  const needed = new Set(segments.flatMap(detourLinks));
  const links = kernel.route.dump(listLinks()).map(decodeLink).filter(({ kind, name }) => kind === 'veth' && Object.values(detourPrefixes).some((prefix) => isSegmentName(name, prefix)) && !needed.has(name));
  await kernel.removeLinks(links.map(({ name }) => name));
  return links.map(({ name }) => `veth ${name}`);
}
