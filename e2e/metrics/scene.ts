/** Three nodes with daemons that tell metrics, and everything on them that metrics count: see the drawing in README.md. */
import { writeFileSync } from 'node:fs';
import { runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { ping } from '../harness/container.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { attach, blueConf, createScene, endpoint, eventually, migrate, migrationConf, phases, tenant, type Scene } from '../migration-states/scene.ts';
import type { End } from './scrape.ts';

export { blueConf, configure, eventually, type Scene } from '../migration-states/scene.ts';

export const port = 9469;
export const bridge = 'weft-br1001';

/** A node's configuration, with metrics or another one's lines. */
export function configuration(node: LabNode, metrics: string = `metrics: { listen: "${node.ipv4}:${port}" }\n`): string {
  return `${migrationConf()}path: { intervalSeconds: 1 }\n${metrics}`;
}

/** Builds nodes with metrics, and a sender on each. It goes away with the scope. */
export async function createMetricsScene(scope: TeardownScope, datapath: 'bridge' | 'ovs' = 'bridge'): Promise<Scene> {
  return createScene(scope, { datapath, configuration });
}

/** Where the node's metrics are, seen from a router. */
export function endOf(scene: Scene, number: number): End {
  return { netns: scene.lab.underlayNetns, host: scene.lab.node(number).ipv4, port };
}

/** What has been done on the nodes, all of which metrics tell. */
export interface Done {
  /** Packets of a thousand bytes, there and back, between the senders of nodes 1 and 2. */
  readonly echoes: number;
  readonly failedAdds: number;
}

const echoes = 5;

/** Calls that succeed and fail, traffic, a pod, repairs, and a migration from node 1 to node 2. @throws Error where something of it does not work */
export async function makeHistory(scope: TeardownScope, scene: Scene): Promise<Done> {
  const [one, two] = scene.nodes as readonly [LabNode, LabNode];
  const podAttach = { conf: blueConf(scene, one), containerId: 'till-0', netns: scene.lab.container('till'), args: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=till-0' };
  const pod = await one.add(podAttach);
  if (pod.exitCode !== 0) throw new Error(`the pod cannot be attached: ${pod.stdout}`);
  scope.teardown(async () => void (await one.del(podAttach)));
  // The VNI is wrong: code 7, invalid network configuration.
  const wrong = await one.add({ ...podAttach, containerId: 'wrong', conf: { ...podAttach.conf, vni: 0 } });
  if (wrong.exitCode === 0) throw new Error('VNI 0 was taken');
  const [sender, other] = scene.senders;
  const address = other?.result.ips?.[0]?.address.split('/')[0] ?? '';
  if (sender === undefined || (await ping(sender.netns, address, { count: 1 })) === 0) throw new Error('the senders do not reach each other');
  runIn(sender.netns, 'ping', '-c', String(echoes), '-i', '0.05', '-s', '1000', address);
  await breakBridge(scene, one);
  await moveEndpoint(scene, one, two);
  return { echoes, failedAdds: 1 };
}

async function breakBridge(scene: Scene, node: LabNode): Promise<void> {
  if (node.datapath === 'ovs') return;
  runIn(node.netns, 'ip', 'link', 'set', bridge, 'down');
  const daemon = scene.daemons[scene.nodes.indexOf(node)];
  await eventually('the bridge is repaired', async () => ((await daemon?.status())?.reconciler.repairs.length ?? 0) > 0);
}

async function moveEndpoint(scene: Scene, one: LabNode, two: LabNode): Promise<void> {
  await attach(scene, one, 'source');
  await attach(scene, two, 'target');
  const { exitCode, words } = await migrate(one, 'activate', tenant, endpoint);
  if (exitCode !== 0) throw new Error(`the endpoint does not move: ${words}`);
  await eventually('the migration is over', async () => (await phases(one))[endpoint] === 'left' && (await phases(two))[endpoint] === undefined, () => scene.daemons.map((daemon) => daemon.describe()).join('\n'));
}

/** Exchanges a node's file. */
export function rewrite(node: LabNode, lines: string): void {
  writeFileSync(node.configPath, `node: ${node.name}\n${node.wiring}vtep:\n  address: ${node.ipv4}\n${lines}`);
}
