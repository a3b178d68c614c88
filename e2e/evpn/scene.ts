/** Where these tests play: nodes with FRR and a daemon each, whose tenants find each other by BGP EVPN. */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { startFrr, type Frr } from '../../pkg/testing/frr.ts';
import { bridgeJson, type ObservedFdbEntry } from '../../pkg/testing/observe.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { netConf, nodeRanges, type NetConf } from '../harness/net-conf.ts';
import type { Tenant } from '../harness/tenant.ts';

/** A node of the scene. */
export interface EvpnNode {
  readonly node: LabNode;
  readonly frr: Frr;
  readonly daemon: Daemon;
}

export interface EvpnScene {
  readonly lab: Lab;
  readonly nodes: readonly EvpnNode[];
}

/** What of a scene may be otherwise. */
export interface SceneOptions {
  readonly nodes: number;
  /** Lines of `controlPlane` of a node, over those of a full mesh. */
  readonly controlPlane?: (node: LabNode, lab: Lab) => readonly string[];
}

export const localAs = 65000;

/** The other nodes as BGP neighbours. */
export function fullMesh(node: LabNode, lab: Lab): readonly string[] {
  return ['neighbors:', ...lab.nodes.filter((other) => other !== node).map((other) => `  - address: ${other.ipv4}`)];
}

/** Writes the node's configuration. */
export function configure(node: LabNode, frr: Pick<Frr, 'runDirectory'>, lines: readonly string[]): void {
  const controlPlane = [`type: evpn`, `as: ${localAs}`, `runDirectory: ${frr.runDirectory}`, ...lines];
  writeFileSync(node.configPath, `node: ${node.name}\nvtep:\n  address: ${node.ipv4}\ncontrolPlane:\n${controlPlane.map((line) => `  ${line}\n`).join('')}`);
}

/** Builds the scene and waits until every session stands. It goes away with the scope. */
export async function createEvpnScene(scope: TeardownScope, { nodes: count, controlPlane = fullMesh }: SceneOptions): Promise<EvpnScene> {
  const lab = createLab(scope, { nodes: count, ...throughLauncher });
  const nodes = await Promise.all(lab.nodes.map(async (node): Promise<EvpnNode> => {
    const frr = await startFrr(scope, { netns: node.netns });
    configure(node, frr, controlPlane(node, lab));
    return { node, frr, daemon: await Daemon.start(scope, node) };
  }));
  const scene = { lab, nodes };
  for (const one of nodes) await sessionsUp(one);
  return scene;
}

/** Waits until all of the node's BGP sessions stand. @throws Error where they do not in time */
export async function sessionsUp({ frr, daemon, node }: EvpnNode): Promise<void> {
  await eventually(`the sessions of ${node.name} stand`, () => {
    const text = frr.vtysh('show bgp l2vpn evpn summary json');
    const { peers = {} } = JSON.parse(text) as { readonly peers?: Readonly<Record<string, { readonly state: string }>> };
    const states = Object.values(peers).map(({ state }) => state);
    return states.length > 0 && states.every((state) => state === 'Established');
  }, () => daemon.describe());
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
export function evpnConf(lab: Lab, { name, vni, subnets = {}, extra = {} }: Tenant, nodeNumber: number): NetConf {
  const { peers: _, ...conf } = netConf({ name, vni, vtep: lab.node(nodeNumber).ipv4, peers: [], ranges: nodeRanges(nodeNumber, subnets), extra });
  return conf;
}

/** The forwarding entries of one of the node's links. */
export function fdbOf({ node }: EvpnNode, link: string): readonly ObservedFdbEntry[] {
  return bridgeJson<readonly ObservedFdbEntry[]>(node.netns, 'fdb', 'show', 'dev', link);
}
