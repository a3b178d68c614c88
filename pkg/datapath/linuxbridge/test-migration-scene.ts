/** For tests: three nodes on one underlay, a sender on each, and a machine that moves from the first to the second. */
import { formatAddress, parseAddress, type Address } from '../../netaddr/netaddr.ts';
import type { AttachmentPort, MigrationPhase, Segment } from '../../overlay/model.ts';
import { bridgeName } from '../../overlay/names.ts';
import { insideNetns } from '../../sys/netns.ts';
import { openPacketSender } from '../../sys/packet.ts';
import { run, runIn } from '../../testing/command.ts';
import { createNetns, type TeardownScope } from '../../testing/netns.ts';
import { bridgeJson, findLink, type ObservedFdbEntry } from '../../testing/observe.ts';
import { openKernel, type Kernel } from '../kernel.ts';
import type { NodeDatapath } from '../datapath.ts';
import type { DatapathMigration, MovingPort } from '../migration.ts';
import { blue, createContainer, insideEveryCall, testPort, type TestContainer } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { writeAsZebra } from './test-evpn.ts';

/** A node of the scene, with its sender. */
export interface SceneNode extends TestContainer {
  readonly kernel: Kernel;
  readonly datapath: NodeDatapath & DatapathMigration;
  readonly segment: Segment;
  readonly sender: TestContainer;
  readonly senderPort: AttachmentPort;
}

/** All of it. The machine has a container on each of the two nodes. */
export interface Scene {
  readonly nodes: readonly [source: SceneNode, target: SceneNode, third: SceneNode];
  readonly machines: readonly [source: TestContainer, target: TestContainer];
  /** What a call at the source or the target is about. */
  moving(at: 0 | 1, phase?: MigrationPhase): MovingPort;
}

/** The machine's number, and so its addresses: 10.1.1.5 and fd00:1::5. */
export const machineNumber = 5;
export const machineAddresses = ['10.1.1.5', 'fd00:1::5'] as const;
const senderNumbers = [11, 12, 13] as const;
const vtep = (at: number, family: 4 | 6 = 4): Address => parseAddress(family === 4 ? `192.0.2.${at + 1}` : `2001:db8:ffff::${at + 1}`);

/** How the scene's nodes know of each other, and what carries their frames. */
export interface SceneOptions {
  readonly kind?: 'static' | 'evpn';
  readonly family?: 4 | 6;
}

/** Nodes with senders, and the machine on the source. */
export async function createScene(scope: TeardownScope, { kind = 'static', family = 4 }: SceneOptions = {}): Promise<Scene> {
  const underlay = createNetns(scope, 'underlay');
  run('ip', ['-n', underlay, '-batch', '-'], 'link add br0 type bridge\nlink set br0 up\n');
  const nodes = [0, 1, 2].map((at) => createSceneNode(scope, { at, underlay, kind, family })) as unknown as Scene['nodes'];
  const machines = [createContainer(scope, 'machine1'), createContainer(scope, 'machine2')] as const;
  const moving = (at: 0 | 1, phase?: MigrationPhase): MovingPort => {
    const { segment, senderPort } = nodes[at];
    const port = testPort(segment, machineNumber);
    return { segment, others: [senderPort], port: phase === undefined ? port : { ...port, migration: { id: 'move', phase, other: vtep(1 - at, family), since: 0 } } };
  };
  for (const { datapath, segment, senderPort, sender } of nodes) await datapath.attach({ segment, port: senderPort, netnsFd: sender.fd });
  await nodes[0].datapath.attach({ ...moving(0), netnsFd: machines[0].fd });
  if (kind === 'evpn') tellAsZebra(nodes);
  return { nodes, machines, moving };
}

function createSceneNode(scope: TeardownScope, { at, underlay, kind, family }: { readonly at: number; readonly underlay: string } & Required<SceneOptions>): SceneNode {
  const { netns, fd } = createContainer(scope, `node${at + 1}`);
  run('ip', ['link', 'add', 'u0', 'netns', netns, 'type', 'veth', 'peer', 'name', `n${at}`, 'netns', underlay]);
  run('ip', ['-n', underlay, 'link', 'set', `n${at}`, 'master', 'br0', 'up']);
  const lines = ['link set u0 addrgenmode none', 'link set u0 up', `address add 192.0.2.${at + 1}/24 dev u0`, `address add 2001:db8:ffff::${at + 1}/64 dev u0 nodad`];
  run('ip', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
  const kernel = insideEveryCall(fd, openKernel());
  scope.teardown(() => kernel.close());
  const peers = [0, 1, 2].filter((other) => other !== at).map((other) => vtep(other, family));
  const segment: Segment = { ...blue, overlayMtu: family === 4 ? 1450 : 1430, vtepAddress: vtep(at, family), peers, ...(kind === 'evpn' ? { controlPlane: 'evpn' } : {}) };
  const own = linuxBridgeDatapath(kernel);
  const datapath = { ...own, watchOpening: (moving: MovingPort, onOpened: () => void) => insideNetns(fd, () => own.watchOpening(moving, onOpened)) };
  return { netns, fd, kernel, datapath, segment, sender: createContainer(scope, `sender${at + 1}`), senderPort: testPort(segment, senderNumbers[at] ?? 0) };
}

/** What BGP would have told each node of the others. */
function tellAsZebra(nodes: Scene['nodes']): void {
  const endpoints = [...nodes.map(({ senderPort }, at) => ({ port: senderPort, at })), { port: testPort(nodes[0].segment, machineNumber), at: 0 }];
  for (const [here, { netns, segment }] of nodes.entries()) {
    for (const { port, at } of endpoints.filter((endpoint) => endpoint.at !== here)) {
      writeAsZebra(netns, segment, { mac: port.mac, vtep: `192.0.2.${at + 1}`, addresses: port.addresses.map(({ address }) => formatAddress(address)) });
    }
  }
}

/** Nothing gets out of a machine that is stopped, and its interface stays up. */
export function stopMachine({ netns }: TestContainer): void {
  runIn(netns, 'nft', 'table netdev stopped { chain sent { type filter hook egress device "eth0" priority 0; policy drop; }; }');
}

/** It goes on. */
export function resumeMachine({ netns }: TestContainer): void {
  runIn(netns, 'nft', 'delete', 'table', 'netdev', 'stopped');
}

/** Sends frames out of a container's interface. */
export function sendFrom({ netns, fd }: TestContainer, ...frames: readonly Buffer[]): void {
  const index = findLink(netns, 'eth0')?.ifindex ?? 0;
  insideNetns(fd, () => {
    const sender = openPacketSender();
    for (const frame of frames) sender.send(index, frame);
    sender.close();
  });
}

/** At which link of the node the bridge has the MAC. */
export function placeOf({ netns, segment }: SceneNode, mac: string): string | undefined {
  return bridgeJson<readonly ObservedFdbEntry[]>(netns, 'fdb', 'show', 'br', bridgeName(segment.vni)).find((entry) => entry.mac === mac && entry.master !== undefined)?.ifname;
}
