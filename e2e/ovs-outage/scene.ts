/** Two nodes with an Open vSwitch and a daemon each; tenants blue and red on both, with the same subnets. */
import { setTimeout as delay } from 'node:timers/promises';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { createDaemonLabOf, type Daemon, type DaemonOptions } from '../harness/daemon.ts';
import type { CniOutcome } from '../harness/cni-call.ts';
import type { Attach, LabNode } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import { attachGuest, blue, red, tenantConf, type Guest, type Tenant } from '../harness/tenant.ts';
import type { Known } from '../daemon-kill/audit.ts';
import { Load } from '../daemon-kill/load.ts';
import { skipWithoutDaemonLabOf } from '../harness/weft-executable.ts';
import { SteadyPing } from './steady-ping.ts';

/** What the tests of this folder need of the machine. */
export const skip: string | false = skipWithoutDaemonLabOf(['ovs']);

/** A node with what runs on it. */
export interface Station {
  readonly node: LabNode;
  readonly ovs: OpenVSwitch;
  readonly daemon: Daemon;
}

export interface Scene {
  readonly lab: Lab;
  readonly stations: readonly [Station, ...Station[]];
}

/** Blue, with its gateway on each node. */
export const gatedBlue: Tenant = { ...blue, extra: { isGateway: true } };

/** Nodes without containers. */
export async function createStations(scope: TeardownScope, { nodes, daemon = {} }: { readonly nodes: number; readonly daemon?: DaemonOptions }): Promise<Scene> {
  const { lab, daemons } = await createDaemonLabOf(scope, Array.from({ length: nodes }, () => 'ovs'), { daemon });
  const [first, ...others] = daemons.map((each): Station => ({ node: each.node, ovs: each.node.openVSwitch, daemon: each }));
  if (first === undefined) throw new RangeError('a scene needs a node');
  return { lab, stations: [first, ...others] };
}

/** Two containers of each tenant on the first node, and one on every other. */
export async function attachResidents({ lab }: Scene): Promise<readonly Guest[]> {
  const residents: Guest[] = [];
  for (const tenant of [gatedBlue, red]) {
    for (const [index, number] of [1, ...lab.nodes.map((_, position) => position + 1)].entries()) {
      residents.push(await attachGuest(lab, tenant, number, { label: `${tenant.name}-${'abc'[index]}` }));
    }
  }
  await lab.settle();
  return residents;
}

/** Every pair of a tenant's containers that has this node in between, in both families. */
export function pingAll(scope: TeardownScope, residents: readonly Guest[]): readonly SteadyPing[] {
  return residents.flatMap((from, index) => residents.slice(index + 1).filter((to) => to.participant.tenant === from.participant.tenant)
    .flatMap((to) => [to.participant.ipv4, to.participant.ipv6].map((address) => new SteadyPing(scope, { name: `${from.participant.name} to ${address}`, netns: from.netns, address }))));
}

/** Four runtimes on a node: two of each tenant, one of them with an endpoint's name. They wait a little before they try again, as runtimes do. */
export function createLoad({ lab, stations: [{ node }] }: Scene): Load {
  const workers = [gatedBlue, red].flatMap((tenant) => [undefined, 'db-0'].map((endpoint, index) => ({
    name: `${tenant.name}-${endpoint === undefined ? 'any' : 'named'}`, conf: tenantConf(lab, tenant, 1), netns: lab.container(`w${tenant.vni}${index}`), ...(endpoint === undefined ? {} : { endpoint }),
  })));
  return new Load(patiently(node), workers);
}

/** The residents of a node, as their runtime knows them. */
export function knownOn({ node }: Station, residents: readonly Guest[]): readonly Known[] {
  return residents.filter((resident) => resident.node === node).map(({ attach, netns, result, participant }) => ({
    containerId: attach.containerId, vni: participant.tenant === gatedBlue.name ? gatedBlue.vni : red.vni, netns, result,
  }));
}

/** How often a call is made again that was answered with an error, and how long afterwards. */
const attemptsMax = 60;
const retryMs = 250;

/** The node, whose calls are made again where they fail: an ADD behind a DEL. What never succeeds is answered as the last time. */
function patiently(node: LabNode): LabNode {
  const again = async (call: () => Promise<CniOutcome>, between: () => Promise<unknown>): Promise<CniOutcome> => {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await call();
      if (outcome.exitCode === 0 || attempt === attemptsMax) return outcome;
      await between();
      await delay(retryMs);
    }
  };
  const patient: Pick<LabNode, 'add' | 'check'> = {
    add: (attach) => again(() => node.add(attach), () => node.del(attach)),
    check: (attach, result) => again(() => node.check(attach, result), () => Promise.resolve()),
  };
  return Object.assign(Object.create(node) as LabNode, patient, { del: (attach: Attach) => node.del(attach) });
}
