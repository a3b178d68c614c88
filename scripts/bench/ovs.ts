/** Weft with Open vSwitch, beside the same work done by hand, and whether calls take longer where there is more on the switch. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { burst } from './bursts.ts';
import { byHand, flowsByHand } from './by-hand.ts';
import { callJob, type Contender } from './contender.ts';
import { Daemon } from './daemon.ts';
import { fallbackOf, type Fallback } from './fallback.ts';
import { flowsPerRemote, remoteEndpointFlows, remoteEndpoints, tenantFlows, tunnelPortOf } from './flow-texts.ts';
import { makeContainers } from './lab.ts';
import { countFlows, integrationBridge, type OvsLab } from './ovs-lab.ts';
import type { Settings } from './settings.ts';
import { attacher } from './single-calls.ts';
import { measureSteps, timesOf, type DaemonTimes } from './steps.ts';
import { takeTurns } from './turns.ts';
import { verbRatios, verbsOf, type Verbs } from './verbs.ts';

/** What is on the switch, and what calls take then. */
export interface OvsLoad {
  readonly endpoints: number;
  readonly remotes: number;
  readonly weft: Verbs;
  readonly byHand: Verbs;
}

export interface OvsFigures {
  /** Flows of a port, which both contenders send. */
  readonly flows: number;
  readonly singleCalls: readonly (readonly [Contender, Verbs])[];
  readonly ratios: Verbs;
  /** By load: the fewest endpoints, the same with endpoints elsewhere, then more and more. */
  readonly loads: readonly OvsLoad[];
  readonly daemonTimes: readonly DaemonTimes[];
  readonly tracedTimes: readonly DaemonTimes[];
  readonly fallback: Fallback;
}

/** The two contenders with a free container each. */
interface Duel {
  readonly lab: OvsLab;
  readonly hand: Contender;
  readonly containers: readonly [string, string];
}

const vtep = '10.200.0.2';

/** Measures all of it with one daemon, except the steps. @throws Error when a call fails, or the switch has other flows than it should have */
export async function measureOvs(lab: OvsLab, settings: Settings, progress: (text: string) => void): Promise<OvsFigures> {
  const { spawner, launched } = lab;
  const daemon = await Daemon.start(lab, { logLevel: 'info' });
  const [resident, ...containers] = makeContainers(lab, 3) as [string, string, string];
  const { output: result } = await spawner.runOne(callJob(launched, { verb: 'ADD', containerId: 'resident', netns: resident }));
  const dump = lab.openVSwitch.ofctl('dump-flows', '--no-stats', integrationBridge, tenantFlows);
  const duel: Duel = { lab, hand: byHand(lab.openVSwitch, { dump, result, directory: lab.directory }), containers };
  const flows = await countByHand(duel);
  progress(`Open vSwitch: single calls, ${settings.rounds} rounds`);
  const before = daemon.calls().length;
  const singleCalls = await fight(duel, settings.rounds);
  const daemonTimes = timesOf(daemon.calls().slice(before));
  const loads = await measureLoads(duel, { daemon, tunnel: tunnelPortOf(dump), progress }, settings);
  const fallback = fallbackOf(lab, daemon);
  await daemon.stop();
  progress('Open vSwitch: a daemon that logs its steps');
  const tracedTimes = await measureSteps(lab, containers[0], settings);
  return { flows, singleCalls: [[launched, singleCalls.weft], [duel.hand, singleCalls.byHand]], ratios: verbRatios(singleCalls.weft, singleCalls.byHand), loads, daemonTimes, tracedTimes, fallback };
}

/** Attaches one container by hand to see that the script does its work. @returns how many flows it has sent */
async function countByHand({ lab, hand, containers: [, netns] }: Duel): Promise<number> {
  const call = async (verb: 'ADD' | 'DEL'): Promise<number> => {
    await lab.spawner.runOne(callJob(hand, { verb, containerId: 'trial', netns }));
    return flowsByHand(lab.openVSwitch);
  };
  const [added, left] = [await call('ADD'), await call('DEL')];
  if (added === 0 || left > 0) throw new Error(`flows by hand: ${added} were added, ${left} of them are left`);
  return added;
}

async function fight({ lab: { spawner, launched }, hand, containers }: Duel, rounds: number): Promise<Pick<OvsLoad, 'weft' | 'byHand'>> {
  const participants = [launched, hand].map((contender, index) => attacher(contender, { netns: containers[index] as string }));
  const samples = await takeTurns(spawner, participants, { rounds });
  return { weft: verbsOf(samples, launched.name), byHand: verbsOf(samples, hand.name) };
}

interface LoadParts {
  readonly daemon: Daemon;
  readonly tunnel: number;
  readonly progress: (text: string) => void;
}

/** Fills the node up to each count, measures there, and detaches what it has attached. */
async function measureLoads(duel: Duel, { daemon, tunnel, progress }: LoadParts, { ovsEndpoints, ovsRemotes, ovsLoadRounds, burstSize }: Settings): Promise<readonly OvsLoad[]> {
  const { spawner, launched } = duel.lab;
  const loads: OvsLoad[] = [];
  const groups: (readonly string[])[] = [];
  const call = async (verb: 'ADD' | 'DEL', group: number): Promise<number> => burst(spawner, launched, { verb, containers: groups[group] ?? [], label: `many${group}-` });
  const measure = async (endpoints: number, remotes: number): Promise<void> => {
    await daemon.settle();
    const load = { endpoints, remotes, ...(await fight(duel, ovsLoadRounds)) };
    loads.push(load);
    progress(`Open vSwitch: ${endpoints} endpoints, ${remotes} elsewhere: ADD p50 ${load.weft.add.p50.toFixed(2)} ms`);
  };
  // One is there from before.
  let count = 1;
  for (const wanted of ovsEndpoints) {
    while (count < wanted) {
      const size = Math.min(burstSize, wanted - count);
      groups.push(makeContainers(duel.lab, size));
      await call('ADD', groups.length - 1);
      count += size;
    }
    await measure(count, 0);
    if (loads.length === 1) await withRemotes(duel.lab, { tunnel, count: ovsRemotes }, () => measure(count, ovsRemotes));
  }
  for (const group of groups.keys()) await call('DEL', group);
  return loads;
}

/** Programs endpoints elsewhere for as long as the work takes. @throws Error when they are not all there at its end */
async function withRemotes({ openVSwitch, directory }: OvsLab, { tunnel, count }: { readonly tunnel: number; readonly count: number }, work: () => Promise<void>): Promise<void> {
  const file = join(directory, 'remotes.flows');
  writeFileSync(file, remoteEndpoints(count, { tunnel, vtep }));
  openVSwitch.ofctl('--bundle', 'add-flows', integrationBridge, file);
  await work();
  const left = countFlows(openVSwitch, integrationBridge, remoteEndpointFlows);
  if (left !== count * flowsPerRemote) throw new Error(`the switch must have the flows of ${count} endpoints elsewhere to the end: ${left} are left`);
  openVSwitch.ofctl('del-flows', integrationBridge, remoteEndpointFlows);
}
