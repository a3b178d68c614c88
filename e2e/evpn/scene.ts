/** Where these tests play: nodes with FRR and a daemon each, whose tenants find each other by BGP EVPN. */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { frrRequirements, startFrr, type Frr } from '../../pkg/testing/frr.ts';
import { bridgeJson, ipJson, type ObservedFdbEntry } from '../../pkg/testing/observe.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import { ping } from '../harness/container.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Attached, type AttachOptions, type Lab } from '../harness/lab.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { attachGuest, tenantConf, type Guest, type Tenant } from '../harness/tenant.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';

/** Reason to skip these tests on this machine, or false. @throws Error under WEFT_TEST_STRICT=1 */
export function skipWithoutEvpnLab(...tools: readonly string[]): string | false {
  return skipUnless(frrRequirements) || skipWithoutDaemonLab(...tools);
}

/** A node of the scene. */
export interface EvpnNode {
  readonly node: LabNode;
  readonly frr: Frr;
  readonly daemon: Daemon;
}

/** A node of the lab that has an FRR and no weft. */
export type PlainNode = Pick<EvpnNode, 'node' | 'frr'>;

export interface EvpnScene {
  readonly lab: Lab;
  readonly nodes: readonly EvpnNode[];
  /** The lab's nodes behind those. */
  readonly plain: readonly PlainNode[];
}

/** What of a scene may be otherwise. */
export interface SceneOptions {
  readonly nodes: number;
  /** What wires the tenants of each node with weft. @default Linux bridges */
  readonly datapaths?: readonly DatapathName[];
  /** Lines of `controlPlane` of a node, over those of a full mesh. */
  readonly controlPlane?: (node: LabNode, lab: Lab) => readonly string[];
  /** For each node without weft, what its bgpd is told by hand. @default none */
  readonly plain?: readonly ((node: LabNode, lab: Lab) => string)[];
}

export const localAs = 65000;
const floodMac = '00:00:00:00:00:00';

/** The other nodes as BGP neighbours. */
export function fullMesh(node: LabNode, lab: Lab): readonly string[] {
  return ['neighbors:', ...lab.nodes.filter((other) => other !== node).map((other) => `  - address: ${other.ipv4}`)];
}

/** Writes the node's configuration. */
export function configure(node: LabNode, frr: Pick<Frr, 'runDirectory'>, lines: readonly string[]): void {
  const controlPlane = [`type: evpn`, `as: ${localAs}`, `runDirectory: ${frr.runDirectory}`, ...lines];
  writeFileSync(node.configPath, `node: ${node.name}\n${node.wiring}vtep:\n  address: ${node.ipv4}\ncontrolPlane:\n${controlPlane.map((line) => `  ${line}\n`).join('')}`);
}

/** Builds the scene and waits until every session stands. It goes away with the scope. */
export async function createEvpnScene(scope: TeardownScope, { nodes: count, datapaths = [], controlPlane = fullMesh, plain: byHand = [] }: SceneOptions): Promise<EvpnScene> {
  const lab = await createLabOf(scope, Array.from({ length: count + byHand.length }, (_, index) => datapaths[index] ?? 'bridge'), throughLauncher);
  const plain = await Promise.all(byHand.map(async (configurationOf, index): Promise<PlainNode> => {
    const node = lab.node(count + index + 1);
    return { node, frr: await startFrr(scope, { netns: node.netns, configuration: { bgpd: configurationOf(node, lab) } }) };
  }));
  const nodes = await Promise.all(lab.nodes.slice(0, count).map(async (node): Promise<EvpnNode> => {
    const frr = await startFrr(scope, { netns: node.netns });
    configure(node, frr, controlPlane(node, lab));
    return { node, frr, daemon: await Daemon.start(scope, node) };
  }));
  for (const one of nodes) await sessionsUp(one);
  return { lab, nodes, plain };
}

/** The scene's node of a number, from 1. @throws RangeError where it has none */
export function nodeOf({ nodes }: EvpnScene, number: number): EvpnNode {
  const one = nodes[number - 1];
  if (one === undefined) throw new RangeError(`node must be from 1 to ${nodes.length}: current value is ${number}`);
  return one;
}

/** Waits until all of the node's BGP sessions stand. @throws Error where they do not in time */
export async function sessionsUp(one: EvpnNode): Promise<void> {
  await eventually(`the sessions of ${one.node.name} stand`, () => {
    const states = Object.values(sessionsOf(one));
    return states.length > 0 && states.every((state) => state === 'Established');
  }, () => one.daemon.describe());
}

/** The states of a node's BGP sessions, by neighbour, in FRR's words. */
export function sessionsOf({ frr }: Pick<PlainNode, 'frr'>): Readonly<Record<string, string>> {
  const { peers = {} } = JSON.parse(frr.vtysh('show bgp l2vpn evpn summary json')) as { readonly peers?: Readonly<Record<string, { readonly state: string }>> };
  return Object.fromEntries(Object.entries(peers).map(([name, { state }]) => [name, state]));
}

const deadlineMs = 30_000;

/** Waits for a condition. @throws Error with what `describe` says where it does not come in time */
export async function eventually(what: string, isSo: () => boolean | Promise<boolean>, describe: () => string = () => ''): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`it should be that ${what}:\n${describe()}`);
    await delay(20);
  }
}

/** The tenant's network on a node: without peers, which BGP finds. */
export function evpnConf(lab: Lab, tenant: Tenant, nodeNumber: number): NetConf {
  return tenantConf(lab, peerless(tenant), nodeNumber);
}

/** A guest with its MAC, which is the one BGP is to tell of. */
export interface EvpnGuest extends Guest {
  readonly mac: string;
}

/** Attaches a container of the tenant on a node, as attachGuest() does, without peers. @throws Error with the plugin's words */
export async function attachEvpnGuest(lab: Lab, tenant: Tenant, { node, ...options }: Omit<AttachOptions, 'conf'> & { readonly node: number }): Promise<EvpnGuest> {
  const guest = await attachGuest(lab, peerless(tenant), node, options);
  return { ...guest, mac: macOf(guest) };
}

/** The MAC of what was attached, as ADD's result has it. */
export function macOf({ result }: Attached): string {
  return result.interfaces?.find(({ sandbox }) => sandbox !== undefined)?.mac ?? '';
}

/** JSON has no place for what is undefined. */
function peerless(tenant: Tenant): Tenant {
  return { ...tenant, extra: { ...tenant.extra, peers: undefined } };
}

/** The forwarding entries of one of the node's links. */
export function fdbOf({ node }: PlainNode, link: string): readonly ObservedFdbEntry[] {
  return bridgeJson<readonly ObservedFdbEntry[]>(node.netns, 'fdb', 'show', 'dev', link);
}

/** The endpoints that a control plane has told a node's VXLAN device of, such as `02:77:0a:01:01:0a at 10.200.0.11`. Sorted. */
export function remotesOf(one: PlainNode, vni: number): readonly string[] {
  return fdbOf(one, `weft-vx${vni}`).filter(({ dst, flags = [] }) => dst !== undefined && flags.includes('extern_learn')).map(({ mac, dst }) => `${mac} at ${dst}`).sort();
}

/** The VTEPs that a node sends what it has no entry for. Sorted. */
export function floodListOf(one: PlainNode, vni: number): readonly string[] {
  return fdbOf(one, `weft-vx${vni}`).flatMap(({ mac, dst }) => (mac === floodMac && dst !== undefined ? [dst] : [])).sort();
}

/** A neighbour as `ip -j neigh` shows it. */
export interface ObservedNeighbour {
  readonly dst: string;
  readonly lladdr?: string;
  readonly state: readonly string[];
  /** A control plane's. */
  readonly extern_learn?: null;
}

/** The neighbours of one of the node's links, of both families. */
export function neighboursOf({ node }: PlainNode, link: string): readonly ObservedNeighbour[] {
  return ipJson<readonly ObservedNeighbour[]>(node.netns, 'neigh', 'show', 'nud', 'all', 'dev', link);
}

/** Waits until a node answers for these addresses itself, of whichever node they are. @throws Error where it does not in time */
export async function addressesKnown(one: PlainNode, vni: number, addresses: readonly string[]): Promise<void> {
  const missing = (): readonly string[] => {
    const known = neighboursOf(one, `weft-br${vni}`).filter(({ lladdr }) => lladdr !== undefined).map(({ dst }) => dst);
    return addresses.filter((address) => !known.includes(address));
  };
  await eventually(`${one.node.name} knows ${addresses.join(', ')}`, () => missing().length === 0, () => `missing: ${missing().join(', ')}`);
}

/** Pings until there is an answer. @throws Error where none comes in time */
export async function reached(netns: string, address: string): Promise<void> {
  await eventually(`${netns} reaches ${address}`, async () => (await ping(netns, address)) > 0);
}

/** Whatever a node has of remote endpoints with these MACs, the spare tunnel included, as `bridge` and `ip` show it. */
export function tracesOf(one: PlainNode, vni: number, macs: readonly string[]): readonly string[] {
  const entries = ['vx', 'sp'].flatMap((kind) => fdbOf(one, `weft-${kind}${vni}`)).filter(({ mac }) => macs.includes(mac));
  const neighbours = ['br', 'sp'].flatMap((kind) => neighboursOf(one, `weft-${kind}${vni}`).filter(({ lladdr = '' }) => macs.includes(lladdr)).map((neighbour) => ({ link: `weft-${kind}${vni}`, ...neighbour })));
  return [...entries, ...neighbours].map((entry) => JSON.stringify(entry));
}

/** Order statistics of milliseconds. */
export function describeTimes(times: readonly number[]): string {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number): string => `${Math.round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN)} ms`;
  return `min ${at(0)}, p50 ${at(0.5)}, p95 ${at(0.95)}, max ${at(1)}, of ${times.length}`;
}
