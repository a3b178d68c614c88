/** What is done to the node by hand, and what the doctor must call it. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runIn } from '../../pkg/testing/command.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { networksOf, writeNetwork } from './scene.ts';

/** What is called by name in damages. */
export interface Names {
  readonly node: LabNode;
  /** The namespace of blue's container on the node. */
  readonly container: string;
  readonly hostIf: string;
  readonly mac: string;
  /** The other node's VTEP. */
  readonly peer: string;
}

/** One damage. */
export interface Damage {
  readonly what: string;
  /** Each id that it must lead to, and no other. */
  readonly ids: readonly string[];
  readonly damage: (names: Names) => void;
  /** Undoes what no daemon would. */
  readonly mend?: (names: Names) => void;
  /** Whether what the command of the first id prints shows the trouble. */
  readonly isShown: (output: string, names: Names) => boolean;
}

/** Lines of a shell in the node's namespace. */
function inNode(...lines: readonly string[]): Damage['damage'] {
  return ({ node }) => void runIn(node.netns, 'sh', '-e', '-c', lines.join('\n'));
}

const vteps = ['10.200.0.11/24', 'fd00:200::11/64'] as const;
const routesBack = ['ip route replace default via 10.200.0.1', 'ip -6 route replace default via fd00:200::1'] as const;

const segmentDamages: readonly Damage[] = [
  { what: 'the VXLAN device is gone', ids: ['segment-link'], damage: inNode('ip link del weft-vx1001'), isShown: (output) => output.includes('Device "weft-vx1001" does not exist') },
  { what: 'the bridge is down', ids: ['segment-link'], damage: inNode('ip link set weft-br1001 down'), isShown: (output) => /weft-br1001: <BROADCAST,MULTICAST>/.test(output) },
  { what: 'the peer is not in the flood list', ids: ['segment-fdb'], damage: ({ node, peer }) => void runIn(node.netns, 'bridge', 'fdb', 'del', '00:00:00:00:00:00', 'dev', 'weft-vx1001', 'dst', peer), isShown: (output, { peer }) => output.includes('master weft-br1001') && !output.includes(`00:00:00:00:00:00 dst ${peer}`) },
  { what: 'the bridge has another MTU', ids: ['segment-mtu'], damage: inNode('ip link set weft-br1001 mtu 1400'), isShown: (output) => /weft-br1001: .* mtu 1400/.test(output) },
  { what: 'the bridge has learned to snoop', ids: ['segment-setting'], damage: inNode('ip link set weft-br1001 type bridge mcast_snooping 1'), isShown: (output) => output.includes('mcast_snooping 1') },
  { what: 'an element of the guard is gone', ids: ['guard-element'], damage: ({ node, hostIf, mac }) => void runIn(node.netns, 'nft', 'delete', 'element', 'bridge', 'weft', 'ports', `{ "${hostIf}" . ${mac} }`), isShown: (output, { hostIf }) => output.includes('set ports') && !output.includes(hostIf) },
  { what: 'a chain of the guard is empty', ids: ['guard-rules'], damage: inNode('nft flush chain bridge weft from_container'), isShown: (output) => /chain from_container \{\s*\}/.test(output) },
];

const endpointDamages: readonly Damage[] = [
  { what: 'the host interface is down', ids: ['endpoint-link'], damage: ({ node, hostIf }) => void run('ip', ['-n', node.netns, 'link', 'set', hostIf, 'down']), isShown: (output) => /state DOWN|NO-CARRIER|M-DOWN/.test(output) },
  { what: 'the FDB entry is gone', ids: ['endpoint-fdb'], damage: ({ node, hostIf, mac }) => void runIn(node.netns, 'bridge', 'fdb', 'del', mac, 'dev', hostIf, 'master'), isShown: (output, { mac }) => !output.includes(`${mac} master`) },
  { what: 'the MTU in the container is too large', ids: ['container-mtu'], damage: ({ container }) => void run('ip', ['-n', container, 'link', 'set', 'eth0', 'mtu', '1500']), isShown: (output) => output.includes('mtu 1500') },
  { what: 'the container has lost its address', ids: ['container-address'], damage: ({ container }) => void run('ip', ['-n', container, 'address', 'del', '10.1.1.10/24', 'dev', 'eth0']), isShown: (output) => output.includes('eth0') && !output.includes('10.1.1.10/24') },
];

const underlayDamages: readonly Damage[] = [
  {
    what: 'the underlay link is down', ids: ['underlay-down'], damage: inNode('ip link set eth0 down'), isShown: (output) => /eth0.*state DOWN/.test(output),
    mend: inNode('ip link set eth0 up', `ip address replace ${vteps[1]} dev eth0 nodad`, ...routesBack),
  },
  {
    what: "the VTEP's address is gone", ids: ['vtep-missing'], damage: inNode(`ip address del ${vteps[0]} dev eth0`), isShown: (output) => !output.includes('10.200.0.11'),
    mend: inNode(`ip address add ${vteps[0]} dev eth0`, ...routesBack),
  },
  { what: 'there is no route to the peer', ids: ['peer-unroutable'], damage: ({ node, peer }) => void run('ip', ['-n', node.netns, 'route', 'add', 'unreachable', peer]), mend: ({ node, peer }) => void run('ip', ['-n', node.netns, 'route', 'del', 'unreachable', peer]), isShown: (output) => /No route to host|unreachable/i.test(output) },
  { what: 'the route to the peer is narrow', ids: ['peer-mtu'], damage: ({ node, peer }) => void run('ip', ['-n', node.netns, 'route', 'add', peer, 'dev', 'eth0', 'mtu', '1400']), mend: ({ node, peer }) => void run('ip', ['-n', node.netns, 'route', 'del', peer]), isShown: (output) => output.includes('mtu 1400') },
  { what: "the underlay's MTU leaves no room", ids: ['underlay-mtu'], damage: inNode('ip link set eth0 mtu 1400'), mend: inNode('ip link set eth0 mtu 1500'), isShown: (output) => output.includes('mtu 1400') },
  {
    what: 'another VXLAN device has the VNI and the port', ids: ['vxlan-foreign'], damage: inNode('ip link add foreign0 type vxlan id 1001 dstport 4789 local 10.200.0.11 gbp'), mend: inNode('ip link del foreign0'),
    isShown: (output) => /foreign0[^]*vxlan id 1001/.test(output),
  },
  {
    what: 'another VXLAN device stands in its place', ids: ['segment-link', 'vxlan-foreign'], damage: inNode('ip link del weft-vx1001', 'ip link add foreign0 type vxlan id 1001 dstport 4789 local 10.200.0.11'),
    mend: inNode('ip link del foreign0'), isShown: (output) => output.includes('Device "weft-vx1001" does not exist'),
  },
  { what: 'br_netfilter is on', ids: ['bridge-netfilter'], damage: inNode('sysctl -qw net.bridge.bridge-nf-call-iptables=1'), mend: inNode('sysctl -qw net.bridge.bridge-nf-call-iptables=0'), isShown: (output) => /bridge-nf-call-iptables = 1/.test(output) },
  {
    what: 'br_netfilter is on, and a chain drops what is forwarded', ids: ['forward-drop', 'bridge-netfilter'],
    damage: inNode('sysctl -qw net.bridge.bridge-nf-call-iptables=1', 'nft add table ip filter', "nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'"),
    mend: inNode('sysctl -qw net.bridge.bridge-nf-call-iptables=0', 'nft delete table ip filter'), isShown: (output) => output.includes('policy drop'),
  },
];

const fileDamages: readonly Damage[] = [
  {
    what: 'weft.yaml has an unknown key', ids: ['config-invalid'], damage: ({ node }) => writeFileSync(node.configPath, `node: ${node.name}\ntennants: []\n`), mend: ({ node }) => writeFileSync(node.configPath, `node: ${node.name}\n`),
    isShown: (output) => output.includes('tennants'),
  },
  {
    what: 'a network file is cut off', ids: ['conflist-unreadable'], damage: ({ node }) => writeFileSync(join(networksOf(node), '20-cut.conflist'), '{ "name": "cut", "plugins": [{ "type": "weft", '),
    mend: ({ node }) => rmSync(join(networksOf(node), '20-cut.conflist')), isShown: (output) => output.endsWith('"weft", '),
  },
  {
    what: 'a network has an unknown key', ids: ['conflist-refused'], damage: ({ node }) => void writeNetwork(node, '30-wrong.conflist', { cniVersion: '1.0.0', name: 'wrong', type: 'weft', vni: 4242, vteep: {} }),
    mend: ({ node }) => rmSync(join(networksOf(node), '30-wrong.conflist')), isShown: (output) => output.includes('vteep'),
  },
  {
    what: 'a network has the VNI of another tenant', ids: ['vni-shared'], damage: ({ node }) => void writeNetwork(node, '40-green.conflist', { cniVersion: '1.0.0', name: 'green', type: 'weft', vni: 1001, vtep: { address: node.ipv4 } }),
    mend: ({ node }) => rmSync(join(networksOf(node), '40-green.conflist')), isShown: (output) => output.includes('vxlan id 1001'),
  },
  {
    what: "a network's VTEP is on no link", ids: ['vtep-unknown'], damage: ({ node }) => void writeNetwork(node, '50-far.conflist', { cniVersion: '1.0.0', name: 'far', type: 'weft', vni: 4243, vtep: { interface: 'eth7' } }),
    mend: ({ node }) => rmSync(join(networksOf(node), '50-far.conflist')), isShown: (output) => output.includes('eth0') && !output.includes('eth7'),
  },
];

/** All of them, each independent of the others. */
export const damages: readonly Damage[] = [...segmentDamages, ...endpointDamages, ...underlayDamages, ...fileDamages];
