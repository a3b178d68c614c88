/** Two nodes with daemons, the second behind a card, and a tenant with a container on each. */
import { writeFileSync } from 'node:fs';
import { runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { attachGuest, blue, type Guest, type Tenant } from '../harness/tenant.ts';
import { insertCard, startListener, transfer, type Card, type CardMode } from './card.ts';

export interface Scene {
  readonly lab: Lab;
  readonly card: Card;
  readonly daemons: readonly [Daemon, Daemon];
  readonly tenant: Tenant;
  readonly guests: readonly [Guest, Guest];
}

export interface SceneOptions {
  /** What the nodes' configuration says of `offload`. */
  readonly offload: string;
  readonly mode: CardMode;
  /** Of the VTEPs. @default 4 */
  readonly underlay?: 4 | 6;
}

export async function createScene(scope: TeardownScope, { offload, mode, underlay = 4 }: SceneOptions): Promise<Scene> {
  const lab = createLab(scope, { nodes: 2, ...throughLauncher });
  const card = await insertCard(scope, lab, 2);
  await card.set(mode);
  for (const node of lab.nodes) writeFileSync(node.configPath, `node: ${node.name}\noffload: ${offload}\n`);
  const daemons = [await Daemon.start(scope, lab.node(1)), await Daemon.start(scope, lab.node(2))] as const;
  const tenant = { ...blue, underlay };
  const guests = [await attachGuest(lab, tenant, 1, { label: 'blue-1' }), await attachGuest(lab, tenant, 2, { label: 'blue-2' })] as const;
  await lab.settle();
  for (const { netns, participant } of guests) await startListener(scope, netns, participant.ipv4);
  return { lab, card, daemons, tenant, guests };
}

/** What becomes of a TCP connection from the second node's container to the first's, and of one the other way. */
export async function transferBoth({ guests: [first, second] }: Scene, options: Parameters<typeof transfer>[2]): Promise<readonly string[]> {
  return [await transfer(second.netns, first.participant.ipv4, options), await transfer(first.netns, second.participant.ipv4, options)];
}

/** A feature of a node's link as ethtool(8) shows it. */
export function readFeature({ netns }: LabNode, link: string, feature: string): string | undefined {
  return new RegExp(`^\\t?${feature}: (\\w+)`, 'm').exec(runIn(netns, 'ethtool', '-k', link))?.[1];
}

/** The probe tunnels of a node. */
export function probeLinks({ netns }: LabNode): readonly string[] {
  return readLinks(netns).map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-st'));
}
