/** Where these tests play: three nodes with daemons that know each other, an endpoint of tenant blue, and somebody on each node who talks to it. */
import { setTimeout as delay } from 'node:timers/promises';
import { writeFileSync } from 'node:fs';
import { runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { ping } from '../harness/container.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import { exchangeRaw, requestKinds } from '../harness/daemon-socket.ts';
import type { Attach, DatapathName, LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Attached, type Lab } from '../harness/lab.ts';
import { netConf, type NetConf } from '../harness/net-conf.ts';
import { withoutProbes } from '../harness/probe-tunnels.ts';
import { isLearned } from '../harness/switch-flows.ts';

/** WEFT_ENDPOINT of the one that moves, unless a test has others. */
export const endpoint = 'vm-1';
export const tenant = 'blue';
const vni = 1001;
const sharedKey = 'only the nodes of this test know it';

export interface Scene {
  readonly lab: Lab;
  readonly nodes: readonly LabNode[];
  /** By node; a test may put another in a place. */
  readonly daemons: Daemon[];
  readonly senders: readonly Attached[];
}

export interface SceneOptions {
  readonly datapath: DatapathName;
  /** Lines of a node's configuration behind its name and wiring. @default the migration section with a key that all have */
  readonly configuration?: (node: LabNode) => string;
  /** On how many nodes somebody talks to the endpoint. @default all */
  readonly senders?: number;
}

/** `migration` with the key. */
export function migrationConf(key: string = sharedKey, more = ''): string {
  return `migration:\n  key: "${key}"\n${more}`;
}

/** Writes the node's configuration. */
export function configure(node: LabNode, lines: string): void {
  writeFileSync(node.configPath, `node: ${node.name}\n${node.wiring}vtep:\n  address: ${node.ipv4}\n${lines}`);
}

/** Builds the scene; it goes away with the scope. */
export async function createScene(scope: TeardownScope, { datapath, configuration = () => migrationConf(), senders: count = 3 }: SceneOptions): Promise<Scene> {
  const lab = await createLabOf(scope, [datapath, datapath, datapath], throughLauncher);
  for (const node of lab.nodes) configure(node, configuration(node));
  const daemons = await Promise.all(lab.nodes.map((node) => Daemon.start(scope, node)));
  const scene: Scene = { lab, nodes: lab.nodes, daemons, senders: [] };
  const senders = await Promise.all(lab.nodes.slice(0, count).map((node, index) => lab.attach(node, { label: `sender${index + 1}`, conf: blueConf(scene, node) })));
  return { ...scene, senders };
}

/** Blue's network on a node: each gives addresses of a range of its own, in one subnet. IPv4 only: nobody has to wait for duplicate address detection. */
export function blueConf({ lab }: Pick<Scene, 'lab'>, node: LabNode): NetConf {
  const number = lab.nodes.indexOf(node) + 1;
  return netConf({ name: tenant, vni, vtep: node.ipv4, peers: lab.peersOf(number), ranges: [[{ subnet: '10.1.1.0/24', rangeStart: `10.1.1.${number * 50}`, rangeEnd: `10.1.1.${number * 50 + 49}` }]] });
}

/** A container of the endpoint, not attached yet. */
export function newcomer(scene: Scene, node: LabNode, label: string, name: string = endpoint): Attach & { readonly netns: string } {
  return { conf: blueConf(scene, node), containerId: label, netns: scene.lab.container(label), args: `WEFT_ENDPOINT=${name}` };
}

/** The first address of what an ADD answered, without its length. @throws Error where it failed */
export async function attach(scene: Scene, node: LabNode, label: string, name: string = endpoint): Promise<{ readonly attach: Attach & { readonly netns: string }; readonly address: string; readonly result: unknown }> {
  const one = newcomer(scene, node, label, name);
  const outcome = await node.add(one);
  const address = outcome.result?.ips?.[0]?.address.split('/')[0];
  if (outcome.exitCode !== 0 || address === undefined) throw new Error(`ADD of ${label} on ${node.name} failed: ${outcome.stdout}${outcome.stderr}`);
  return { attach: one, address, result: outcome.result };
}

/** What of a node stays while nobody does anything: not what a switch has learned from frames. */
export function lastingState(node: LabNode): unknown {
  const { openVSwitch, ...rest } = withoutProbes(node.snapshot());
  return openVSwitch === undefined ? rest : { ...rest, openVSwitch: { ...openVSwitch, flows: openVSwitch.flows.filter((flow) => !isLearned(flow)) } };
}

/** `weft migrate` on a node. */
export async function migrate(node: LabNode, ...args: readonly string[]): Promise<{ readonly exitCode: number; readonly words: string }> {
  const { exitCode, stdout, stderr } = await runWeft(node, ['migrate', ...args]);
  return { exitCode, words: `${stdout}${stderr}`.trim() };
}

/** As `weft migrate`, without a process of its own: what a hypervisor's hook that keeps running would send. */
export async function command(daemon: Daemon, verb: 'activate' | 'cancel', name: string = endpoint): Promise<string> {
  const last = (await exchangeRaw(daemon.socketPath, { kind: requestKinds.command, stdin: JSON.stringify({ verb, tenant, endpoint: name }) })).at(-1);
  return last?.body ?? '';
}

/** The endpoints on their way on a node, as the command line shows them: name, phase. */
export async function phases(node: LabNode): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await runWeft(node, ['migrate', 'status', '-o', 'json']);
  const rows = JSON.parse(stdout) as readonly { readonly endpoint: string; readonly phase: string }[];
  return Object.fromEntries(rows.map((row) => [row.endpoint, row.phase]));
}

/** Echo requests that a namespace has received. */
function echoes(netns: string): number {
  const [names = '', values = ''] = runIn(netns, 'cat', '/proc/net/snmp').split('\n').filter((line) => line.startsWith('Icmp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('InEchos')]);
}

/** Who of these namespaces is asked when everybody asks for the address, and how many of the askers are answered. */
export async function whoHas({ senders }: Pick<Scene, 'senders'>, address: string, netnses: Readonly<Record<string, string>>): Promise<{ readonly asked: readonly string[]; readonly answered: number }> {
  const before = Object.entries(netnses).map(([name, netns]) => [name, netns, echoes(netns)] as const);
  // Open vSwitch's userspace datapath loses a packet now and then, where links and routes change.
  const answers = await Promise.all(senders.map(({ netns }) => ping(netns, address, { count: 3 })));
  return { asked: before.filter(([, netns, count]) => echoes(netns) > count).map(([name]) => name), answered: answers.filter((count) => count > 0).length };
}

/** Sends what QEMU sends when a machine resumes: a RARP request for itself (RFC 903), of 60 bytes. */
export function announce(netns: string): void {
  const mac = (findLink(netns, 'eth0')?.address ?? '').replaceAll(':', '');
  const frame = `ffffffffffff${mac}80350001080006040003${mac}00000000${mac}00000000`.padEnd(120, '0');
  runIn(netns, 'python3', '-c', 'import socket, sys\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(("eth0", 0))\ns.send(bytes.fromhex(sys.argv[1]))', frame);
}

const deadlineMs = 20_000;

/** Waits for a condition. @throws Error where it does not come in time */
export async function eventually(what: string, isSo: () => boolean | Promise<boolean>, describe: () => string = () => ''): Promise<void> {
  for (const deadline = performance.now() + deadlineMs; !(await isSo()); await delay(50)) {
    if (performance.now() > deadline) throw new Error(`it should be that ${what}:\n${describe()}`);
  }
}
