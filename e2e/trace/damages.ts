/** What is done to a node by hand, and the step at which a packet must stop. */
import { run, runIn } from '../../pkg/testing/command.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { gateway, outside, type Scene } from './scene.ts';

/** One damage. */
export interface Damage {
  readonly what: string;
  /** The step that says it. */
  readonly id: string;
  /** Whom the packet is for. @default 'far' */
  readonly to?: 'near' | 'far' | 'outside' | 'gateway' | 'nobody';
  /** Whether it is found where the packet arrives, on the other node. */
  readonly isFoundThere?: true;
  /** Bytes of the packet. */
  readonly size?: number;
  /** Whether the sender has to ask again for whom it knows. */
  readonly isForgotten?: true;
  readonly damage: (scene: Scene) => void;
  /** Absent: what a daemon mends. */
  readonly mend?: (scene: Scene) => void;
}

/** Lines of a shell in a node's namespace. */
function onNode(number: number, lines: (scene: Scene) => readonly string[]): Damage['damage'] {
  return (scene) => void runIn(scene.lab.node(number).netns, 'sh', '-e', '-c', lines(scene).join('\n'));
}

/** Lines of `ip` in a namespace. */
function ip(netns: string, ...lines: readonly string[]): void {
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}

function vtepOf({ lab }: Scene, number: number): string {
  return lab.node(number).ipv4;
}

const ports = (verb: 'add' | 'delete') => ({ sender: { hostIf, mac } }: Scene): readonly string[] => [`nft ${verb} element bridge weft ports '{ "${hostIf}" . ${mac} }'`];
const addresses = (verb: 'add' | 'delete') => ({ sender: { hostIf, ipv4 } }: Scene): readonly string[] => [`nft ${verb} element bridge weft addresses4 '{ "${hostIf}" . ${ipv4} }'`];
const gatewayPorts = (verb: 'add' | 'delete') => ({ sender: { hostIf } }: Scene): readonly string[] => [`nft ${verb} element bridge weft gateway_ports '{ "${hostIf}" }'`];

/** In the container, and at its host interface. */
const senderDamages: readonly Damage[] = [
  { what: "the sender's interface is down", id: 'container-link', damage: ({ sender }) => ip(sender.netns, 'link set eth0 down'), mend: ({ sender }) => ip(sender.netns, 'link set eth0 up', `route add default via ${gateway[4]}`) },
  { what: 'the sender has lost its address', id: 'container-address', damage: ({ sender }) => ip(sender.netns, `address del ${sender.ipv4}/24 dev eth0`), mend: ({ sender }) => ip(sender.netns, `address add ${sender.ipv4}/24 dev eth0`, `route add default via ${gateway[4]}`) },
  { what: 'a route leads nowhere', id: 'container-route', damage: ({ sender, far }) => ip(sender.netns, `route add unreachable ${far.ipv4}`), mend: ({ sender, far }) => ip(sender.netns, `route del unreachable ${far.ipv4}`) },
  { what: 'the packet is too large for the interface', id: 'container-mtu', size: 1480, damage: () => undefined, mend: () => undefined },
  { what: 'the container thinks it could send more', id: 'host-link', size: 1480, damage: ({ sender }) => ip(sender.netns, 'link set eth0 mtu 1500'), mend: ({ sender }) => ip(sender.netns, 'link set eth0 mtu 1450') },
  { what: 'both ends of the port think so', id: 'underlay-mtu', size: 1480, damage: ({ sender, lab }) => { ip(sender.netns, 'link set eth0 mtu 1500'); ip(lab.node(1).netns, `link set ${sender.hostIf} mtu 1500`); }, mend: ({ sender, lab }) => { ip(sender.netns, 'link set eth0 mtu 1450'); ip(lab.node(1).netns, `link set ${sender.hostIf} mtu 1450`); } },
  { what: 'the neighbour has not answered', id: 'answer', to: 'nobody', damage: ({ sender }) => ip(sender.netns, 'neigh replace 10.1.1.99 dev eth0 nud failed'), mend: () => undefined },
  { what: 'the neighbour is known by a wrong MAC', id: 'container-neighbour', to: 'near', damage: ({ sender, near }) => ip(sender.netns, `neigh replace ${near.ipv4} lladdr 02:00:00:00:00:99 dev eth0 nud permanent`), mend: ({ sender, near }) => ip(sender.netns, `neigh del ${near.ipv4} dev eth0`) },
  { what: 'the host interface is down', id: 'host-link', to: 'near', damage: onNode(1, ({ sender }) => [`ip link set ${sender.hostIf} down`]), mend: onNode(1, ({ sender }) => [`ip link set ${sender.hostIf} up`]) },
  { what: 'the shaper is down', id: 'bandwidth', to: 'near', damage: onNode(1, ({ sender }) => [`ip link set weft-i${sender.hostIf.slice(6)} down`]), mend: onNode(1, ({ sender }) => [`ip link set weft-i${sender.hostIf.slice(6)} up`]) },
  { what: "the guard has lost the port", id: 'guard', to: 'near', damage: onNode(1, ports('delete')), mend: onNode(1, ports('add')) },
  { what: "the guard has lost the address", id: 'guard', to: 'near', damage: onNode(1, addresses('delete')), mend: onNode(1, addresses('add')) },
  { what: 'the host interface is in another bridge', id: 'bridge-port', to: 'near', damage: onNode(1, ({ sender }) => ['ip link add foreign0 type bridge', 'ip link set foreign0 up', `ip link set ${sender.hostIf} master foreign0`]), },
];

/** On the bridge, and at who receives. */
const nearDamages: readonly Damage[] = [
  { what: 'the bridge has lost the MAC', id: 'fdb', to: 'near', damage: onNode(1, ({ near }) => [`bridge fdb del ${near.mac} dev ${near.hostIf} master`]), mend: onNode(1, ({ near }) => [`bridge fdb replace ${near.mac} dev ${near.hostIf} master static`]) },
  { what: 'the bridge has the MAC behind the tunnel', id: 'fdb', to: 'near', damage: onNode(1, ({ near }) => [`bridge fdb replace ${near.mac} dev weft-vx1001 master static`]), mend: onNode(1, ({ near }) => [`bridge fdb replace ${near.mac} dev ${near.hostIf} master static`]) },
  { what: 'the bridge is down', id: 'bridge-port', to: 'near', damage: onNode(1, () => ['ip link set weft-br1001 down']), mend: onNode(1, () => ['ip link set weft-br1001 up']) },
  { what: "the receiver's host interface is down", id: 'delivery-link', to: 'near', damage: onNode(1, ({ near }) => [`ip link set ${near.hostIf} down`]), mend: onNode(1, ({ near }) => [`ip link set ${near.hostIf} up`]) },
  { what: "the receiver's interface is down, and it is asked", id: 'delivery-container', to: 'near', isForgotten: true, damage: ({ near }) => ip(near.netns, 'link set eth0 down'), mend: ({ near }) => ip(near.netns, 'link set eth0 up') },
  { what: 'the receiver has lost its address', id: 'delivery-address', to: 'near', damage: ({ near }) => ip(near.netns, `address del ${near.ipv4}/24 dev eth0`), mend: ({ near }) => ip(near.netns, `address add ${near.ipv4}/24 dev eth0`) },
  { what: 'the guard drops what the receiver would answer', id: 'answer', to: 'near', isForgotten: true, damage: onNode(1, ({ near }) => [`nft delete element bridge weft ports '{ "${near.hostIf}" . ${near.mac} }'`]), mend: onNode(1, ({ near }) => [`nft add element bridge weft ports '{ "${near.hostIf}" . ${near.mac} }'`]) },
];

/** By the tunnel, over the underlay. */
const farDamages: readonly Damage[] = [
  { what: 'the VXLAN device is down', id: 'tunnel', damage: onNode(1, () => ['ip link set weft-vx1001 down']), mend: onNode(1, () => ['ip link set weft-vx1001 up']) },
  { what: 'the VXLAN device is gone', id: 'tunnel', damage: onNode(1, () => ['ip link del weft-vx1001']) },
  { what: 'the VXLAN device knows no VTEP', id: 'tunnel-fdb', damage: onNode(1, (scene) => [`bridge fdb del 00:00:00:00:00:00 dev weft-vx1001 dst ${vtepOf(scene, 2)}`, `bridge fdb del ${scene.far.mac} dev weft-vx1001 self`, `bridge fdb replace ${scene.far.mac} dev weft-vx1001 master static`]), mend: onNode(1, (scene) => [`bridge fdb del ${scene.far.mac} dev weft-vx1001 master`, `bridge fdb append 00:00:00:00:00:00 dev weft-vx1001 dst ${vtepOf(scene, 2)}`]) },
  { what: 'the VXLAN device has the MAC at a wrong VTEP', id: 'tunnel-peer', damage: onNode(1, ({ far }) => [`bridge fdb replace ${far.mac} dev weft-vx1001 dst 10.200.0.99 self static`]), mend: onNode(1, ({ far }) => [`bridge fdb del ${far.mac} dev weft-vx1001 dst 10.200.0.99 self`]) },
  { what: "the VTEP's address is gone", id: 'underlay-vtep', damage: onNode(1, (scene) => [`ip address del ${vtepOf(scene, 1)}/24 dev eth0`]), mend: onNode(1, (scene) => [`ip address add ${vtepOf(scene, 1)}/24 dev eth0`, `ip route replace default via ${outside[4]}`]) },
  { what: 'no route leads to the VTEP', id: 'underlay-route', damage: onNode(1, (scene) => [`ip route add unreachable ${vtepOf(scene, 2)}`]), mend: onNode(1, (scene) => [`ip route del unreachable ${vtepOf(scene, 2)}`]) },
  { what: 'the route to the VTEP is narrow', id: 'underlay-mtu', size: 1400, damage: onNode(1, (scene) => [`ip route add ${vtepOf(scene, 2)} dev eth0 mtu 1400`]), mend: onNode(1, (scene) => [`ip route del ${vtepOf(scene, 2)}`]) },
  { what: 'the underlay has no carrier', id: 'underlay-link', damage: ({ lab }) => ip(lab.underlayNetns, 'link set port1 down'), mend: ({ lab }) => ip(lab.underlayNetns, 'link set port1 up') },
  { what: "the other node's link is down, and nobody answers for it", id: 'underlay-neighbour', damage: (scene) => { ip(scene.lab.underlayNetns, 'link set port2 down'); ip(scene.lab.node(1).netns, `neigh replace ${vtepOf(scene, 2)} dev eth0 nud failed`); }, mend: (scene) => { ip(scene.lab.underlayNetns, 'link set port2 up'); ip(scene.lab.node(1).netns, 'neigh flush dev eth0'); } },
  { what: 'there the guard does not take the VTEP', id: 'arrival-guard', isFoundThere: true, damage: onNode(2, (scene) => [`nft delete element inet weft vteps4 "$(nft list set inet weft vteps4 | grep -o '${vtepOf(scene, 1)} \\. [0-9]* \\. 0x[0-9a-f]*' | sed 's/.*/{ & }/' | head -1)"`]) },
  { what: 'there the VXLAN device is down', id: 'tunnel', isFoundThere: true, damage: onNode(2, () => ['ip link set weft-vx1001 down']), mend: onNode(2, () => ['ip link set weft-vx1001 up']) },
  { what: 'there the bridge has lost the MAC', id: 'fdb', isFoundThere: true, damage: onNode(2, ({ far }) => [`bridge fdb del ${far.mac} dev ${far.hostIf} master`]), mend: onNode(2, ({ far }) => [`bridge fdb replace ${far.mac} dev ${far.hostIf} master static`]) },
  { what: 'there the host interface is down', id: 'delivery-link', isFoundThere: true, damage: onNode(2, ({ far }) => [`ip link set ${far.hostIf} down`]), mend: onNode(2, ({ far }) => [`ip link set ${far.hostIf} up`]) },
  { what: 'there the container has lost its address', id: 'delivery-address', isFoundThere: true, damage: ({ far }) => ip(far.netns, `address del ${far.ipv4}/24 dev eth0`), mend: ({ far }) => ip(far.netns, `address add ${far.ipv4}/24 dev eth0`, `route add default via ${gateway[4]}`) },
];

/** By the gateway. */
const gatewayDamages: readonly Damage[] = [
  { what: 'the guard keeps the port from the gateway', id: 'answer', to: 'outside', isForgotten: true, damage: onNode(1, gatewayPorts('delete')), mend: onNode(1, gatewayPorts('add')) },
  { what: 'the node does not forward', id: 'gateway-forwarding', to: 'outside', damage: onNode(1, () => ['sysctl -qw net.ipv4.ip_forward=0']), mend: onNode(1, () => ['sysctl -qw net.ipv4.ip_forward=1']) },
  { what: 'the node has no route there', id: 'gateway-route', to: 'outside', damage: onNode(1, () => [`ip route add unreachable ${outside[4]}`]), mend: onNode(1, () => [`ip route del unreachable ${outside[4]}`]) },
  { what: 'the way out has no carrier', id: 'gateway-link', to: 'outside', damage: ({ lab }) => ip(lab.underlayNetns, 'link set port1 down'), mend: ({ lab }) => ip(lab.underlayNetns, 'link set port1 up') },
];

export const damages: readonly Damage[] = [...senderDamages, ...nearDamages, ...farDamages, ...gatewayDamages];

/** To Open vSwitch and its flows. */
export const switchDamages: readonly Damage[] = [
  { what: "the sender's flows are gone", id: 'switch-flow', to: 'near', damage: ({ lab, sender }) => void openVSwitch(lab.node(1), `dl_src=${sender.mac}`) },
  { what: "the receiver's flow is gone", id: 'switch-flow', to: 'near', damage: ({ lab, near }) => void openVSwitch(lab.node(1), `table=20,dl_dst=${near.mac}`) },
  { what: 'nothing leads to other nodes', id: 'answer', isForgotten: true, damage: ({ lab }) => void openVSwitch(lab.node(1), 'table=30') },
  { what: 'there nobody takes the VTEP', id: 'switch-flow', isFoundThere: true, damage: (scene) => void openVSwitch(scene.lab.node(2), `table=0,tun_src=${vtepOf(scene, 1)}`) },
  { what: "the sender's interface is no port of the bridge", id: 'switch-port', to: 'near', damage: ({ lab, sender }) => void lab.node(1).openVSwitch.vsctl('del-port', 'weft-int', sender.hostIf) },
];

function openVSwitch(node: LabNode, match: string): string {
  return node.openVSwitch.ofctl('del-flows', 'weft-int', match);
}
