/** A node of the lab with an Open vSwitch of its own, whose underlay link is a port of a bridge of its own: as userspace datapaths need it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { run, runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import type { LabNode } from '../harness/lab-node.ts';

/** The integration bridge where the configuration names none. */
export const integrationBridge = 'weft-int';

/** Starts an Open vSwitch in the node's namespace, and writes into the node's configuration where it is. */
export async function startSwitch(scope: TeardownScope, node: LabNode): Promise<OpenVSwitch> {
  const ovs = await startOpenVSwitch(scope, { netns: node.netns });
  configure(node, { database: ovs.databaseSocket, datapathType: 'netdev' });
  return ovs;
}

/** Writes the `ovs` settings into the node's configuration, in the place of others. */
export function configure(node: LabNode, settings: Readonly<Record<string, string>>): void {
  const [rest = ''] = readFileSync(node.configPath, 'utf8').split(/^ovs:/m);
  writeFileSync(node.configPath, `${rest}ovs: ${JSON.stringify(settings)}\n`);
}

/**
 * Makes the node's link a port of br-phy, and moves the addresses there. The kernel still receives what the switch takes from the link, and
 * would answer a second time: an ingress hook stands behind the taps.
 */
export function plugUnderlay(ovs: OpenVSwitch, { netns, ipv4, ipv6 }: LabNode): void {
  ovs.vsctl('--', 'add-br', 'br-phy', '--', 'set', 'bridge', 'br-phy', 'datapath_type=netdev', 'fail_mode=standalone', '--', 'add-port', 'br-phy', 'eth0');
  const lines = [
    'address flush dev eth0', 'link set eth0 addrgenmode none', 'link set br-phy addrgenmode none', 'link set br-phy up',
    `address add ${ipv4}/24 dev br-phy`, `address add ${ipv6}/64 dev br-phy nodad`,
    'route replace default via 10.200.0.1 dev br-phy', '-6 route replace default via fd00:200::1 dev br-phy',
  ];
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
  runIn(netns, 'ethtool', '-K', 'eth0', 'tx', 'off');
  runIn(netns, 'nft', 'add table netdev underlay; add chain netdev underlay eth0 { type filter hook ingress device "eth0" priority 0; policy drop; }');
}
