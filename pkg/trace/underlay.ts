/** Over the underlay, to another node's VTEP: route, link, size, probes, neighbour. Pure. */
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import type { RouteLookup } from '../netlink/route.ts';
import type { SeenLink } from './sight.ts';
import { outerSize } from './packet.ts';
import { EndOfWay, Walk, type Step } from './step.ts';
import { familyFlag, say, type Way } from './way.ts';

/**
 * To each of the VTEPs. Where there are several, one that cannot be reached is noted, for the others get it.
 * @throws EndOfWay where none can
 */
export function leaveNode(way: Way, vteps: readonly Address[]): readonly Address[] {
  requireVtep(way);
  const ways = vteps.map((vtep) => ({ vtep, ...tryOne(way, vtep) }));
  const reached = ways.filter(({ isReached }) => isReached).map(({ vtep }) => vtep);
  for (const { steps } of ways) way.walk.steps.push(...(reached.length === 0 ? steps : steps.map(asNote)));
  if (reached.length === 0) throw new EndOfWay();
  return reached;
}

function asNote(step: Step): Step {
  return step.outcome === 'stops' || step.outcome === 'unknown' ? { ...step, outcome: 'note' } : step;
}

function tryOne(way: Way, vtep: Address): { readonly steps: readonly Step[]; readonly isReached: boolean } {
  const walk = new Walk();
  try {
    leaveTo({ ...way, walk }, vtep);
    return { steps: walk.steps, isReached: true };
  } catch (error) {
    if (!(error instanceof EndOfWay)) throw error;
    return { steps: walk.steps, isReached: false };
  }
}

/** The node has the address that outer packets are from, and for. @throws EndOfWay */
export function requireVtep({ walk, node, tenant: { segment } }: Way): void {
  const own = node.routeTo(segment.vtepAddress);
  walk.require(!('refusal' in own) && own.type === 'local', 'underlay-vtep', {
    good: `this node has its VTEP ${say(segment.vtepAddress)}`, bad: `this node does not have the VTEP ${say(segment.vtepAddress)}: nothing is sent from it, or taken for it`,
    show: `ip ${familyFlag(segment.vtepAddress)} route get ${say(segment.vtepAddress)}`, fix: `give the underlay's interface the address ${say(segment.vtepAddress)} again; if it has another one now, change vtep`,
  });
}

function leaveTo(way: Way, vtep: Address): void {
  const { route, link, show } = lookUpRoute(way, vtep);
  requireSize(way, { vtep, route, link, show });
  lookAtProbes(way, vtep);
  requireNeighbour(way, link, route.route.gateway ?? vtep);
}

function lookUpRoute({ walk, node }: Way, vtep: Address): { readonly route: RouteLookup; readonly link: SeenLink; readonly show: string } {
  const show = `ip ${familyFlag(vtep)} route get ${say(vtep)}`;
  const fix = 'give the node a route to the VTEP';
  const found = node.routeTo(vtep);
  if ('refusal' in found) return walk.stop('underlay-route', { what: `no route leads to the VTEP ${say(vtep)} (${found.refusal})`, show, fix });
  if (found.type !== 'unicast' || found.route.index === undefined) return walk.stop('underlay-route', { what: `the route to the VTEP ${say(vtep)} is of type ${found.type}`, show, fix });
  const link = node.findLinkByIndex(found.route.index);
  if (link === undefined) return walk.lose('underlay-route', { what: `the link of the route to ${say(vtep)} is gone`, show });
  walk.ok('underlay-route', { what: `to the VTEP ${say(vtep)} by ${link.name}${found.route.gateway === undefined ? '' : ` via ${say(found.route.gateway)}`}`, show });
  const linkFix = `ip link set ${link.name} up, or mend the cable behind it`;
  walk.require(link.isUp && link.hasCarrier, 'underlay-link', { good: `${link.name} is up`, bad: `${link.name} is ${link.isUp ? 'without a carrier' : 'down'}`, show: `ip link show dev ${link.name}`, fix: linkFix });
  return { route: found, link, show };
}

function requireSize({ walk, tenant: { segment }, packet }: Way, { vtep, route: { route }, link, show }: { readonly vtep: Address; readonly route: RouteLookup; readonly link: SeenLink; readonly show: string }): void {
  const { bytes, items } = outerSize(packet.size, segment.encapsulation ?? 'vxlan', vtep.family);
  const [mtu, what] = route.mtu !== undefined && route.mtu < link.mtu ? [route.mtu, `the route to ${say(vtep)}`] : [link.mtu, link.name];
  const room = mtu - (bytes - packet.size);
  walk.require(bytes <= mtu, 'underlay-mtu', {
    good: `${items} bytes fit the MTU of ${what}, ${mtu}`, bad: `${items} bytes do not fit the MTU of ${what}, ${mtu}: it is dropped, and the sender told by ICMP where that can reach it`,
    show, fix: `send at most ${room} bytes, lower the MTU of the tenant's endpoints to ${room}, or make the underlay wider: docs/mtu.md`,
  });
}

/** What the daemons of the two nodes have found out by probes. */
function lookAtProbes({ walk, node, tenant: { segment }, packet }: Way, vtep: Address): void {
  const show = "weft status -o json | jq '.daemon.paths'";
  const path = node.paths?.find((one) => one.peer === formatAddress(vtep) && one.vtep === formatAddress(segment.vtepAddress)) ?? node.paths?.find((one) => one.peer === formatAddress(vtep));
  if (path === undefined) return walk.note('underlay-path', { what: `no probe has told what the path to ${say(vtep)} carries`, show });
  const { bytes } = outerSize(packet.size, segment.encapsulation ?? 'vxlan', vtep.family);
  const narrow = path.narrow;
  if (narrow !== undefined) {
    return walk.require(bytes <= narrow.packetBytes, 'underlay-path', {
      good: `the path to ${say(vtep)} carries ${narrow.packetBytes} bytes, found by probes`, bad: `the path to ${say(vtep)} carries no more than ${narrow.packetBytes} bytes, found by probes, and these are ${bytes}`,
      show, fix: `somewhere between the nodes is a narrower link: docs/path.md; send at most ${packet.size - (bytes - narrow.packetBytes)} bytes`,
    });
  }
  if (path.state === 'unanswered') return walk.note('underlay-path', { what: `${say(vtep)} answers no probes: its daemon, its node or the path is down`, show });
  walk.ok('underlay-path', { what: path.state === 'whole' ? `probes of ${path.fullBytes} bytes reach ${say(vtep)}` : `the path to ${say(vtep)} has not been probed yet`, show });
}

function requireNeighbour({ walk, node }: Way, link: SeenLink, nextHop: Address): void {
  if (link.isArpOff === true) return;
  if (node.switch?.isUserspace === true) return walk.ok('underlay-neighbour', { what: `Open vSwitch finds ${say(nextHop)} on ${link.name} by itself`, show: 'ovs-appctl tnl/neigh/show' });
  const neighbour = node.neighbour(link.index, nextHop);
  walk.require(neighbour?.state !== 'failed', 'underlay-neighbour', {
    good: `${say(nextHop)} on ${link.name} ${neighbour?.mac === undefined ? 'is asked for' : `is ${neighbour.mac} (${neighbour.state})`}`, bad: `${say(nextHop)} on ${link.name} does not answer (failed)`,
    show: `ip ${familyFlag(nextHop)} neigh show ${say(nextHop)} dev ${link.name}`, fix: `is the node ${say(nextHop)} up, and on the network of ${link.name}?`,
  });
}
