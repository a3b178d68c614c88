/** Lies about who has which address: ARP (RFC 826), neighbour discovery (RFC 4861). Pure. */
import {
  arpPacket, broadcastMac, ethernet, etherTypes, linkLocalOf, neighbourAdvertisement, neighbourDiscovery, neighbourSolicitation,
  redirect, routerAdvertisement, routerSolicitation, withUnknownOption, type ArpFields, type ExtensionHeader, type Tag,
} from './frames.ts';
import type { Attack, Scene, Station } from './scene.ts';

const allNodes = { ip: 'ff02::1', mac: '33:33:00:00:00:01' };
const allRouters = { ip: 'ff02::2', mac: '33:33:00:00:00:02' };

/** All of them for one scene. */
export function neighbourAttacks(scene: Scene): readonly Attack[] {
  return [...arpAttacks(scene), ...ndAttacks(scene), ...routerAttacks(scene)];
}

/** The same messages telling the truth: they must arrive in the sender's tenant. */
export function honestNeighbourMessages(scene: Scene): readonly Attack[] {
  const { attacker, ownPeers: [peer, far] } = scene;
  const own = { senderMac: attacker.mac, senderIp: attacker.ipv4 };
  const allowed = (attack: Attack): Attack => ({ ...attack, mayReachOwn: true });
  return [
    arp(scene, 'honest ARP request', { ...own, operation: 'request', targetIp: far.ipv4 }),
    arp(scene, 'honest gratuitous ARP', { ...own, operation: 'request', targetIp: attacker.ipv4 }),
    nd(scene, 'honest neighbour solicitation', { message: neighbourSolicitation(peer.ipv6, attacker.mac) }),
    nd(scene, 'honest neighbour advertisement', { message: neighbourAdvertisement(attacker.ipv6, attacker.mac) }),
    nd(scene, 'honest duplicate address detection', { message: neighbourSolicitation(attacker.ipv6), src: '::' }),
  ].map(allowed);
}

/** An honest question for a container on the same node: a Linux bridge passes it on, a switch answers it itself. */
export function questionOnNode(scene: Scene): Attack {
  const { attacker, ownPeers: [near] } = scene;
  const fields = { operation: 'request', senderMac: attacker.mac, senderIp: attacker.ipv4, targetIp: near.ipv4 } as const;
  return { ...arp(scene, 'honest ARP request for a container of the own node', fields), mayReachOwn: true };
}

/** Whether a frame is the ARP reply that the station would give. */
export function isAnswerOf({ mac, ipv4 }: Pick<Station, 'mac' | 'ipv4'>, frame: Buffer): boolean {
  // Hardware and protocol of RFC 826, then operation 2 with the sender's addresses.
  const reply = `08060001080006040002${mac.replaceAll(':', '')}${Buffer.from(ipv4.split('.').map(Number)).toString('hex')}`;
  return frame.toString('hex', 6, 12) === mac.replaceAll(':', '') && frame.toString('hex', 12).startsWith(reply);
}

function arpAttacks(scene: Scene): readonly Attack[] {
  const { attacker, ownPeers: [near, far], victims: [victim], node } = scene;
  const { mac: senderMac, ipv4 } = attacker;
  const priorityTag: readonly Tag[] = [{ type: 'vlan', id: 0 }];
  return [
    arp(scene, "ARP request with another container's address", { operation: 'request', senderMac, senderIp: far.ipv4, targetIp: near.ipv4 }),
    arp(scene, "ARP request with the gateway's address", { operation: 'request', senderMac, senderIp: node.ownGateway.ipv4, targetIp: near.ipv4 }),
    arp(scene, "ARP request with another container's hardware address", { operation: 'request', senderMac: far.mac, senderIp: ipv4, targetIp: near.ipv4 }),
    arp(scene, "ARP reply with another container's address", { operation: 'reply', senderMac, senderIp: far.ipv4, targetMac: near.mac, targetIp: near.ipv4 }),
    arp(scene, "ARP reply with the gateway's address", { operation: 'reply', senderMac, senderIp: node.ownGateway.ipv4, targetMac: near.mac, targetIp: near.ipv4 }),
    arp(scene, "ARP reply with another tenant's hardware address", { operation: 'reply', senderMac: victim.mac, senderIp: ipv4, targetMac: near.mac, targetIp: near.ipv4 }),
    arp(scene, "gratuitous ARP request for another's address", { operation: 'request', senderMac, senderIp: near.ipv4, targetIp: near.ipv4 }),
    arp(scene, "gratuitous ARP reply for another's address", { operation: 'reply', senderMac, senderIp: near.ipv4, targetMac: broadcastMac, targetIp: near.ipv4 }),
    arp(scene, 'ARP lie behind a priority tag', { operation: 'reply', senderMac, senderIp: far.ipv4, targetMac: near.mac, targetIp: near.ipv4 }, priorityTag),
  ];
}

function ndAttacks(scene: Scene): readonly Attack[] {
  const { attacker: { mac, ipv6 }, ownPeers: [near, far], node } = scene;
  const lie = neighbourAdvertisement(far.ipv6, mac);
  return [
    nd(scene, "neighbour advertisement of another's address", { message: lie }),
    nd(scene, "neighbour advertisement of another's link-local address", { message: neighbourAdvertisement(far.linkLocal, mac) }),
    nd(scene, "neighbour advertisement of the gateway's address", { message: neighbourAdvertisement(node.ownGateway.ipv6, mac) }),
    nd(scene, "neighbour advertisement of another's address without a hardware address", { message: neighbourAdvertisement(far.ipv6) }),
    nd(scene, "neighbour advertisement of the own address with another's hardware address", { message: neighbourAdvertisement(ipv6, far.mac) }),
    nd(scene, "neighbour advertisement with the own hardware address and then another's", { message: neighbourAdvertisement(ipv6, mac, far.mac) }),
    nd(scene, "neighbour advertisement of another's address with an unknown option", { message: withUnknownOption(lie) }),
    nd(scene, "neighbour advertisement from another's address", { message: lie, src: far.ipv6 }),
    nd(scene, "neighbour solicitation with another's hardware address", { message: neighbourSolicitation(near.ipv6, far.mac) }),
    nd(scene, "neighbour solicitation from another's address", { message: neighbourSolicitation(near.ipv6, mac), src: far.ipv6 }),
    nd(scene, "duplicate address detection of another's address", { message: neighbourSolicitation(near.ipv6), src: '::' }),
    nd(scene, 'neighbour advertisement lie behind destination options', { message: lie, extension: 'destinationOptions' }),
    nd(scene, 'neighbour advertisement lie behind hop-by-hop options', { message: lie, extension: 'hopByHop' }),
    nd(scene, 'neighbour advertisement lie in an atomic fragment', { message: lie, extension: 'fragment' }),
    nd(scene, 'neighbour advertisement lie behind a priority tag', { message: lie, tags: [{ type: 'vlan', id: 0 }] }),
  ];
}

function routerAttacks(scene: Scene): readonly Attack[] {
  const { attacker: { mac, linkLocal }, ownPeers: [near, far], node } = scene;
  const advertisement = routerAdvertisement(mac);
  return [
    nd(scene, 'router advertisement', { message: advertisement, src: linkLocal }),
    nd(scene, "router advertisement from the gateway's link-local address", { message: advertisement, src: linkLocalOf(node.bridgeMac) }),
    nd(scene, 'router advertisement behind hop-by-hop options', { message: advertisement, src: linkLocal, extension: 'hopByHop' }),
    nd(scene, 'router advertisement behind a priority tag', { message: advertisement, src: linkLocal, tags: [{ type: 'vlan', id: 0 }] }),
    nd(scene, 'redirect', { message: redirect(linkLocal, far.ipv6, mac), src: linkLocal }),
    nd(scene, "redirect from the gateway's link-local address", { message: redirect(linkLocal, far.ipv6, mac), src: linkLocalOf(node.bridgeMac) }),
    { ...nd(scene, "router solicitation with another's hardware address", { message: routerSolicitation(near.mac), src: linkLocal, to: allRouters }) },
  ];
}

/** Sent to everybody, to the near peer, and to the other tenant's MACs. */
function arp({ attacker, ownPeers, victims }: Scene, name: string, fields: ArpFields, tags: readonly Tag[] = []): Attack {
  return {
    name,
    mayReachOwn: false,
    frames: (marker) =>
      [broadcastMac, ...ownPeers.map(({ mac }) => mac), ...victims.map(({ mac }) => mac)].map((dst) =>
        ethernet({ dst, src: attacker.mac, type: etherTypes.arp, tags }, arpPacket(fields, marker)),
      ),
  };
}

interface NdOptions {
  readonly message: Buffer;
  /** @default the attacker's own address */
  readonly src?: string;
  readonly to?: { readonly ip: string; readonly mac: string };
  readonly extension?: ExtensionHeader;
  readonly tags?: readonly Tag[];
}

/** Sent to a multicast group, and to each container by its MAC. */
function nd({ attacker, ownPeers, victims }: Scene, name: string, { message, src = attacker.ipv6, to = allNodes, extension, tags = [] }: NdOptions): Attack {
  return {
    name,
    mayReachOwn: false,
    frames: (marker) =>
      [to, ...[...ownPeers, ...victims].map(({ ipv6, mac }) => ({ ip: ipv6, mac }))].map(({ ip, mac }) =>
        ethernet({ dst: mac, src: attacker.mac, type: etherTypes.ipv6, tags }, neighbourDiscovery({ src, dst: ip }, message, marker, extension)),
      ),
  };
}
