/** The underlay's MTU on all nodes of a lab, changed as an operator's tools change it. */
import { run } from '../../pkg/testing/command.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { underlayBridge } from '../harness/node-switch.ts';
import type { Lab } from '../harness/lab.ts';

/**
 * Gives all links between the nodes another MTU, in bytes, within a few milliseconds. In the order of whoever knows what they do: what the network
 * between the nodes does not take any more the nodes must not send, and what it drops it does not answer.
 */
export function setUnderlayMtu(lab: Lab, mtu: number): void {
  const isRaised = mtu > (findLink(lab.underlayNetns, 'br0')?.mtu ?? 0);
  const steps = [() => setNodes(lab, mtu), () => setMtus(lab.underlayNetns, [...lab.nodes.map((_node, index) => `port${index + 1}`), 'br0'], mtu)];
  for (const step of isRaised ? steps.toReversed() : steps) step();
}

function setNodes({ nodes }: Lab, mtu: number): void {
  for (const node of nodes) {
    setMtus(node.netns, ['eth0'], mtu);
    // A switch gives its own interfaces what its database says.
    if (node.datapath === 'ovs') node.openVSwitch.vsctl('set', 'interface', underlayBridge, `mtu_request=${mtu}`);
  }
}

function setMtus(netns: string, names: readonly string[], mtu: number): void {
  run('ip', ['-n', netns, '-batch', '-'], names.map((name) => `link set ${name} mtu ${mtu}\n`).join(''));
}

/** Bytes that the tunnel takes of it. */
export const overheadBytes = { 4: 50, 6: 70 } as const;
