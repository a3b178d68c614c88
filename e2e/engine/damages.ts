/** What somebody may do to a node behind weft's back, and the words in which CHECK must name it. */
import { run, runIn } from '../../pkg/testing/command.ts';
import type { CniOutcome } from '../harness/cni-call.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import { integrationBridge, readSwitch } from '../harness/node-switch.ts';
import { hostIfOf, macOf, peer } from './site.ts';

const bridge = 'weft-br1001';
const vxlan = 'weft-vx1001';
const flood = '00:00:00:00:00:00';

/** {host} stands for the host's end of the attachment, {mac} for the container's MAC, {tunnel} for the switch's tunnel. */
export interface Damage {
  readonly name: string;
  /** Lines of `ip`, run on the node. */
  readonly onNode?: readonly string[];
  /** Lines of `ip`, run in the container. */
  readonly inContainer?: readonly string[];
  /** A line of another program, run on the node. */
  readonly command?: string;
  /** Lines of the switch's own tools. */
  readonly vsctl?: string;
  readonly ofctl?: string;
  readonly words: RegExp;
}

/** Whatever wires the tenant. */
const everywhere: readonly Damage[] = [
  { name: 'the host interface is down', onNode: ['link set {host} down'], words: /host interface weft-p\w+ is down/ },
  { name: 'the host interface has another MTU', onNode: ['link set {host} mtu 1300'], words: /host interface weft-p\w+ has MTU 1300 instead of 1450/ },
  { name: 'the veth is gone', onNode: ['link del {host}'], words: /host interface weft-p\w+ is missing; the container's interface eth0 is missing/ },
  { name: "the container's interface is down", inContainer: ['link set eth0 down'], words: /container's interface eth0 is down/ },
  { name: "the container's interface has another MTU", inContainer: ['link set eth0 mtu 1400'], words: /container's interface eth0 has MTU 1400 instead of 1450/ },
  { name: "the container's interface has another MAC", inContainer: ['link set eth0 address 02:00:00:00:00:99'], words: /container's interface eth0 has MAC 02:00:00:00:00:99 instead of/ },
  { name: "the container's interface has another name", inContainer: ['link set eth0 down', 'link set eth0 name eth9'], words: /container's interface eth0 is missing/ },
  { name: "the container's interface is another one", inContainer: ['link del eth0', 'link add eth0 type bridge'], words: /container's interface eth0 is no veth/ },
  { name: 'an IPv4 address is gone', inContainer: ['addr flush dev eth0 scope global to 10.1.1.0/24'], words: /container lacks the address 10\.1\.1\.\d+\/24/ },
  { name: 'an IPv6 address is gone', inContainer: ['addr flush dev eth0 scope global to fd00:1::/64'], words: /container lacks the address fd00:1::\w+\/64/ },
  { name: 'an IPv4 route is gone', inContainer: ['route del default'], words: /container lacks the route to 0\.0\.0\.0\/0/ },
  { name: 'an IPv6 route is gone', inContainer: ['-6 route del 2001:db8::/32'], words: /container lacks the route to 2001:db8::\/32/ },
  { name: 'a route has another gateway', inContainer: ['route replace default via 10.1.1.9'], words: /container lacks the route to 0\.0\.0\.0\/0/ },
];

const onBridges: readonly Damage[] = [
  { name: 'the host interface is no port of the bridge', onNode: ['link set {host} nomaster'], words: /host interface weft-p\w+ is not a port of weft-br1001/ },
  { name: "the MAC's FDB entry is gone", command: 'bridge fdb del {mac} dev {host} master', words: /the FDB entry of \S+ at weft-p\w+ is missing/ },
  { name: 'the bridge is gone', onNode: [`link del ${bridge}`], words: /tenant's bridge weft-br1001 is missing/ },
  { name: 'the bridge is down', onNode: [`link set ${bridge} down`], words: /weft-br1001 is down/ },
  { name: 'the VXLAN device is gone', onNode: [`link del ${vxlan}`], words: /tenant's VXLAN device weft-vx1001 is missing/ },
  { name: 'the VXLAN device is down', onNode: [`link set ${vxlan} down`], words: /weft-vx1001 is down/ },
  { name: 'the VXLAN device is no port of the bridge', onNode: [`link set ${vxlan} nomaster`], words: /weft-vx1001 is not a port of weft-br1001/ },
  { name: 'the VXLAN device has a smaller MTU', onNode: [`link set ${vxlan} mtu 1400`], words: /weft-vx1001 has MTU 1400, less than/ },
  {
    name: 'the VXLAN device has another VNI',
    onNode: [`link del ${vxlan}`, `link add ${vxlan} mtu 1500 master ${bridge} type vxlan id 9 local 10.200.0.11 dstport 4789`, `link set ${vxlan} up`],
    words: /weft-vx1001 has VNI 9 instead of 1001/,
  },
  {
    name: 'the VXLAN device has another VTEP address',
    onNode: [`link del ${vxlan}`, `link add ${vxlan} mtu 1500 master ${bridge} type vxlan id 1001 local 10.200.0.99 dstport 4789`, `link set ${vxlan} up`],
    words: /weft-vx1001 does not use the VTEP address 10\.200\.0\.11/,
  },
  { name: 'a peer is missing in the flood list', command: `bridge fdb del ${flood} dev ${vxlan} dst ${peer}`, words: /flood list of weft-vx1001 lacks the peer 10\.200\.0\.12/ },
  { name: "a port's element of the guard is gone", command: 'nft flush set bridge weft ports', words: /guard lacks an element of the nft set bridge weft ports/ },
  { name: "an address's element of the guard is gone", command: 'nft flush set bridge weft addresses4', words: /guard lacks an element of the nft set bridge weft addresses4/ },
  { name: "the VNI's element of the guard is gone", command: 'nft flush set inet weft segments', words: /guard lacks an element of the nft set inet weft segments/ },
  { name: "a VTEP's element of the guard is gone", command: 'nft flush set inet weft vteps4', words: /guard lacks an element of the nft set inet weft vteps4/ },
  { name: 'the rules of the guard are gone', command: 'nft flush table bridge weft', words: /guard's nft chain bridge weft prerouting does not have the rules it was made with/ },
  { name: 'the whole guard is gone', command: 'nft flush ruleset', words: /(?=.*guard lacks the nft table bridge weft)(?=.*guard lacks the nft table inet weft)/s },
];

const onSwitches: readonly Damage[] = [
  { name: 'the host interface is no port of the switch', vsctl: 'del-port {host}', words: /host interface weft-p\w+ is no port of Open vSwitch/ },
  { name: 'the tunnel is gone', vsctl: 'del-port {tunnel}', words: /the tunnel weft-t\w+ is no port of Open vSwitch/ },
  { name: 'the tunnel has another VTEP address', vsctl: 'set interface {tunnel} options:local_ip=10.200.0.99', words: /the tunnel weft-t\w+ has other options than .*local_ip=10\.200\.0\.11/ },
  { name: 'the tunnel is of another type', vsctl: 'set interface {tunnel} type=geneve', words: /the tunnel weft-t\w+ is of the type "geneve" and not "vxlan"/ },
  { name: 'the bridge forwards without flows', vsctl: `set-fail-mode ${integrationBridge} standalone`, words: /the bridge weft-int has the fail mode "standalone" and not "secure"/ },
  { name: 'the bridge is gone', vsctl: `del-br ${integrationBridge}`, words: /no port of Open vSwitch/ },
  { name: 'all flows are gone', ofctl: `del-flows ${integrationBridge}`, words: /(?=.*the switch lacks \d+ flows of tenant blue)(?=.*the switch lacks \d+ flows of every tenant)(?=.*the switch lacks \d+ flows of weft-p)/s },
  { name: "the flow to the container's MAC is gone", ofctl: `--strict del-flows ${integrationBridge} table=20,priority=50,metadata=0x3e9,dl_dst={mac}`, words: /the switch lacks a flow of weft-p/ },
  { name: 'a flow of the tenant is other than it was', ofctl: `--strict mod-flows ${integrationBridge} table=20,priority=40,metadata=0x3e9,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop`, words: /the switch lacks a flow of tenant blue/ },
  { name: "a flow has the tenant's mark that weft did not send", ofctl: `add-flow ${integrationBridge} cookie=0x7765660003e90000,table=20,priority=999,actions=drop`, words: /the switch has a flow of tenant blue that weft did not send/ },
];

/** The damages that there are on a node of a datapath. */
export function damagesOf(datapath: DatapathName): readonly Damage[] {
  return [...everywhere, ...(datapath === 'bridge' ? onBridges : onSwitches)];
}

/** Where damage is done. */
export interface Victim {
  readonly node: LabNode;
  /** The container's namespace. */
  readonly container: string;
  readonly added: Pick<CniOutcome, 'result'>;
}

/** Does the damage. */
export function inflict({ onNode = [], inContainer = [], command, vsctl, ofctl }: Damage, { node, container, added }: Victim): void {
  const tunnel = (): string => readSwitch(node.openVSwitch).ports.find((name) => name.startsWith('weft-t')) ?? '';
  const words = (line: string): readonly string[] => line.replaceAll('{host}', hostIfOf(added)).replaceAll('{mac}', macOf(added) ?? '').replaceAll('{tunnel}', tunnel).split(' ');
  for (const line of onNode) run('ip', ['-n', node.netns, ...words(line)]);
  for (const line of inContainer) run('ip', ['-n', container, ...words(line)]);
  if (command !== undefined) runIn(node.netns, ...words(command));
  if (vsctl !== undefined) node.openVSwitch.vsctl(...words(vsctl));
  if (ofctl !== undefined) node.openVSwitch.ofctl(...words(ofctl));
}
