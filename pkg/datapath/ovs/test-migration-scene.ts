/**
 * For tests: three nodes on one underlay, an endpoint that is on one and is to be on another, and somebody on each who talks to it.
 *
 *     source: endpoint (5), near (6)      target: endpoint (5), there (7)      third: far (8)
 */
import { formatAddress, parseAddress, type Mac } from '../../netaddr/netaddr.ts';
import type { AttachmentPort, MigrationPhase, Segment } from '../../overlay/model.ts';
import { insideNetns } from '../../sys/netns.ts';
import { openPacketSender } from '../../sys/packet.ts';
import { pause } from '../../sys/timer.ts';
import { run, runIn } from '../../testing/command.ts';
import { createNetns, type TeardownScope } from '../../testing/netns.ts';
import type { OpenVSwitch } from '../../testing/openvswitch.ts';
import type { NodeDatapath } from '../datapath.ts';
import { openKernel, type Kernel } from '../kernel.ts';
import { linuxBridgeDatapath } from '../linuxbridge/linuxbridge.ts';
import type { DatapathMigration, MovingPort } from '../migration.ts';
import { blue, createContainer, insideEveryCall, testPort, type TestContainer } from '../test-node.ts';
import { openSwitch } from './switch/switch.ts';
import { ovsKind, switches } from './test-kind.ts';
import { ovsDatapath } from './ovs.ts';

const untilMs = 20_000;

/** A node with its datapath. */
export interface MovingNode {
  readonly netns: string;
  readonly kernel: Kernel;
  /** Of a node with one. */
  readonly ovs: OpenVSwitch;
  readonly segment: Segment;
  readonly datapath: NodeDatapath & DatapathMigration;
  /** Another process's. */
  open(): NodeDatapath & DatapathMigration;
}

/** A container, and a way to send frames out of it as they are. */
export interface Machine extends TestContainer {
  readonly port: AttachmentPort;
  send(...frames: readonly Uint8Array[]): void;
}

/** What a test has. */
export interface MigrationScene {
  readonly source: MovingNode;
  readonly target: MovingNode;
  readonly third: MovingNode;
  /** The endpoint where it is. */
  readonly before: Machine;
  readonly near: Machine;
  readonly there: Machine;
  readonly far: Machine;
  /** The endpoint at the source, as far as it is. */
  atSource(phase?: MigrationPhase): MovingPort;
  /** The endpoint at the target, as far as it is. */
  atTarget(phase?: MigrationPhase): MovingPort;
  /** Attaches the endpoint at the target, to wait there. */
  prepare(): Promise<Machine>;
}

function vtepOf(n: number): string {
  return `192.0.2.${n}`;
}

/** What the tenant is wired by on the nodes. */
export interface SceneWiring extends Pick<Segment, 'controlPlane'> {
  /** Numbers of nodes with Linux bridges: 1 is the source, 2 the target, 3 the third. */
  readonly bridges?: readonly number[];
}

/** A node whose link to the underlay is its kernel's. */
function plugLink(netns: string, address: string): void {
  run('ip', ['-n', netns, '-batch', '-'], ['link set u0 addrgenmode none', 'link set u0 up', `address add ${address} dev u0`].join('\n'));
  // A switch verifies an outer checksum, which on a veth is never filled in.
  runIn(netns, 'ethtool', '-K', 'u0', 'tx', 'off');
}

async function createNode(scope: TeardownScope, hub: string, n: number, { bridges = [], ...wiring }: SceneWiring): Promise<MovingNode> {
  const { netns, fd } = createContainer(scope, `node${n}`);
  run('ip', ['link', 'add', 'u0', 'netns', netns, 'type', 'veth', 'peer', 'name', `n${n}`, 'netns', hub]);
  run('ip', ['-n', hub, 'link', 'set', `n${n}`, 'master', 'hub', 'up']);
  const address = `${vtepOf(n)}/24`;
  const isBridge = bridges.includes(n);
  if (isBridge) plugLink(netns, address);
  else await ovsKind.prepare(scope, { netns, addresses: [address] });
  const ovs = switches.get(netns);
  const kernel = insideEveryCall(fd, openKernel());
  scope.teardown(() => kernel.close());
  const open = (): NodeDatapath & DatapathMigration => {
    if (ovs === undefined) return linuxBridgeDatapath(kernel);
    const opened = openSwitch({ database: ovs.databaseSocket, datapathType: 'netdev' });
    scope.teardown(() => opened.close());
    return ovsDatapath(kernel, opened);
  };
  const peers = [1, 2, 3].filter((other) => other !== n).map((other) => parseAddress(vtepOf(other)));
  return {
    netns, kernel, open, datapath: open(),
    segment: { ...blue, ...wiring, ...(isBridge ? {} : { datapath: 'ovs' as const }), vtepAddress: parseAddress(vtepOf(n)), peers },
    get ovs(): OpenVSwitch {
      if (ovs === undefined) throw new Error('a node without a switch');
      return ovs;
    },
  };
}

/** A new container with the port on a node. */
export async function attachMachine(scope: TeardownScope, { segment, datapath }: MovingNode, port: AttachmentPort): Promise<Machine> {
  const container = createContainer(scope);
  await datapath.attach({ segment, port, netnsFd: container.fd });
  const sender = insideNetns(container.fd, openPacketSender);
  scope.teardown(() => sender.close());
  const [link] = JSON.parse(run('ip', ['-n', container.netns, '-j', 'link', 'show', 'eth0'])) as readonly { readonly ifindex: number }[];
  return { ...container, port, send: (...frames) => frames.forEach((frame) => sender.send(link?.ifindex ?? 0, frame)) };
}

/** Makes it: the endpoint is at the source, and nothing is at the target yet. */
export async function createMigrationScene(scope: TeardownScope, wiring: SceneWiring = {}): Promise<MigrationScene> {
  const hub = createNetns(scope, 'hub');
  run('ip', ['-n', hub, 'link', 'add', 'hub', 'up', 'type', 'bridge', 'mcast_snooping', '0']);
  const [source, target, third] = await Promise.all([createNode(scope, hub, 1, wiring), createNode(scope, hub, 2, wiring), createNode(scope, hub, 3, wiring)]);
  const portOf = (n: number, { segment: { datapath } }: MovingNode): AttachmentPort => testPort(blue, n, datapath === undefined ? {} : { datapath });
  const movingPort = (node: MovingNode, other: MovingNode, phase: MigrationPhase | undefined): MovingPort => ({
    segment: node.segment, others: [], port: { ...portOf(5, node), ...(phase === undefined ? {} : { migration: { id: 'm', phase, other: other.segment.vtepAddress, since: 0 } }) },
  });
  const atTarget = (phase?: MigrationPhase): MovingPort => movingPort(target, source, phase);
  const [near, there, far] = await Promise.all([attachMachine(scope, source, portOf(6, source)), attachMachine(scope, target, portOf(7, target)), attachMachine(scope, third, portOf(8, third))]);
  // It is announced as all are. What is for a MAC that a node does not know goes to every other, and so comes to the target twice.
  const before = await attachMachine(scope, source, portOf(5, source));
  for (const node of [target, third]) if (!(await comesTrue(() => learnedPlace(node, before.port.mac) !== undefined))) throw new Error('a node that does not hear of the endpoint');
  return {
    source, target, third, before, there, far, near, atTarget,
    atSource: (phase?: MigrationPhase): MovingPort => movingPort(source, target, phase),
    prepare: (): Promise<Machine> => attachMachine(scope, target, atTarget('waiting').port),
  };
}

/** Waits for what a test sees only by looking. @returns whether it came */
export async function comesTrue(condition: () => boolean | Promise<boolean>, deadlineMs: number = untilMs): Promise<boolean> {
  for (const deadline = performance.now() + deadlineMs; performance.now() < deadline; await pause(5)) if (await condition()) return true;
  return condition();
}

/** The flows of the tenant on a node with this MAC or of this port, as ovs-ofctl(8) writes them. */
export function flowsWith({ ovs }: MovingNode, part: string): readonly string[] {
  return ovs.ofctl('--no-stats', 'dump-flows', 'weft-int').split('\n').map((line) => line.trim()).filter((line) => line.includes(part)).sort();
}

/** Where a node has learned that a MAC is; undefined: nowhere. */
export function learnedPlace(node: MovingNode, mac: Mac): string | undefined {
  if (node.segment.datapath === undefined) return new RegExp(`^${mac} dst (\\S+)`, 'm').exec(run('bridge', ['-n', node.netns, 'fdb', 'show', 'dev', 'weft-vx1001']))?.[1];
  const [line] = flowsWith(node, `dl_dst=${mac}`).filter((flow) => flow.includes('table=30,'));
  const hex = /0x([0-9a-f]+)->NXM_NX_TUN_IPV4_DST/.exec(line ?? '')?.[1];
  return hex === undefined ? undefined : formatAddress({ family: 4, value: BigInt(`0x${hex}`) });
}
