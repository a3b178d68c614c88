/** Through the gateway on this node: into the host, or out of the overlay. Pure. */
import { bridgePrefix } from '../overlay/names.ts';
import type { Address } from '../netaddr/netaddr.ts';
import type { RouteLookup } from '../netlink/route.ts';
import type { SeenLink } from './sight.ts';
import { gatewayElement, gatewayPortElement, vtepPortElement } from './gateway-elements.ts';
import { familyFlag, say, type Sent, type Way } from './way.ts';

/** How it left the overlay. */
export interface LeftOverlay {
  readonly kind: 'host' | 'world';
  /** In words. */
  readonly what: string;
}

/** @param gateway the interface of the host in the tenant's network. @throws EndOfWay */
export function passGateway(way: Way, sent: Sent, gateway: SeenLink): LeftOverlay {
  const { walk, node, tenant, packet } = way;
  if (node.guardFaults.length > 0) return walk.lose('gateway-guard', { what: `${node.guardFaults.join('; ')}: what the guard lets pass is not known`, show: 'nft list ruleset' });
  if (tenant.segment.datapath !== 'ovs') {
    walk.require(node.hasElement(gatewayPortElement(sent.record)), 'gateway-guard', {
      good: `the guard lets ${sent.record.hostIf} reach the gateway ${gateway.name}`, bad: `the guard keeps ${sent.record.hostIf} from the gateway: it is not in its set gateway_ports`, show: `nft get element bridge weft gateway_ports '{ "${sent.record.hostIf}" }'`,
    });
  }
  const direct = node.routeTo(packet.destination);
  if (!('refusal' in direct) && direct.type === 'local') return enterHost(way);
  requireForwarding(way, gateway);
  const found = lookUpRoute(way, sent.source, gateway);
  return leave(way, { sent, gateway, found, outside: 'refusal' in direct ? undefined : direct.source });
}

/** What a container may do to the host: the rules of `inet weft-gateway to_host`. */
function enterHost({ walk, packet }: Way): LeftOverlay {
  const { destination, protocol } = packet;
  walk.require(protocol === 'icmp', 'gateway-host', {
    good: `${say(destination)} is this node's own address, and containers may ping it`, bad: `${say(destination)} is this node's own address, and the guard drops ${protocol} that a container begins`,
    show: 'nft list chain inet weft-gateway to_host', fix: 'containers reach services of their node by nothing but answers: put the service into a container',
  });
  return { kind: 'host', what: `this node itself, which has ${say(destination)}` };
}

function requireForwarding({ walk, node, packet }: Way, { name }: SeenLink): void {
  const is6 = packet.destination.family === 6;
  // IPv4 asks the interface it came in by (net/ipv4/route.c), IPv6 all of them (net/ipv6/ip6_output.c, ip6_forward).
  const parts = is6 ? ['ipv6', 'conf', 'all', 'forwarding'] : ['ipv4', 'conf', name, 'forwarding'];
  const sysctl = `net.${parts.join('.')}`;
  walk.require(node.sysctl(parts) !== '0', 'gateway-forwarding', { good: `the node forwards what comes by ${name}`, bad: `the node forwards nothing that comes by ${name}: ${sysctl} is 0`, show: `sysctl ${sysctl}`, fix: is6 ? `sysctl -w ${sysctl}=1` : 'sysctl -w net.ipv4.ip_forward=1' });
}

function lookUpRoute({ walk, node, packet }: Way, source: Address, gateway: SeenLink): RouteLookup {
  const { destination } = packet;
  const show = `ip ${familyFlag(destination)} route get ${say(destination)} from ${say(source)} iif ${gateway.name}`;
  const found = node.routeTo(destination, { source, index: gateway.index });
  const fix = 'give the node a route to there; where it says EXDEV or EINVAL, see rp_filter';
  if ('refusal' in found) return walk.stop('gateway-route', { what: `the node has no way to ${say(destination)} for what comes by ${gateway.name} (${found.refusal})`, show, fix });
  if (found.type !== 'unicast' || found.route.index === undefined) return walk.stop('gateway-route', { what: `the node's route to ${say(destination)} is of type ${found.type}`, show, fix });
  return found;
}

interface Leaving {
  readonly sent: Sent;
  readonly gateway: SeenLink;
  readonly found: RouteLookup;
  /** The node's own source address for the destination. */
  readonly outside: Address | undefined;
}

function leave(way: Way, leaving: Leaving): LeftOverlay {
  const { walk, node, packet } = way;
  const { sent, gateway, found: { route } } = leaving;
  const link = route.index === undefined ? undefined : node.findLinkByIndex(route.index);
  const nextHop = route.gateway ?? packet.destination;
  const show = `ip ${familyFlag(nextHop)} route get ${say(packet.destination)} from ${say(sent.source)} iif ${gateway.name}`;
  if (link === undefined) return walk.lose('gateway-route', { what: 'the link of the route is gone', show });
  walk.ok('gateway-route', { what: `the node sends it by ${link.name}${route.gateway === undefined ? '' : ` via ${say(route.gateway)}`}`, show });
  passFilters(way, link, gateway);
  const source = translate(way, leaving, link);
  const mtu = Math.min(route.mtu ?? link.mtu, link.mtu);
  walk.require(packet.size <= mtu, 'gateway-mtu', { good: `${packet.size} bytes fit the MTU of ${link.name}, ${mtu}`, bad: `${packet.size} bytes do not fit the MTU of ${link.name}, ${mtu}: the node tells the sender by ICMP`, show, fix: `send at most ${mtu} bytes` });
  requireLink(way, { link, nextHop });
  return { kind: 'world', what: `the overlay by ${link.name}${route.gateway === undefined ? '' : `, via ${say(route.gateway)},`} as ${say(source)}` };
}

/** The rules of `inet weft-gateway forward`, and other programs' chains. */
function passFilters({ walk, node, tenant, packet }: Way, link: SeenLink, gateway: SeenLink): void {
  const { protocol, port } = packet;
  const show = 'nft list chain inet weft-gateway forward';
  if (protocol === 'udp' && port !== undefined && node.hasElement(vtepPortElement(port))) return walk.stop('gateway-filter', { what: `the guard drops UDP of containers to port ${port}, on which VTEPs listen`, show, fix: 'use another port' });
  const isBridge = link.name.startsWith(bridgePrefix);
  if (isBridge && link.index !== gateway.index && node.hasElement(gatewayElement(tenant.segment, 'gateway_bridges'))) {
    return walk.stop('gateway-filter', { what: `the guard drops what one tenant sends to another: ${link.name} is not ${gateway.name}`, show, fix: 'tenants reach each other by nothing on this node' });
  }
  if (node.forwardDrops.length > 0) return walk.lose('gateway-filter', { what: `another program's chain ${node.forwardDrops.join(', ')} drops what its rules do not take: whether they take this is not known`, show: 'nft list ruleset', fix: `look whether its rules accept what comes by ${gateway.name}` });
  walk.ok('gateway-filter', { what: 'the guard lets it out', show });
}

/** @returns the source address outside */
function translate({ walk, node, tenant }: Way, { sent, gateway, outside, found }: Leaving, link: SeenLink): Address {
  const { segment } = tenant;
  const show = 'nft list set inet weft-gateway masqueraded';
  const isMasqueraded = node.hasElement(gatewayElement(segment, 'masqueraded')) && !link.name.startsWith(bridgePrefix);
  if (!isMasqueraded) {
    walk.note('gateway-nat', { what: `it keeps its source ${say(sent.source)}: who answers must have a route back to this node`, show });
    return sent.source;
  }
  if (!node.hasElement(gatewayElement(segment, 'gateways'))) {
    walk.note('gateway-nat', { what: `${gateway.name} is not in the guard's set gateways, so that connections are not tracked: it keeps its source ${say(sent.source)} in spite of ipMasq`, show: 'nft list set inet weft gateways' });
    return sent.source;
  }
  const source = outside ?? found.source;
  walk.ok('gateway-nat', { what: `it is masqueraded${source === undefined ? '' : ` as ${say(source)}`}`, show });
  return source ?? sent.source;
}

/** The link is up, and whoever is next on it is not known to be silent. */
function requireLink({ walk, node }: Way, { link, nextHop }: { readonly link: SeenLink; readonly nextHop: Address }): void {
  walk.require(link.isUp && link.hasCarrier, 'gateway-link', { good: `${link.name} is up`, bad: `${link.name} is ${link.isUp ? 'without a carrier' : 'down'}`, show: `ip link show dev ${link.name}`, fix: `ip link set ${link.name} up` });
  if (link.isArpOff === true) return;
  const neighbour = node.neighbour(link.index, nextHop);
  const show = `ip ${familyFlag(nextHop)} neigh show ${say(nextHop)} dev ${link.name}`;
  walk.require(neighbour?.state !== 'failed', 'gateway-neighbour', {
    good: `${say(nextHop)} on ${link.name} is ${neighbour?.mac === undefined ? 'asked for' : neighbour.mac}`, bad: `${say(nextHop)} on ${link.name} does not answer (failed)`, show, fix: `is ${say(nextHop)} up, and on the network of ${link.name}?`,
  });
}
