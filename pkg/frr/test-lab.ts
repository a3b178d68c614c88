/** Nodes on one underlay, each with an FRR and a VXLAN device of VNI 1001; the test says what they tell each other. */
import { parseAddress } from '../netaddr/netaddr.ts';
import { pause } from '../sys/timer.ts';
import { run } from '../testing/command.ts';
import { startFrr, type Frr } from '../testing/frr.ts';
import { createNetns } from '../testing/netns.ts';
import { bridgeJson } from '../testing/observe.ts';
import { planChanges } from './plan.ts';
import { parseRunningConfig, type RunningConfig } from './running-config.ts';
import type { Speaker, SpeakerNeighbor } from './speaker.ts';
import { testSpeaker } from './test-speakers.ts';
import { openVty, type FrrDaemon, type Vty } from './vty.ts';

export type Scope = Parameters<typeof startFrr>[0];

/** Long enough for a session to come up twice. */
export const soon = { deadlineMs: 20_000 } as const;

/** 192.0.2.<number> and 2001:db8::<number> on the underlay. */
export interface LabNode {
  readonly frr: Frr;
  readonly zebra: Vty;
  readonly bgpd: Vty;
}

/** Starts the nodes 1 to `count`. */
export async function startLab(scope: Scope, count: number): Promise<readonly LabNode[]> {
  const between = createNetns(scope, 'switch');
  ip(between, 'link add sw type bridge', 'link set sw up');
  const names = Array.from({ length: count }, (_, index) => createNetns(scope, `node${index + 1}`));
  for (const [index, netns] of names.entries()) {
    ip(between, `link add p${index} type veth peer name eth0 netns ${netns}`, `link set p${index} master sw up`);
    ip(netns, `addr add 192.0.2.${index + 1}/24 dev eth0`, `addr add 2001:db8::${index + 1}/64 dev eth0 nodad`, 'link set eth0 up');
    addVni(netns, { vni: 1001, vtep: `192.0.2.${index + 1}` });
  }
  return Promise.all(names.map(async (netns): Promise<LabNode> => {
    const frr = await startFrr(scope, { netns });
    return { frr, zebra: await connectTo(scope, frr, 'zebra'), bgpd: await connectTo(scope, frr, 'bgpd') };
  }));
}

/** Connects to a daemon of an FRR until the scope ends. */
export async function connectTo(scope: Scope, frr: Frr, daemon: FrrDaemon): Promise<Vty> {
  const vty = await openVty({ daemon, runDirectory: frr.runDirectory }, soon);
  scope.teardown(() => vty.close());
  return vty;
}

/** A VNI as FRR wants it: a VXLAN device that learns nothing, in a bridge of its own, which has a port `ep<VNI>` beside it. */
export function addVni(netns: string, { vni, vtep }: { readonly vni: number; readonly vtep: string }): void {
  ip(
    netns,
    `link add br${vni} type bridge`,
    `link set br${vni} addrgenmode none up`,
    `link add vx${vni} type vxlan id ${vni} local ${vtep} dstport 4789 nolearning`,
    `link set vx${vni} master br${vni} addrgenmode none up`,
    `link add ep${vni} type veth peer name in${vni}`,
    `link set ep${vni} master br${vni} addrgenmode none up`,
    `link set in${vni} addrgenmode none up`,
  );
}

/** Configures a node's bgpd for sessions from 192.0.2.<number>. */
export async function speak({ bgpd }: LabNode, number: number, neighbors: readonly SpeakerNeighbor[], more: Partial<Speaker> = {}): Promise<void> {
  await bgpd.configure(planChanges(testSpeaker(neighbors, { vtep: parseAddress(`192.0.2.${number}`), ...more }), await readConfig(bgpd)), soon);
}

/** An endpoint of VNI 1001 as the node knows it without a frame from it. */
export function addEndpoint({ frr }: LabNode, { mac, addresses }: { readonly mac: string; readonly addresses: readonly string[] }): void {
  bridgeFdb(frr.netns, 'replace', mac, 'ep1001');
  ip(frr.netns, ...addresses.map((address) => `neigh replace ${address} lladdr ${mac} dev br1001 nud permanent`));
}

/** Puts a MAC behind a port of a bridge, or takes it away. */
export function bridgeFdb(netns: string, verb: 'replace' | 'del', mac: string, device: string): void {
  bridgeJson(netns, 'fdb', verb, mac, 'dev', device, 'master', ...(verb === 'del' ? [] : ['static']));
}

/** Lines of ip(8) in a namespace. */
export function ip(netns: string, ...lines: readonly string[]): void {
  run('ip', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
}

/** bgpd's configuration as it is. */
export async function readConfig(bgpd: Vty): Promise<RunningConfig> {
  return parseRunningConfig(await bgpd.ask('show running-config', soon));
}

/** Waits until the function finds something. @throws Error with what was waited for */
export async function eventually<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + soon.deadlineMs;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(20);
  }
}
