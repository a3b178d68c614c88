/** Out of the container: its interface, source address, route, MTU, and the neighbour it sends to. Pure. */
import { isClosed } from '../datapath/phases.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { addressesEqual, formatInterfaceAddress, isUnicastAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import type { KernelRoute } from '../netlink/route.ts';
import type { NamespaceSight, SeenLink, SeenNeighbour } from './sight.ts';
import { bridgeOf, familyFlag, hasAddress, inside, ownerOf, say, type Sent, type Way } from './way.ts';

/** A guest behind a bridge in there has its own addresses and neighbours, which nobody here sees. */
const guestFix = 'look inside the guest, or name the MAC it sends to with --mac';

/** @throws EndOfWay where the packet does not leave the container. @param to the MAC to send to, in the place of what the container knows */
export function leaveContainer(way: Way, record: AttachmentRecord, to: Mac | undefined): Sent {
  const sent = way.node.inContainer(record, (container) => leave(way, { record, container, to }));
  return sent ?? way.walk.stop('container-gone', { what: `the container's network namespace ${record.netns} is gone, or is another one`, show: `ls -l ${record.netns}`, fix: 'the container has ended: its runtime has yet to call DEL' });
}

interface Leaving {
  readonly record: AttachmentRecord;
  readonly container: NamespaceSight;
  readonly to: Mac | undefined;
}

function leave(way: Way, leaving: Leaving): Sent {
  const { record, container } = leaving;
  const name = record.port.containerIf;
  const show = inside(record, `ip link show dev ${name}`);
  const link = container.findLink(name);
  if (link === undefined) return way.walk.stop('container-link', { what: `there is no interface ${name} in the container`, show, fix: 'attach the container anew: its own doing, or a DEL, has taken it away' });
  way.walk.require(link.isUp, 'container-link', { good: `${name} is up, with MAC ${link.mac ?? 'none'}`, bad: `${name} is down`, show, fix: inside(record, `ip link set ${name} up`) });
  if (link.master !== undefined) return behindBridge(way, leaving);
  requireAddress(way, leaving, link);
  const { source, nextHop, mtu } = lookUpRoute(way, leaving, link);
  requireRoom(way, { record, link, mtu });
  const neighbour = leaving.to === undefined ? container.neighbour(link.index, nextHop) : undefined;
  const mac = leaving.to ?? lookAtNeighbour(way, { ...leaving, nextHop, neighbour });
  return { record, source, nextHop, mac: link.mac ?? record.mac, to: mac, neighbour };
}

/** Whoever is behind the bridge has the endpoint's MAC and addresses. */
function behindBridge({ walk, packet }: Way, { record, to }: Leaving): Sent {
  const own = record.port.addresses.find(({ address }) => address.family === packet.destination.family)?.address;
  const show = inside(record, 'bridge link show');
  if (own === undefined) return walk.lose('container-route', { what: 'a guest behind a bridge in the container sends, and its addresses are not known', show, fix: guestFix });
  walk.note('container-route', { what: `a guest behind a bridge in the container sends as ${say(own)}: its routes and neighbours are not seen`, show });
  return { record, source: own, nextHop: packet.destination, mac: record.mac, to, neighbour: undefined };
}

function requireAddress({ walk, packet }: Way, { record, container }: Leaving, link: SeenLink): void {
  const family = packet.destination.family;
  const own = record.port.addresses.filter(({ address }) => address.family === family);
  const present = container.addressesOf(link.index).map(({ address }) => address).filter(({ address }) => address.family === family);
  const show = inside(record, `ip address show dev ${link.name}`);
  const found = own.filter(({ address }) => present.some((other) => addressesEqual(other.address, address)));
  // A layer 2 attachment has whatever it gives itself.
  if (own.length === 0) walk.ok('container-address', { what: `weft has given ${link.name} no IPv${family} address; it has ${present.map(formatInterfaceAddress).join(', ') || 'none'}`, show });
  else walk.require(found.length > 0, 'container-address', { good: `${link.name} has ${found.map(formatInterfaceAddress).join(', ')}`, bad: `${link.name} has lost ${own.map(formatInterfaceAddress).join(', ')}`, show });
}

interface Chosen {
  readonly source: Address;
  readonly nextHop: Address;
  /** Bytes, of the route. */
  readonly mtu: number | undefined;
}

function lookUpRoute({ walk, packet }: Way, { record, container }: Leaving, link: SeenLink): Chosen {
  const { destination } = packet;
  const show = inside(record, `ip ${familyFlag(destination)} route get ${say(destination)}`);
  if (!isUnicastAddress(destination)) return walk.lose('container-route', { what: `${say(destination)} is no single host's address`, show, fix: 'trace to the address of one host' });
  const found = container.routeTo(destination);
  if ('refusal' in found) return walk.stop('container-route', { what: `no route leads to ${say(destination)} (${found.refusal})`, show, fix: "give the network a route (ipam.routes), or the container one" });
  if (found.type === 'local') return walk.lose('container-route', { what: `${say(destination)} is the container's own address: the packet never leaves it`, show, fix: 'trace to another address' });
  if (found.type !== 'unicast') return walk.stop('container-route', { what: `the route to ${say(destination)} is of type ${found.type}`, show, fix: 'remove that route from the container' });
  if (found.route.index !== link.index) return walk.stop('container-route', otherLink(container, found.route, { link, destination, show }));
  if (found.source === undefined) return walk.stop('container-route', { what: `the container has no source address for ${say(destination)}`, show });
  const { gateway, mtu } = found.route;
  walk.ok('container-route', { what: `goes by ${link.name} ${gateway === undefined ? 'on-link' : `via ${say(gateway)}`}, as ${say(found.source)}`, show });
  return { source: found.source, nextHop: gateway ?? destination, mtu };
}

function otherLink(container: NamespaceSight, route: KernelRoute, { link, destination, show }: { link: SeenLink; destination: Address; show: string }): { what: string; show: string; fix: string } {
  const other = route.index === undefined ? undefined : container.findLinkByIndex(route.index);
  return { what: `the route to ${say(destination)} leads out of ${other?.name ?? 'several links'} and not of ${link.name}`, show, fix: 'it takes another network of the container: trace that one, or change the route' };
}

function requireRoom({ walk, packet }: Way, { record, link, mtu }: { record: AttachmentRecord; link: SeenLink; mtu: number | undefined }): void {
  const [limit, what] = mtu !== undefined && mtu < link.mtu ? [mtu, 'the route'] : [link.mtu, link.name];
  walk.require(packet.size <= limit, 'container-mtu', {
    good: `${packet.size} bytes fit the MTU of ${what}, ${limit}`, bad: `${packet.size} bytes do not fit the MTU of ${what}, ${limit}: the sender is told at once`,
    show: inside(record, `ip ${familyFlag(packet.destination)} route get ${say(packet.destination)}`), fix: `send at most ${limit} bytes; docs/mtu.md says what limits it`,
  });
}

function lookAtNeighbour(way: Way, { record, nextHop, neighbour }: Leaving & { nextHop: Address; neighbour: SeenNeighbour | undefined }): Mac | undefined {
  const show = inside(record, `ip ${familyFlag(nextHop)} neigh show ${say(nextHop)}`);
  const { walk } = way;
  const mac = neighbour?.mac;
  const other = mac === undefined ? undefined : rightfulMac(way, nextHop);
  if (other !== undefined && other !== mac) return walk.stop('container-neighbour', { what: `the container has ${say(nextHop)} for ${mac ?? ''}, and it is ${other}`, show, fix: inside(record, `ip neigh del ${say(nextHop)} dev ${record.port.containerIf}`) });
  if (mac !== undefined) walk.ok('container-neighbour', { what: `${say(nextHop)} is known to be ${mac} (${neighbour?.state ?? 'none'})`, show });
  else if (neighbour?.state === 'failed') walk.note('container-neighbour', { what: `nobody has answered for ${say(nextHop)} lately (failed): it is asked for again`, show });
  else walk.ok('container-neighbour', { what: `${say(nextHop)} is not known yet: it is asked for`, show });
  return mac;
}

/** Of whom this node knows to have the address: an endpoint that is here, or the gateway. */
function rightfulMac(way: Way, address: Address): Mac | undefined {
  const owner = ownerOf(way.tenant, address);
  if (owner !== undefined) return isClosed(owner.port) ? undefined : owner.mac;
  const gateway = bridgeOf(way);
  return gateway !== undefined && hasAddress(way.node, gateway.index, address) ? gateway.mac : undefined;
}
