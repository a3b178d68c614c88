/** On the tenant's Linux bridge: who answers for an address, and where a MAC is. Pure. */
import { gatewayPortElement } from './gateway-elements.ts';
import { openElement } from '../datapath/guard/guard-elements.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import type { Address, Mac } from '../netaddr/netaddr.ts';
import { isClosed } from '../datapath/phases.ts';
import { floodMac } from '../netlink/neighbour.ts';
import { sparePortPrefix, vxlanName } from '../overlay/names.ts';
import type { SeenLink } from './sight.ts';
import { findSpareVteps, requireTunnel } from './tunnel.ts';
import { familyFlag, hasAddress, inside, nameOf, ownerOf, recordAt, say, type Sent, type Way } from './way.ts';

/** Where a frame leaves the bridge. */
export type Exit =
  /** `link`: the host's interface in the tenant's network. */
  | { readonly kind: 'host'; readonly link: SeenLink }
  | { readonly kind: 'port'; readonly record: AttachmentRecord; readonly mac: Mac }
  /** `mac` undefined: it is a question, or a frame whose place nobody knows, for everybody. */
  | { readonly kind: 'tunnel'; readonly link: SeenLink | undefined; readonly mac: Mac | undefined }
  /** A switch has chosen the VTEPs itself. */
  | { readonly kind: 'vteps'; readonly vteps: readonly Address[]; readonly mac: Mac | undefined };

export interface Bridged {
  readonly bridge: SeenLink;
  /** The port it came in by. */
  readonly from: SeenLink;
}

/** The MAC that the sender gets for the next hop; or where the question goes, where nobody here answers. @throws EndOfWay */
export function resolve(way: Way, sent: Sent, bridged: Bridged): Mac | Exit {
  const { walk, node, tenant } = way;
  const { bridge } = bridged;
  if (sent.to !== undefined) return sent.to;
  const address = sent.nextHop;
  if (hasAddress(node, bridge.index, address) && bridge.mac !== undefined) {
    walk.require(node.hasElement(gatewayPortElement(sent.record)), 'answer', {
      good: `the gateway on this node answers for ${say(address)}: ${bridge.mac}`, bad: `the gateway has ${say(address)}, and the guard keeps the question from it: ${sent.record.hostIf} is not in its set gateway_ports`,
      show: `nft get element bridge weft gateway_ports '{ "${sent.record.hostIf}" }'`,
    });
    return bridge.mac;
  }
  const suppressed = answerOfBridge(way, address, bridged);
  if (suppressed !== undefined) return suppressed;
  const owner = ownerOf(tenant, address);
  if (owner !== undefined && !isClosed(owner.port)) return answerOfOwner(way, owner, address);
  return askOthers(way, sent, bridged);
}

/** With a control plane the bridge answers in the name of endpoints elsewhere (net/bridge/br_arp_nd_proxy.c). */
function answerOfBridge({ walk, node }: Way, address: Address, { bridge, from }: Bridged): Mac | undefined {
  const mac = node.neighbour(bridge.index, address)?.mac;
  const entry = mac === undefined ? undefined : node.bridgeEntry(bridge.index, mac);
  const port = entry === undefined ? undefined : node.findLinkByIndex(entry.index);
  if (mac === undefined || port?.port?.neighbourSuppression !== true) return undefined;
  // net/ipv4/arp.c, arp_send_dst: nothing is sent by a link with ARP off, and the question is not passed on either.
  if (address.family === 4 && from.isArpOff === true) return walk.stop('answer', { what: `${bridge.name} should answer for ${say(address)}, and cannot: ARP is off on ${from.name}`, show: `ip link show dev ${from.name}` });
  walk.ok('answer', { what: `${bridge.name} answers for ${say(address)} in its owner's name: ${mac}`, show: `ip ${familyFlag(address)} neigh show ${say(address)} dev ${bridge.name}` });
  return mac;
}

function answerOfOwner({ walk, node }: Way, owner: AttachmentRecord, address: Address): Mac {
  const { hostIf, port, netns } = owner;
  const host = node.findLink(hostIf);
  if (host?.isUp !== true) return walk.stop('delivery-link', { what: `${nameOf(owner)} has ${say(address)} and cannot be asked: its host interface ${hostIf} is ${host === undefined ? 'missing' : 'down'}`, show: `ip link show dev ${hostIf}` });
  const link = node.inContainer(owner, (container) => {
    const found = container.findLink(port.containerIf);
    return found === undefined ? undefined : { ...found, hasIt: found.master !== undefined || hasAddress(container, found.index, address) };
  });
  if (link === undefined) return walk.stop('delivery-container', { what: `${nameOf(owner)} had ${say(address)}, and its interface ${port.containerIf} in ${netns} is gone`, show: inside(owner, 'ip link show'), fix: 'attach the container anew' });
  if (!link.isUp) return walk.stop('delivery-container', { what: `${nameOf(owner)} has ${say(address)}, and its interface ${port.containerIf} is down`, show: inside(owner, `ip link show dev ${port.containerIf}`), fix: inside(owner, `ip link set ${port.containerIf} up`) });
  if (!link.hasIt) return walk.stop('delivery-address', { what: `nobody answers for ${say(address)}: ${nameOf(owner)} should, and has lost it`, show: inside(owner, `ip address show dev ${port.containerIf}`) });
  const mac = link.master === undefined ? (link.mac ?? owner.mac) : owner.mac;
  walk.require(node.hasElement(openElement({ hostIf, mac })), 'answer', {
    good: `${nameOf(owner)} on this node answers for ${say(address)}: ${mac}`, bad: `${nameOf(owner)} has ${say(address)}, and the guard drops its answer: ${hostIf} with MAC ${mac} is not in its set ports`,
    show: `nft get element bridge weft ports '{ "${hostIf}" . ${mac} }'`,
  });
  return mac;
}

function askOthers(way: Way, { nextHop, neighbour, record }: Sent, { bridge }: Bridged): Exit {
  const { walk, node, tenant } = way;
  const tunnel = node.portsOf(bridge.index).find(({ kind, port }) => kind === 'vxlan' && port?.broadcastFlood !== false);
  const isFlooded = tunnel !== undefined && node.tunnelEntries(tunnel.index).some(({ mac }) => mac === floodMac);
  const show = `bridge fdb show dev ${tunnel?.name ?? bridge.name}`;
  if (neighbour?.state === 'failed') return walk.stop('answer', { what: `nobody answers for ${say(nextHop)}: no container of ${tenant.segment.tenant} here has it, and other nodes were asked in vain`, show: inside(record, `ip ${familyFlag(nextHop)} neigh show ${say(nextHop)}`), fix: 'is there such an endpoint? On each peer: weft endpoints' });
  if (tenant.segment.peers.length === 0 && !isFlooded) return walk.stop('answer', { what: `nobody answers for ${say(nextHop)}: no container of ${tenant.segment.tenant} on this node has it, and there are no peers to ask`, show, fix: 'is there such an endpoint? If it is on another node, that one must be a peer' });
  walk.ok('answer', { what: `nobody on this node has ${say(nextHop)}: the question is flooded to the peers, and the packet waits for the answer`, show });
  return { kind: 'tunnel', link: tunnel, mac: undefined };
}

/** Where the bridge has the MAC. @throws EndOfWay */
export function forward(way: Way, mac: Mac, bridged: Bridged): Exit {
  const { walk, node, tenant } = way;
  const { bridge, from } = bridged;
  const show = `bridge fdb get ${mac} br ${bridge.name}`;
  const expected = tenant.records.find((record) => record.mac === mac && !isClosed(record.port));
  const entry = node.bridgeEntry(bridge.index, mac);
  if (mac === bridge.mac || entry?.index === bridge.index) {
    walk.ok('fdb', { what: `${mac} is the bridge itself: the packet is for this node's gateway`, show });
    return { kind: 'host', link: bridge };
  }
  if (entry === undefined) return flood(way, mac, { ...bridged, expected });
  const port = node.findLinkByIndex(entry.index);
  if (port === undefined) return walk.lose('fdb', { what: `${bridge.name} has ${mac} at a link that is gone`, show });
  if (expected !== undefined && port.name !== expected.hostIf) return walk.stop('fdb', { what: `${bridge.name} has ${mac} at ${port.name}, and its endpoint ${nameOf(expected)} is here, at ${expected.hostIf}`, show });
  if (port.index === from.index) return walk.stop('fdb', { what: `${bridge.name} has ${mac} at ${port.name}, by which it came in: a bridge sends nothing back`, show, fix: 'the sender has a MAC for a place where it is not: trace there' });
  if (from.port?.isolated === true && port.port?.isolated === true) return walk.stop('fdb', { what: `${from.name} and ${port.name} are isolated from each other`, show: `bridge -d link show dev ${port.name}` });
  return leaveBridge(way, mac, { port, show, bridge });
}

/** With br_netfilter the chains of the hook `forward` see what is only bridged. */
function passNetfilter({ walk, node, packet }: Way): void {
  const name = packet.destination.family === 4 ? 'bridge-nf-call-iptables' : 'bridge-nf-call-ip6tables';
  if (node.forwardDrops.length === 0 || node.sysctl(['bridge', name]) !== '1') return;
  walk.lose('bridge-port', {
    what: `br_netfilter gives what is bridged to another program's chain ${node.forwardDrops.join(', ')}, which drops what its rules do not take: whether they take this is not known`,
    show: `sysctl net.bridge.${name}; nft list ruleset`, fix: `sysctl -w net.bridge.${name}=0, or let that chain accept what comes by bridges of weft`,
  });
}

function leaveBridge(way: Way, mac: Mac, { port, show, bridge }: { port: SeenLink; show: string; bridge: SeenLink }): Exit {
  const { walk, tenant } = way;
  passNetfilter(way);
  const record = recordAt(tenant, port.name);
  if (record !== undefined) {
    walk.ok('fdb', { what: `${bridge.name} has ${mac} at ${port.name}, of ${nameOf(record)}`, show });
    return { kind: 'port', record, mac };
  }
  if (port.kind === 'vxlan') {
    walk.ok('fdb', { what: `${bridge.name} has ${mac} behind the tunnel, ${port.name}`, show });
    return { kind: 'tunnel', link: port, mac };
  }
  return walk.lose('fdb', { what: `${bridge.name} has ${mac} at ${port.name}, which is no endpoint's that the ledger knows`, show });
}

/** The container's ports get nothing whose place is not known; tunnels may. */
function flood(way: Way, mac: Mac, { bridge, from, expected }: Bridged & { expected: AttachmentRecord | undefined }): Exit {
  const { walk, node, tenant } = way;
  const show = `bridge fdb get ${mac} br ${bridge.name}`;
  if (expected !== undefined) return walk.stop('fdb', { what: `${bridge.name} has no entry of ${mac}, and floods it past its endpoint ${nameOf(expected)}, at ${expected.hostIf}`, show });
  const ports = node.portsOf(bridge.index).filter((port) => port.index !== from.index && port.isUp && port.port?.unicastFlood !== false);
  const tunnel = ports.find(({ kind }) => kind === 'vxlan');
  if (tunnel !== undefined) {
    walk.note('fdb', { what: `${bridge.name} does not know where ${mac} is: it is flooded to all peers`, show });
    return { kind: 'tunnel', link: tunnel, mac };
  }
  const spare = ports.find(({ name }) => name.startsWith(sparePortPrefix));
  if (spare !== undefined) {
    walk.note('fdb', { what: `${bridge.name} does not know where ${mac} is: it goes to the spare tunnel by ${spare.name}`, show });
    return { kind: 'vteps', vteps: findSpareVteps(way, spare, mac), mac };
  }
  // Where it is for want of a tunnel, that is what is wrong: what was learned there went with it.
  if (tenant.segment.peers.length > 0) requireTunnel(way, node.findLink(vxlanName(tenant.segment.vni)));
  return walk.stop('fdb', { what: `${bridge.name} does not know where ${mac} is, and no port of it takes such frames`, show, fix: 'nobody of this tenant has that MAC here: is the endpoint on another node, and that one a peer?' });
}
