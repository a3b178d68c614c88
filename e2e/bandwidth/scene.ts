/** Where these tests play: two nodes with daemons; tenant blue has limits on the first, red has none. */
import { writeFileSync } from 'node:fs';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { runIn } from '../../pkg/testing/command.ts';
import { createDaemonLabOf, type Daemon } from '../harness/daemon.ts';
import type { DatapathName, LabNode, NodeSnapshot } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import { attachGuest, blue, red, type Guest } from '../harness/tenant.ts';
import type { End } from './traffic.ts';

export const mbit = 1_000_000;
/** Far below what a busy machine forwards. */
export const limits = { ingress: 16_000_000, egress: 12_000_000 } as const;

export interface Scene {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly daemon: Daemon;
  /** The node before anything was attached. */
  readonly before: NodeSnapshot;
  /** Of tenant blue: two on the limited node, one on the other. */
  readonly near: readonly [Guest, Guest];
  readonly far: Guest;
  /** Of tenant red, both on the limited node. */
  readonly others: readonly [Guest, Guest];
}

/** Writes the node's configuration, as an operator does. */
export function configure(node: LabNode, bandwidth: Readonly<Record<string, unknown>> | undefined): void {
  const limited = bandwidth === undefined ? '' : `, bandwidth: ${JSON.stringify(bandwidth)}`;
  writeFileSync(node.configPath, `node: ${node.name}\n${node.wiring}tenants:\n  - {name: blue, vni: 1001${limited}}\n  - {name: red, vni: 1002}\n`);
}

/** The limits as they are configured: in words and in numbers. */
export const limitsInWords: Readonly<Record<string, unknown>> = { ingressRate: '16M', egressRate: limits.egress };

export async function createScene(scope: TeardownScope, datapath: DatapathName): Promise<Scene> {
  const { lab, daemons } = await createDaemonLabOf(scope, [datapath, datapath]);
  const [daemon] = daemons;
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const { node } = daemon;
  const before = node.snapshot();
  configure(node, limitsInWords);
  await daemon.logged(/another node configuration is in force/);
  const near = [await attachGuest(lab, blue, 1, { label: 'near-1' }), await attachGuest(lab, blue, 1, { label: 'near-2' })] as const;
  const far = await attachGuest(lab, blue, 2, { label: 'far' });
  const others = [await attachGuest(lab, red, 1, { label: 'red-1' }), await attachGuest(lab, red, 1, { label: 'red-2' })] as const;
  await lab.settle();
  return { lab, node, daemon, before, near, far, others };
}

/** A guest as an end of flows. */
export function endOf({ netns, participant }: Guest): End {
  return { netns, address: participant.ipv4 };
}

/** What of the tenant's limits the node has, in the words of `tc` and `ip`: links, and rates in bytes per second. */
export function readShapers(node: LabNode): { readonly name: string; readonly rate: number | undefined; readonly queue: string | undefined }[] {
  const links = JSON.parse(runIn(node.netns, 'ip', '-j', 'link', 'show', 'type', 'ifb')) as readonly { readonly ifname?: string }[];
  const names = links.flatMap(({ ifname }) => (ifname === undefined || !/^weft-i[tf]\d/.test(ifname) ? [] : [ifname])).sort();
  const qdiscs = JSON.parse(runIn(node.netns, 'tc', '-j', 'qdisc', 'show')) as readonly ObservedQdisc[];
  return names.map((name) => {
    const own = qdiscs.filter(({ dev }) => dev === name);
    return { name, rate: own.find(({ kind, root }) => kind === 'tbf' && root === true)?.options?.rate, queue: own.find(({ parent }) => parent === '1:1')?.kind };
  });
}

interface ObservedQdisc {
  readonly dev: string;
  readonly kind: string;
  readonly root?: boolean;
  readonly parent?: string;
  readonly options?: { readonly rate?: number };
}
