/** Using a node as a router into another tenant, through the gateway or past it. Pure. */
import { ethernet, etherTypes, udpPacket } from './frames.ts';
import type { Attack, Scene } from './scene.ts';

/** All of them for one scene. Where a tenant has no gateway, the node must not take the packets at all. */
export function routingAttacks({ attacker, victims, node }: Scene): readonly Attack[] {
  const routers = [
    { name: "the bridge's MAC", mac: node.bridgeMac },
    { name: "the host interface's MAC", mac: node.hostIfMac },
  ];
  return routers.flatMap(({ name, mac }) =>
    (['ipv4', 'ipv6'] as const).map((family) => ({
      name: `${family === 'ipv4' ? 'IPv4' : 'IPv6'} to the other tenant's addresses by way of ${name}`,
      mayReachOwn: true,
      frames: (marker: string) =>
        [...victims, { [family]: node.foreignGateway[family] }].map((target) =>
          ethernet({ dst: mac, src: attacker.mac, type: etherTypes[family] }, udpPacket({ src: attacker[family], dst: target[family] ?? '' }, Buffer.from(marker))),
        ),
    })),
  );
}
