/**
 * A node with an Open vSwitch of its own, whose userspace datapath has the underlay link on a bridge.
 *
 *     br-phy 10.200.0.1/24 ── u0 ── u1        weft-int: weft's        hand0: of what is measured beside it
 */
import { run, runIn } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { createNetns, type TeardownScope } from '../../pkg/testing/netns.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { weftOverOvs } from './contender.ts';
import { makeWeftPlaces, type Executables, type LabNode } from './lab.ts';
import { Spawner } from './spawner.ts';

export interface OvsLab extends LabNode {
  readonly openVSwitch: OpenVSwitch;
}

/** Weft's bridge. */
export const integrationBridge = 'weft-int';

/** Makes the node; all of it goes away with the scope, or when this process ends before. @throws Error when a command fails or Open vSwitch does not start */
export async function makeOvsLab(scope: TeardownScope, executables: Executables): Promise<OvsLab> {
  const directory = temporaryDirectory(scope);
  const node = createNetns(scope, 'ovs');
  run('ip', ['-n', node, '-batch', '-'], ['link add u0 type veth peer name u1', ...['lo', 'u0', 'u1'].map((link) => `link set ${link} up`)].join('\n'));
  const openVSwitch = await startOpenVSwitch(scope, { netns: node });
  plugUnderlay(openVSwitch, node);
  const env = makeWeftPlaces(directory, executables.weft, `node: bench\novs:\n  database: ${openVSwitch.databaseSocket}\n  datapathType: netdev\n`);
  return { scope, node, directory, executables, env, openVSwitch, spawner: Spawner.start(scope, { netns: node, directory }), launched: weftOverOvs(executables.launcher, env) };
}

/** As docs/ovs.md has it for the userspace datapath. */
function plugUnderlay(openVSwitch: OpenVSwitch, node: string): void {
  openVSwitch.vsctl('--', 'add-br', 'br-phy', '--', 'set', 'bridge', 'br-phy', 'datapath_type=netdev', 'fail_mode=standalone', '--', 'add-port', 'br-phy', 'u0');
  run('ip', ['-n', node, '-batch', '-'], ['link set br-phy up', 'address add 10.200.0.1/24 dev br-phy'].join('\n'));
  runIn(node, 'ethtool', '-K', 'u0', 'tx', 'off');
  runIn(node, 'nft', 'add table netdev underlay; add chain netdev underlay u0 { type filter hook ingress device "u0" priority 0; policy drop; }');
}

/** How many flows of a bridge the filter lets through, as the switch counts them. @throws Error when it cannot be asked */
export function countFlows(openVSwitch: OpenVSwitch, bridge: string, filter: string): number {
  const count = /flow_count=(\d+)/.exec(openVSwitch.ofctl('dump-aggregate', bridge, filter))?.[1];
  if (count === undefined) throw new Error(`ovs-ofctl did not count the flows of ${bridge}`);
  return Number(count);
}
