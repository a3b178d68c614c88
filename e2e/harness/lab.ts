/**
 * Several nodes on one machine. Each node is a network namespace with its own state directories; an underlay namespace
 * with a bridge joins them:
 *
 *      node 1                 node 2                    node n
 *   ┌──────────────┐       ┌──────────────┐          ┌──────────────┐
 *   │ eth0         │       │ eth0         │          │ eth0         │
 *   │ 10.200.0.11  │       │ 10.200.0.12  │          │ 10.200.0.1n  │
 *   └──────┬───────┘       └──────┬───────┘          └──────┬───────┘
 *        ┌─┴──────────────────────┴─────────────────────────┴─┐
 *        │ underlay: bridge, 10.200.0.1/24, fd00:200::1/64    │
 *        └────────────────────────────────────────────────────┘
 *
 * A node may have an Open vSwitch of its own, whose bridge then has the addresses (node-switch.ts).
 *
 * Nothing of it touches the machine's own interfaces, and all of it goes with the scope it was made in.
 */
import { join } from 'node:path';
import { run, runIn } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { createNetns, type TeardownScope } from '../../pkg/testing/netns.ts';
import { describeOutcome, type CniOutcome, type CniResult } from './cni-call.ts';
import { addressesUsable } from './container.ts';
import { LabNode, type Attach, type DatapathName } from './lab-node.ts';
import { rebootNodeSwitch, startNodeSwitch } from './node-switch.ts';
import { weftExecutable } from './weft-executable.ts';

export interface LabOptions {
  readonly nodes: number;
  /** Bytes. @default 1500 */
  readonly underlayMtu?: number;
  /** The plugin to call. @default the executable under test */
  readonly executable?: string;
  /** Variables for every call, beside those that give each node its directories. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A container that an ADD has attached. */
export interface Attached {
  readonly node: LabNode;
  readonly attach: Attach & { readonly netns: string };
  readonly netns: string;
  readonly result: CniResult;
  /** Milliseconds the ADD took. */
  readonly addMs: number;
}

export interface AttachOptions extends Omit<Attach, 'netns' | 'containerId'> {
  /** What the container is called in namespace names; its container id is made of it. */
  readonly label: string;
}

/** The lab. Nodes are numbered from 1. */
export class Lab {
  readonly nodes: readonly LabNode[];
  /** The namespace of the underlay's bridge: where a switch or router of the data centre would be. */
  readonly underlayNetns: string;
  readonly #scope: TeardownScope;
  /** Attached since the last settle(). */
  readonly #attached: Attached[] = [];

  constructor(scope: TeardownScope, underlayNetns: string, nodes: readonly LabNode[]) {
    this.#scope = scope;
    this.underlayNetns = underlayNetns;
    this.nodes = nodes;
  }

  /** The node of a number. @throws RangeError where the lab has none */
  node(number: number): LabNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new RangeError(`node must be from 1 to ${this.nodes.length}: current value is ${number}`);
    return node;
  }

  /** VTEP addresses of all other nodes. */
  peersOf(number: number, family: 4 | 6 = 4): readonly string[] {
    return this.nodes.filter((node) => node !== this.node(number)).map((node) => (family === 4 ? node.ipv4 : node.ipv6));
  }

  /** An empty container: a namespace that nobody attached yet. */
  container(label: string): string {
    return createNetns(this.#scope, label);
  }

  /**
   * Makes a container and attaches it by ADD, to be detached with the scope. Before traffic, call settle().
   * @throws Error with the plugin's words
   */
  async attach(node: LabNode, { label, ...options }: AttachOptions): Promise<Attached> {
    const netns = this.container(label);
    const attach = { ...options, netns, containerId: `${label}-${netns}` };
    this.#scope.teardown(async () => void (await node.del(attach)));
    const outcome = await node.add(attach);
    if (outcome.exitCode !== 0 || outcome.result === undefined) throw new Error(`ADD of ${label} on ${node.name} failed: ${describeOutcome(outcome)}`);
    const attached = { node, attach, netns, result: outcome.result, addMs: outcome.ms };
    this.#attached.push(attached);
    return attached;
  }

  /** Waits until every attached container may use all of its addresses: duplicate address detection takes seconds. */
  async settle(): Promise<void> {
    await Promise.all(this.#attached.splice(0).map(({ netns, attach }) => addressesUsable(netns, attach.ifName)));
  }

  /** Detaches by DEL. @throws Error with the plugin's words */
  async detach({ node, attach }: Attached): Promise<CniOutcome> {
    const outcome = await node.del(attach);
    if (outcome.exitCode !== 0) throw new Error(`DEL of ${attach.containerId} on ${node.name} failed: ${describeOutcome(outcome)}`);
    return outcome;
  }
}

/** Builds a lab that goes away with the scope. */
export function createLab(scope: TeardownScope, { nodes, underlayMtu = 1500, executable = weftExecutable, env = {} }: LabOptions): Lab {
  const directory = temporaryDirectory(scope);
  const underlay = createNetns(scope, 'underlay');
  ip(underlay, 'link add br0 type bridge', `link set br0 mtu ${underlayMtu} up`, 'addr add 10.200.0.1/24 dev br0', 'addr add fd00:200::1/64 dev br0 nodad');
  const made = Array.from({ length: nodes }, (_, index) => {
    const number = index + 1;
    const netns = createNetns(scope, `node${number}`);
    const node = new LabNode({
      name: `node${number}`,
      netns,
      ipv4: `10.200.0.1${number}`,
      ipv6: `fd00:200::1${number}`,
      directory: join(directory, `node${number}`),
      executable,
      env,
    });
    connect(underlay, node, { number, underlayMtu });
    return node;
  });
  return new Lab(scope, underlay, made);
}

/** Builds a lab whose nodes wire tenants by these datapaths, in this order. It goes away with the scope. */
export async function createLabOf(scope: TeardownScope, datapaths: readonly DatapathName[], options: Omit<LabOptions, 'nodes'> = {}): Promise<Lab> {
  const lab = createLab(scope, { ...options, nodes: datapaths.length });
  if (datapaths.includes('ovs')) lab.nodes.forEach(({ netns }, index) => computeChecksums([netns, 'eth0'], [lab.underlayNetns, `port${index + 1}`]));
  await Promise.all(lab.nodes.map((node, index) => (datapaths[index] === 'ovs' ? plugIntoSwitch(scope, node) : undefined)));
  return lab;
}

/** A link of veths hands checksums over uncomputed, as no network card does; Open vSwitch drops, or passes on, what it finds so. */
function computeChecksums(...ends: readonly (readonly [netns: string, ifName: string])[]): void {
  for (const [netns, ifName] of ends) runIn(netns, 'ethtool', '-K', ifName, 'tx', 'off');
}

/** Moves the node from its link to a bridge of an Open vSwitch. */
async function plugIntoSwitch(scope: TeardownScope, node: LabNode): Promise<void> {
  ip(node.netns, 'address flush dev eth0', '-6 route flush dev eth0');
  node.useSwitch(await startNodeSwitch(scope, node.netns));
  giveAddresses(node);
}

/** Ends the node's Open vSwitch and starts it again, as a reboot does, and gives the node its addresses. */
export async function rebootSwitch(node: LabNode): Promise<void> {
  await rebootNodeSwitch(node.openVSwitch);
  giveAddresses(node);
}

function connect(underlay: string, node: LabNode, { number, underlayMtu }: { readonly number: number; readonly underlayMtu: number }): void {
  ip(underlay, `link add port${number} mtu ${underlayMtu} type veth peer name eth0 mtu ${underlayMtu} netns ${node.netns}`, `link set port${number} master br0 up`);
  ip(node.netns, 'link set lo up', 'link set eth0 up');
  giveAddresses(node);
}

function giveAddresses({ netns, ipv4, ipv6, underlayIf }: LabNode): void {
  ip(
    netns,
    `addr add ${ipv4}/24 dev ${underlayIf}`,
    `addr add ${ipv6}/64 dev ${underlayIf} nodad`,
    'route add default via 10.200.0.1',
    '-6 route add default via fd00:200::1',
  );
}

/** Runs lines of `ip` inside a namespace. */
function ip(netns: string, ...lines: readonly string[]): void {
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}
