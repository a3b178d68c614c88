/** What is done to the node by hand, one after another, and the words in which the daemon must name it. */
import type { DatapathName } from '../harness/lab-node.ts';
import { shell, type Damage, type Names } from './damage.ts';

/** Damages that there are with every datapath, and with Linux bridges or Open vSwitch alone. */
interface Table extends Readonly<Record<DatapathName, readonly Damage[]>> {
  readonly both: readonly Damage[];
}

function on(datapath: DatapathName, table: Table): readonly Damage[] {
  return [...table.both, ...table[datapath]];
}

/** Links and their settings. The gateway's is a bridge of the kernel, or a port of the switch of the same name, whose MTU and MAC the switch itself sets back. */
export function linkDamages({ bridge, vxlan, hostIf, otherIf, shaper }: Names, datapath: DatapathName): readonly Damage[] {
  const both = [
    { command: `ip link del ${hostIf}`, names: [`the host interface ${hostIf} is missing: made anew`] },
    { command: `ip link del ${otherIf}`, names: [`the host interface ${otherIf} is missing: made anew`] },
    { command: `ip link set ${hostIf} down`, names: [`${hostIf} is down`] },
    { command: `ip link set ${hostIf} mtu 1400`, names: [`${hostIf} has MTU 1400 instead of 1450`] },
    { command: `ip link set ${hostIf} arp on`, names: [`the host speaks ARP on ${hostIf}`] },
    { command: `ip link set ${hostIf} alias mine`, names: [`${hostIf} has lost its description`] },
    { command: `ip link set ${bridge} down`, names: [`${bridge} is down`] },
  ];
  return on(datapath, { both, bridge: [
    { command: `ip link set ${bridge} address 02:00:00:00:00:77`, names: [`${bridge} has MAC 02:00:00:00:00:77`] },
    { command: `ip link set ${bridge} mtu 1400`, names: [`${bridge} has MTU 1400 instead of 1450`] },
    { command: `ip link del ${bridge}`, names: [`bridge ${bridge} is missing`, `${hostIf} is not a port of ${bridge}`, `${otherIf} is not a port of ${bridge}`] },
    { command: `ip link del ${vxlan}`, names: [`VXLAN device ${vxlan} is missing`] },
    { command: `ip link set ${vxlan} down`, names: [`${vxlan} is down`] },
    { command: `ip link set ${vxlan} nomaster`, names: [`${vxlan} is not a port of ${bridge}`] },
    { command: `ip link set ${hostIf} nomaster`, names: [`${hostIf} is not a port of ${bridge}`] },
    shell(`ip link del ${vxlan} && ip link add ${vxlan} type vxlan id 4242 dstport 4789 local 10.200.0.11`, [`${vxlan} has VNI 4242 instead of 1001: replaced`]),
    shell(`ip link del ${vxlan} && ip link add ${vxlan} type vxlan id 1001 dstport 4790 local 10.200.0.11`, [`${vxlan} has UDP port 4790 instead of 4789: replaced`]),
    { command: `ip link set ${vxlan} mtu 1400`, names: [`${vxlan} has MTU 1400`] },
    { command: `ip link set ${bridge} type bridge stp_state 1`, names: [`the bridge option stp of ${bridge} is on`] },
    { command: `ip link set ${bridge} type bridge mcast_snooping 1`, names: [`the bridge option multicastSnooping of ${bridge} is on`] },
    { command: `ip link set ${vxlan} type vxlan nolearning`, names: [`${vxlan} does not learn MACs`] },
    { command: `ip link set ${vxlan} type bridge_slave flood off`, names: [`option unicastFlood of ${vxlan} is off`] },
    { command: `ip link set ${hostIf} type bridge_slave learning on`, names: [`option learning of ${hostIf} is on`] },
    { command: `ip link set ${hostIf} type bridge_slave flood on`, names: [`option unicastFlood of ${hostIf} is on`] },
    { command: `ip link set ${hostIf} type bridge_slave bcast_flood off`, names: [`option broadcastFlood of ${hostIf} is off`] },
    { command: `ip link set ${vxlan} addrgenmode random`, names: [`${vxlan} has IPv6 link-local addresses`] },
    { command: `ip link del ${shaper}`, names: ['the limit of 40000000 bit/s from the container is missing'] },
    { command: `ip link set ${shaper} down`, names: ['the limit of 40000000 bit/s from the container is missing'] },
  ], ovs: [
    { command: `ip link set ${bridge} mtu 1400`, names: [] },
    { command: `ip link set ${bridge} address 02:00:00:00:00:77`, names: [] },
    { command: `ip link set ${bridge} alias mine`, names: [`${bridge} has lost its description`] },
    { command: `ip link set ${bridge} addrgenmode random`, names: [`${bridge} has IPv6 link-local addresses`] },
    { command: `ip link set ${hostIf} addrgenmode random`, names: [`${hostIf} has IPv6 link-local addresses`] },
  ] });
}

/** Forwarding databases, addresses, routes, limits, sysctls. With a switch the limit of what a container sends stands inside. */
export function tableDamages({ bridge, vxlan, hostIf, shaper, mac }: Names, datapath: DatapathName): readonly Damage[] {
  const [to, from] = ['the limit of 80000000 bit/s to the container is missing', 'the limit of 40000000 bit/s from the container is missing'];
  const both = [
    { command: `ip address del 10.1.1.1/24 dev ${bridge}`, names: ['the bridge lacks the gateway address 10.1.1.1/24'] },
    { command: `ip address del fd00:1::1/64 dev ${bridge}`, names: ['the bridge lacks the gateway address fd00:1::1/64'] },
    { command: `ip address add 10.1.1.99/24 dev ${bridge}`, names: [`${bridge} has the address 10.1.1.99/24`] },
    { command: `ip route del 10.1.1.0/24 dev ${bridge}`, names: [`the node does not send to 10.1.1.0/24 by ${bridge}`] },
    { command: `ip -6 route del fd00:1::/64 dev ${bridge}`, names: [`the node does not send to fd00:1::/64 by ${bridge}`] },
    { command: 'sysctl -q -w net.ipv4.ip_forward=0', names: ['the sysctl net.ipv4.ip_forward is 0'], isSilent: true },
    { command: 'sysctl -q -w net.ipv6.conf.all.forwarding=0', names: ['the sysctl net.ipv6.conf.all.forwarding is 0'], isSilent: true },
    { command: `sysctl -q -w net.ipv4.conf.${bridge}.arp_ignore=0`, names: [`the sysctl net.ipv4.conf.${bridge}.arp_ignore is 0`], isSilent: true },
    { command: `tc qdisc del dev ${hostIf} root`, names: [to] },
    { command: `tc qdisc replace dev ${hostIf} root pfifo`, names: [to] },
    { command: `tc qdisc change dev ${hostIf} root tbf rate 1mbit burst 16kb limit 64kb`, names: [to], isSilent: true },
  ];
  return on(datapath, { both, bridge: [
    { command: `bridge fdb del 00:00:00:00:00:00 dev ${vxlan} dst 10.200.0.2`, names: [`the flood list of ${vxlan} lacks the peer 10.200.0.2`] },
    { command: `bridge fdb append 00:00:00:00:00:00 dev ${vxlan} dst 10.200.0.66`, names: [`the flood list of ${vxlan} has 10.200.0.66, which is no peer`], isSilent: true },
    { command: `bridge fdb del ${mac} dev ${hostIf} master`, names: [`the FDB entry of ${mac} at ${hostIf} is missing`] },
    { command: `bridge fdb add 02:00:00:00:00:98 dev ${hostIf} master static`, names: [`${hostIf} has a static FDB entry of 02:00:00:00:00:98`], isSilent: true },
    { command: `tc qdisc del dev ${hostIf} ingress`, names: [from] },
    { command: `tc filter del dev ${hostIf} ingress`, names: [from] },
    { command: `tc qdisc del dev ${shaper} root`, names: [from] },
  ], ovs: [
    { where: 'container', command: 'tc qdisc del dev eth0 root', names: [from], isSilent: true },
    { where: 'container', command: 'tc qdisc change dev eth0 root tbf rate 1mbit burst 16kb limit 64kb', names: [from], isSilent: true },
  ] });
}

/** The guard. Nothing of it leaves the other tenant's ports without their elements; on a switch they have none, for its guard is flows. */
export function guardDamages({ hostIf, mac }: Names, datapath: DatapathName): readonly Damage[] {
  const element = (set: string): string => `the guard lacks an element of the nft set ${set}`;
  const chain = (name: string): string => `the guard's nft chain ${name} does not have the rules it was made with`;
  const both = [
    { command: 'nft delete table bridge weft', names: ['the guard lacks the nft table bridge weft'] },
    { command: 'nft delete table inet weft', names: ['the guard lacks the nft table inet weft'] },
    { command: 'nft delete table inet weft-gateway', names: ['the guard lacks the nft table inet weft-gateway'] },
    { command: 'nft flush chain bridge weft from_container', names: [chain('bridge weft from_container')] },
    { command: 'nft flush chain inet weft input', names: [chain('inet weft input')] },
    { command: 'nft insert rule inet weft input accept', names: [chain('inet weft input')] },
    { command: 'nft insert rule bridge weft prerouting accept', names: [chain('bridge weft prerouting')] },
    { command: 'nft add chain bridge weft mine', names: [chain('bridge weft mine')] },
    { command: 'nft add table bridge weft { flags dormant; }', names: ["the guard's nft table bridge weft is dormant"] },
    { command: 'nft flush set inet weft-gateway masqueraded', names: [element('inet weft-gateway masqueraded')] },
  ];
  return on(datapath, { both, bridge: [
    { command: `nft delete element bridge weft ports { "${hostIf}" . ${mac} }`, names: [element('bridge weft ports')] },
    { command: `nft delete element bridge weft addresses4 { "${hostIf}" . 10.1.1.10 }`, names: [element('bridge weft addresses4')] },
    { command: `nft delete element bridge weft addresses6 { "${hostIf}" . fd00:1::10 }`, names: [element('bridge weft addresses6')] },
    { command: 'nft flush set inet weft vteps4', names: [element('inet weft vteps4')] },
    { command: 'nft flush ruleset', names: ['the guard lacks the nft table bridge weft', 'the guard lacks the nft table inet weft-gateway'] },
  ], ovs: [] });
}

/** Inside the container. */
export function containerDamages({ mac }: Names): readonly Damage[] {
  return [
    { where: 'container', command: 'ip address del 10.1.1.10/24 dev eth0', names: ['the container lacks the address 10.1.1.10/24'] },
    { where: 'container', command: 'ip address del fd00:1::10/64 dev eth0', names: ['the container lacks the address fd00:1::10/64'] },
    { where: 'container', command: 'ip address flush dev eth0 scope global', names: ['the container lacks the address 10.1.1.10/24', 'the container lacks the address fd00:1::10/64', 'the container lacks the route to 0.0.0.0/0'] },
    { where: 'container', command: 'ip route del default', names: ['the container lacks the route to 0.0.0.0/0'] },
    { where: 'container', command: 'ip -6 route del default', names: ['the container lacks the route to ::/0'] },
    { where: 'container', command: 'ip route replace default via 10.1.1.77', names: ['the container lacks the route to 0.0.0.0/0'], isSilent: true },
    { where: 'container', command: 'ip link set eth0 address 02:00:00:00:00:99', names: [`the container's interface eth0 has MAC 02:00:00:00:00:99 instead of ${mac}`] },
    { where: 'container', command: 'ip link set eth0 mtu 1500', names: ["the container's interface eth0 has MTU 1500 instead of 1450"] },
    { where: 'container', command: 'ip link del eth0', names: ['is missing: made anew'] },
  ];
}
