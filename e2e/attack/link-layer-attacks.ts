/** Lies in the link and network headers: forged sources, tags, odd protocols. Pure. */
import { broadcastMac, ethernet, etherTypes, linkLocalOf, llcFrame, udpPacket, type Endpoints, type Tag } from './frames.ts';
import type { Attack, Scene, Station } from './scene.ts';

const randomMac = '06:5d:01:9a:7c:33';

/** All of them for one scene. */
export function linkLayerAttacks(scene: Scene): readonly Attack[] {
  return [...forgedMacs(scene), ...forgedAddresses(scene), ...tagged(scene), ...oddProtocols(scene)];
}

/** Frames that any container may send: they must arrive in the sender's tenant, or the attacks prove nothing. */
export function honestFrames({ attacker, ownPeers }: Scene): readonly Attack[] {
  const over = (family: 'ipv4' | 'ipv6'): Attack => ({
    name: `honest UDP over ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`,
    mayReachOwn: true,
    frames: (marker) => ownPeers.map((peer) => udpFrame({ srcMac: attacker.mac, dstMac: peer.mac, src: attacker[family], dst: peer[family] }, marker)),
  });
  return [over('ipv4'), over('ipv6'), { name: 'honest broadcast', mayReachOwn: true, frames: (marker) => [broadcastFrame(attacker, marker)] }];
}

/** A broadcast as a station may send it. */
export function broadcastFrame({ mac, ipv4 }: Station, marker: string): Buffer {
  return udpFrame({ srcMac: mac, dstMac: broadcastMac, src: ipv4, dst: '255.255.255.255' }, marker);
}

function forgedMacs({ attacker, ownPeers, victims, node }: Scene): readonly Attack[] {
  const forged = [
    { name: 'source MAC of a container of the own tenant on this node', mac: ownPeers[0].mac },
    { name: 'source MAC of a container of the own tenant on the other node', mac: ownPeers[1].mac },
    { name: 'source MAC of a container of another tenant', mac: victims[0].mac },
    { name: 'source MAC of the bridge', mac: node.bridgeMac },
    { name: 'source MAC at random', mac: randomMac },
  ];
  return forged.map(({ name, mac }) => ({
    name,
    mayReachOwn: false,
    frames: (marker) => destinations(ownPeers, victims).map((to) => udpFrame({ srcMac: mac, dstMac: to.mac, src: attacker.ipv4, dst: to.ipv4 }, marker)),
  }));
}

function forgedAddresses({ attacker, ownPeers, victims, node }: Scene): readonly Attack[] {
  const forged = [
    { name: 'source IPv4 of another container', src: ownPeers[1].ipv4 },
    { name: 'source IPv4 of the gateway', src: node.ownGateway.ipv4 },
    { name: 'source IPv4 from outside of the subnet', src: '198.51.100.7' },
    { name: "source IPv4 of the node's VTEP", src: node.ownVtep.includes(':') ? '10.200.0.11' : node.ownVtep },
    { name: 'source IPv6 of another container', src: ownPeers[1].ipv6 },
    { name: 'source IPv6 link-local of another container', src: ownPeers[1].linkLocal },
    { name: 'source IPv6 of the gateway', src: node.ownGateway.ipv6 },
    { name: 'source IPv6 link-local of the bridge', src: linkLocalOf(node.bridgeMac) },
  ];
  return forged.map(({ name, src }) => ({
    name,
    mayReachOwn: false,
    frames: (marker) =>
      destinations(ownPeers, victims).map((to) =>
        udpFrame({ srcMac: attacker.mac, dstMac: to.mac, src, dst: src.includes(':') ? to.ipv6 : to.ipv4 }, marker),
      ),
  }));
}

function tagged(scene: Scene): readonly Attack[] {
  const { attacker, ownPeers, victims, ownVni, foreignVni } = scene;
  const honest = { src: attacker.ipv4, dst: ownPeers[1].ipv4 };
  const lying = { src: ownPeers[1].ipv4, dst: ownPeers[0].ipv4 };
  const attack = (name: string, tags: readonly Tag[], { isLying = false, mac = attacker.mac } = {}): Attack => ({
    name,
    mayReachOwn: !isLying,
    frames: (marker) =>
      destinations(ownPeers, victims).map((to) => udpFrame({ srcMac: mac, dstMac: to.mac, tags, ...(isLying ? lying : honest) }, marker)),
  });
  return [
    attack(`802.1Q tag ${ownVni}, the own VNI`, [{ type: 'vlan', id: ownVni }]),
    attack(`802.1Q tag ${foreignVni}, the other VNI`, [{ type: 'vlan', id: foreignVni }]),
    attack('802.1Q tag 1', [{ type: 'vlan', id: 1 }]),
    attack(`802.1ad tag ${foreignVni}`, [{ type: 'serviceVlan', id: foreignVni }]),
    attack(`802.1ad tag ${foreignVni} around 802.1Q tag ${foreignVni}`, [{ type: 'serviceVlan', id: foreignVni }, { type: 'vlan', id: foreignVni }]),
    attack('priority tag', [{ type: 'vlan', id: 0 }]),
    // A receiver takes the tag with id 0 off and believes what is behind it.
    attack('forged source IPv4 behind a priority tag', [{ type: 'vlan', id: 0 }], { isLying: true }),
    attack('forged source IPv4 behind an 802.1ad priority tag', [{ type: 'serviceVlan', id: 0 }], { isLying: true }),
    attack('forged source IPv4 behind two priority tags', [{ type: 'vlan', id: 0 }, { type: 'vlan', id: 0 }], { isLying: true }),
    attack('forged source MAC behind a tag', [{ type: 'vlan', id: foreignVni }], { isLying: true, mac: randomMac }),
  ];
}

function oddProtocols({ attacker, ownPeers, victims }: Scene): readonly Attack[] {
  const { mac } = attacker;
  const toAll = (type: number) => (marker: string): readonly Buffer[] =>
    [broadcastMac, ...destinations(ownPeers, victims).map((dst) => dst.mac)].map((dst) => ethernet({ dst, src: mac, type }, Buffer.from(marker)));
  return [
    { name: 'unknown EtherType', mayReachOwn: true, frames: toAll(etherTypes.experimental) },
    { name: 'IPv4 EtherType around no IPv4 packet', mayReachOwn: true, frames: toAll(etherTypes.ipv4) },
    { name: 'spanning tree to 01:80:c2:00:00:00', mayReachOwn: true, frames: (marker) => [llcFrame({ dst: '01:80:c2:00:00:00', src: mac, sap: 0x42 }, Buffer.from(`\0\0\0\0${marker}`))] },
    { name: 'LLDP to 01:80:c2:00:00:0e', mayReachOwn: true, frames: (marker) => [ethernet({ dst: '01:80:c2:00:00:0e', src: mac, type: etherTypes.lldp }, Buffer.from(marker))] },
    { name: 'LLC to every MAC', mayReachOwn: true, frames: (marker) => victims.map((victim) => llcFrame({ dst: victim.mac, src: mac, sap: 0xaa }, Buffer.from(marker))) },
  ];
}

function destinations(ownPeers: Scene['ownPeers'], victims: Scene['victims']): readonly { readonly mac: string; readonly ipv4: string; readonly ipv6: string }[] {
  return [...ownPeers, ...victims, { mac: broadcastMac, ipv4: '255.255.255.255', ipv6: 'ff02::1' }];
}

interface UdpFrame extends Endpoints {
  readonly srcMac: string;
  readonly dstMac: string;
  readonly tags?: readonly Tag[];
}

function udpFrame({ srcMac, dstMac, tags = [], ...endpoints }: UdpFrame, marker: string): Buffer {
  const type = endpoints.src.includes(':') ? etherTypes.ipv6 : etherTypes.ipv4;
  return ethernet({ dst: dstMac, src: srcMac, type, tags }, udpPacket(endpoints, Buffer.from(marker)));
}
