/** A node without weft that is a VTEP all the same: FRR, a bridge and a VXLAN device, as somebody sets them up by hand. */
import { createNetns, type TeardownScope } from '../../pkg/testing/netns.ts';
import { run } from '../../pkg/testing/command.ts';
import type { LabNode } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import type { Participant } from '../harness/reach.ts';
import type { Tenant } from '../harness/tenant.ts';
import { localAs, type PlainNode } from './scene.ts';

/** What bgpd is told: all other nodes are its neighbours. */
export function foreignConf(node: LabNode, lab: Lab): string {
  const neighbors = lab.nodes.filter((other) => other !== node).map(({ ipv4 }) => ipv4);
  return `
router bgp ${localAs}
 bgp router-id ${node.ipv4}
 no bgp default ipv4-unicast
${neighbors.map((address) => ` neighbor ${address} remote-as ${localAs}\n neighbor ${address} timers 3 9\n neighbor ${address} timers connect 1`).join('\n')}
 address-family l2vpn evpn
${neighbors.map((address) => `  neighbor ${address} activate`).join('\n')}
  advertise-all-vni
 exit-address-family
`;
}

/** A machine behind the foreign VTEP. */
export interface ForeignHost {
  readonly mac: string;
  readonly participant: Participant;
}

const mac = '02:00:5e:00:00:66';

/** Makes the bridge and the VXLAN device of the tenant's VNI on the node, and a machine at the bridge. It goes with the scope, or by leave(). */
export function join(scope: TeardownScope, { node }: PlainNode, { name, vni }: Tenant): ForeignHost {
  const host = createNetns(scope, 'foreign');
  lines(node.netns, [
    `link add br${vni} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link add vx${vni} type vxlan id ${vni} local ${node.ipv4} dstport 4789 nolearning`,
    `link set vx${vni} master br${vni} addrgenmode none`,
    `link set vx${vni} type bridge_slave learning off neigh_suppress on`,
    `link set vx${vni} up`,
    `link set br${vni} addrgenmode none up`,
    `link add host${vni} mtu 1450 type veth peer name eth0 mtu 1450 address ${mac} netns ${host}`,
    `link set host${vni} master br${vni} up`,
  ]);
  lines(host, ['link set lo up', 'addr add 10.1.1.66/24 dev eth0', 'addr add fd00:1::66/64 dev eth0 nodad', 'link set eth0 up']);
  return { mac, participant: { name: 'foreign', tenant: name, netns: host, ipv4: '10.1.1.66', ipv6: 'fd00:1::66', broadcast: '10.1.1.255' } };
}

/** Takes all of it away again. */
export function leave({ node }: PlainNode, { vni }: Tenant): void {
  lines(node.netns, [`link del host${vni}`, `link del vx${vni}`, `link del br${vni}`]);
}

function lines(netns: string, commands: readonly string[]): void {
  run('ip', ['-n', netns, '-batch', '-'], `${commands.join('\n')}\n`);
}
