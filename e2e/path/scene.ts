/** Two nodes with routers between them, a daemon on each, and a tenant with a container on both. */
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { createRoad, type Road, type RoadEnd } from '../../pkg/testing/road.ts';
import { Daemon, throughLauncher, type LogLine } from '../harness/daemon.ts';
import { LabNode } from '../harness/lab-node.ts';
import { Lab } from '../harness/lab.ts';
import { nodeRanges } from '../harness/net-conf.ts';
import { attachGuest, blue, type Guest, type Tenant } from '../harness/tenant.ts';
import { weftExecutable } from '../harness/weft-executable.ts';

/** What a daemon says of a path: what the tests look at. */
export interface PathView {
  readonly vtep: string;
  readonly peer: string;
  readonly peerNode?: string;
  readonly state: string;
  readonly fullBytes: number;
  readonly narrow?: { readonly packetBytes: number; readonly way: string; readonly isActedOn: boolean };
  readonly proof?: { readonly packetBytes: number; readonly at: number };
}

export interface PathScene {
  readonly lab: Lab;
  readonly road: Road;
  /** In the order of the nodes. */
  readonly guests: readonly [Guest, Guest];
  readonly tenant: Tenant;
}

export interface PathSceneOptions {
  /** Of the VTEPs' addresses. */
  readonly family: 4 | 6;
  /** Nodes that have one from the start. */
  readonly daemons: readonly (1 | 2)[];
  /** Whether the tenant's gateway is on the nodes, which masquerade. @default false */
  readonly hasGateway?: boolean;
}

/** Generous, for a machine with much to do; what is measured is printed. */
const deadlineMs = 60_000;

/** Makes the nodes and the tenant; daemons are the test's. */
export async function createPathScene(scope: TeardownScope, { family, daemons, hasGateway = false }: PathSceneOptions): Promise<PathScene & { readonly daemons: readonly Daemon[] }> {
  const road = createRoad(scope);
  const directory = temporaryDirectory(scope);
  const nodes = [nodeAt(road.near, 'node1', directory), nodeAt(road.far, 'node2', directory)];
  const lab = new Lab(scope, road.east, nodes);
  const tenant: Tenant = { ...blue, underlay: family };
  const started = await Promise.all(daemons.map((number) => Daemon.start(scope, lab.node(number))));
  const attachOn = async (number: number): Promise<Guest> => {
    const ipam = { type: 'weft', ranges: nodeRanges(number, {}), routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] };
    return attachGuest(lab, { ...tenant, extra: hasGateway ? { isGateway: true, ipMasq: true, ipam } : {} }, number, { label: `blue-${number}` });
  };
  const guests = [await attachOn(1), await attachOn(2)] as const;
  await lab.settle();
  return { lab, road, guests, tenant, daemons: started };
}

function nodeAt({ netns, addresses }: RoadEnd, name: string, directory: string): LabNode {
  return new LabNode({ name, netns, ipv4: addresses[4], ipv6: addresses[6], directory: join(directory, name), executable: throughLauncher.executable ?? weftExecutable, env: throughLauncher.env ?? {} });
}

/** The node's only path, as its daemon has it; undefined where it has none. */
export async function pathOf(daemon: Daemon): Promise<PathView | undefined> {
  const { paths } = (await daemon.status()) as unknown as { readonly paths: { readonly paths: readonly PathView[] } };
  return paths.paths[0];
}

/** Waits until every daemon's path is so; returns how long that took, in milliseconds. @throws Error with what it is */
export async function untilPath(daemons: readonly Daemon[], isSo: (path: PathView | undefined) => boolean): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const paths = await Promise.all(daemons.map(pathOf));
    if (paths.every(isSo)) return performance.now() - startedAt;
    if (performance.now() - startedAt > deadlineMs) throw new Error(`it did not become so: ${JSON.stringify(paths)}\n${daemons.map((daemon) => daemon.describe()).join('\n')}`);
    await delay(10);
  }
}

/** What was said of paths at warn. */
export function alarmsOf(daemon: Daemon): readonly LogLine[] {
  return daemon.linesOf(/^the (path|tunnel) from /).filter(({ level }) => level === 'warn');
}
