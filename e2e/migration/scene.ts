/** Three nodes with weft and a sender each: see the drawing in README.md. */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { run, runIn } from '../../pkg/testing/command.ts';
import { startFrr } from '../../pkg/testing/frr.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { configure, fullMesh, sessionsUp } from '../evpn/scene.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { readInterface } from '../harness/container.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import type { Attach, DatapathName, LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { attachGuest, blue, tenantConf, type Tenant } from '../harness/tenant.ts';
import { furnish, type Berth, type Carrier, type MachineKind, type Sender } from './carrier.ts';
import type { Party, Trigger } from './mover.ts';
import { activation, endpointArgs, nodeConfiguration, phaseOf, refusalOf, type Endpoint } from './verbs.ts';

export type ControlPlane = 'static' | 'evpn';

export interface SceneOptions {
  /** Of the three nodes. */
  readonly datapaths: readonly DatapathName[];
  readonly controlPlane: ControlPlane;
  /** Whether the machine moves as if weft knew nothing of migrations: deleted here, then made there, with the same addresses and MAC. */
  readonly isCold?: boolean;
  /** Whether the kernel of a waiting container looks for duplicates of its addresses (RFC 4862 §5.4), which takes it more than a second. @default false */
  readonly hasDuplicateDetection?: boolean;
}

const endpoint: Endpoint = { tenant: blue.name, endpoint: 'vm-0' };
const machine: Party = { name: 'machine', ipv4: '10.1.1.77', ipv6: 'fd00:1::77', mac: '02:00:5e:4d:00:01' };
/** The source stays for a second after the last frame it has relayed; the rest is for a machine that is busy. */
const completionMs = 60_000;
/** Each look is a process of a hundred MB. */
const pollMs = 150;

/** The machine's container, attached by weft. */
interface WeftBerth extends Berth {
  readonly attach: Attach;
}

/** Builds the nodes and attaches the senders. It goes away with the scope. */
export async function createScene(scope: TeardownScope, options: SceneOptions): Promise<WeftCarrier> {
  const lab = await createLabOf(scope, options.datapaths, throughLauncher);
  const daemons = await Promise.all(lab.nodes.map(async (node) => startNode(scope, { lab, node, controlPlane: options.controlPlane })));
  const tenant = options.controlPlane === 'evpn' ? peerless(blue) : blue;
  const senders: Sender[] = [];
  for (const number of lab.nodes.keys()) {
    const { netns, participant } = await attachGuest(lab, tenant, number + 1, { label: `sender${number + 1}` });
    senders.push({ name: `sender${number + 1}`, node: number + 1, netns, ipv4: participant.ipv4, ipv6: participant.ipv6, mac: readInterface(netns).mac });
  }
  await lab.settle();
  return new WeftCarrier(lab, daemons, { senders, tenant: ofMachine(tenant), options });
}

/** JSON has no place for what is undefined. */
function peerless(tenant: Tenant): Tenant {
  return { ...tenant, extra: { ...tenant.extra, peers: undefined } };
}

/** The machine's addresses are the only ones of a pool of its own, the same on every node. */
function ofMachine(tenant: Tenant): Tenant {
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: machine.ipv4, rangeEnd: machine.ipv4 }], [{ subnet: 'fd00:1::/64', rangeStart: machine.ipv6, rangeEnd: machine.ipv6 }]];
  return { ...tenant, extra: { ...tenant.extra, ipam: { type: 'weft', ranges } } };
}

async function startNode(scope: TeardownScope, { lab, node, controlPlane }: { readonly lab: Lab; readonly node: LabNode; readonly controlPlane: ControlPlane }): Promise<Daemon> {
  const own = nodeConfiguration().map((line) => `${line}\n`).join('');
  if (controlPlane === 'static') {
    writeFileSync(node.configPath, `node: ${node.name}\n${node.wiring}${own}`);
    return Daemon.start(scope, node);
  }
  const frr = await startFrr(scope, { netns: node.netns });
  configure(node, frr, fullMesh(node, lab));
  writeFileSync(node.configPath, own, { flag: 'a' });
  const daemon = await Daemon.start(scope, node);
  await sessionsUp({ node, frr, daemon });
  return daemon;
}

/** weft carries the machine. */
export class WeftCarrier implements Carrier {
  readonly lab: Lab;
  readonly daemons: readonly Daemon[];
  readonly senders: readonly Sender[];
  readonly machine: Party = machine;
  readonly isCold: boolean;
  readonly #tenant: Tenant;
  readonly #options: SceneOptions;
  readonly #berths = new Map<string, WeftBerth>();
  #made = 0;

  constructor(lab: Lab, daemons: readonly Daemon[], { senders, tenant, options }: { readonly senders: readonly Sender[]; readonly tenant: Tenant; readonly options: SceneOptions }) {
    this.lab = lab;
    this.daemons = daemons;
    this.senders = senders;
    this.isCold = options.isCold === true;
    this.#tenant = tenant;
    this.#options = options;
  }

  async begin(node: number, kind: MachineKind): Promise<Berth> {
    return this.#attach(node, kind);
  }

  async prepare(node: number, kind: MachineKind): Promise<Berth> {
    return this.#attach(node, kind);
  }

  activation(from: Berth): Trigger {
    return activation(this.lab.node(from.node), endpoint);
  }

  async completed(from: Berth, to: Berth, answer: string): Promise<void> {
    if (this.isCold) return;
    const refusal = answer === '' ? undefined : refusalOf(answer);
    if (refusal !== undefined) throw new Error(`the activation was refused: ${refusal}\n${this.describe()}`);
    const deadline = performance.now() + completionMs;
    for (const { node } of [from, to]) {
      for (let phase = await phaseOf(this.lab.node(node), endpoint); phase !== undefined; phase = await phaseOf(this.lab.node(node), endpoint)) {
        if (performance.now() > deadline) throw new Error(`the migration from node ${from.node} to node ${to.node} stays ${phase} on node ${node}:\n${this.describe()}`);
        await delay(pollMs);
      }
    }
  }

  async remove(berth: Berth): Promise<void> {
    const made = this.#berths.get(berth.netns);
    if (made === undefined) throw new Error(`${berth.netns} is no container of the machine's`);
    this.#berths.delete(berth.netns);
    const outcome = await this.lab.node(made.node).del(made.attach);
    if (outcome.exitCode !== 0) throw new Error(`DEL of the machine on node ${made.node} failed: ${describeOutcome(outcome)}`);
    run('ip', ['netns', 'del', made.netns]);
  }

  /** What the daemons say, for a person. */
  describe(): string {
    return this.daemons.map((daemon) => daemon.describe()).join('\n');
  }

  async #attach(number: number, kind: MachineKind): Promise<Berth> {
    const node = this.lab.node(number);
    const netns = this.lab.container(`machine${(this.#made += 1)}`);
    if (this.#options.hasDuplicateDetection !== true) runIn(netns, 'sh', '-c', 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad');
    const args = this.isCold ? `MAC=${machine.mac}` : `${endpointArgs(endpoint)};MAC=${machine.mac}`;
    const attach = { conf: tenantConf(this.lab, this.#tenant, number), containerId: `machine-${netns}`, netns, args };
    const outcome = await node.add(attach);
    if (outcome.exitCode !== 0) throw new Error(`ADD of the machine on node ${number} failed: ${describeOutcome(outcome)}\n${this.describe()}`);
    const berth = { node: number, netns, attach };
    this.#berths.set(netns, berth);
    furnish(netns, kind);
    return berth;
  }
}
