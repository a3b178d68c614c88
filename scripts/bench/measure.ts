/** The phases of a run, one after the other; each says that it begins. */
import { measureBursts, type BurstTimes } from './bursts.ts';
import { callJob, type Contender } from './contender.ts';
import type { Daemon } from './daemon.ts';
import { measureEndpointCounts, type CountFigures } from './endpoint-counts.ts';
import { fallbackOf, sumOf, type Fallback } from './fallback.ts';
import { measureFootprint, measureStarts, type Footprint } from './footprint.ts';
import { makeContainers, type BenchLab } from './lab.ts';
import { makeOvsLab } from './ovs-lab.ts';
import { measureOvs, type OvsFigures } from './ovs.ts';
import type { Settings } from './settings.ts';
import { measureLauncher, measureSingleCalls } from './single-calls.ts';
import { summarise, type Summary } from './statistics.ts';
import { measureSteps, timesOf, type DaemonTimes } from './steps.ts';
import { measureThroughput, type Throughput } from './throughput.ts';
import type { Verbs } from './verbs.ts';

/** All that a run finds out. */
export interface BenchFigures {
  readonly startMs: Summary;
  readonly footprint: Footprint;
  readonly singleCalls: readonly (readonly [Contender, Verbs])[];
  /** The daemon's own times during the single calls. */
  readonly daemonTimes: readonly DaemonTimes[];
  readonly bursts: readonly (readonly [Contender, BurstTimes])[];
  readonly launcher: readonly (readonly [string, Summary])[];
  readonly counts: readonly CountFigures[];
  readonly tracedTimes: readonly DaemonTimes[];
  /** On both nodes. */
  readonly fallback: Fallback;
  readonly throughput: Throughput;
  readonly ovs: OvsFigures;
}

/** Says what happens. */
export type Progress = (text: string) => void;

/** Containers that are attached and detached together to see whether memory grows. */
const footprintContainers = 8;
/** One container of each contender's stays, and so do the bridges: the usual case is a node that has containers. */
const residents = 2;

/** Measures everything with one daemon, except the steps, and Open vSwitch on a node of its own. @throws Error when a call fails */
export async function measureAll(lab: BenchLab, settings: Settings, progress: Progress): Promise<BenchFigures> {
  progress(`${settings.burstSize + residents} container namespaces are made`);
  const [ofWeft, ofReference, ...free] = makeContainers(lab, settings.burstSize + residents) as [string, string, ...string[]];
  progress(`the daemon is started ${settings.daemonStarts + 1} times`);
  const { daemon, startMs } = await measureStarts(lab, settings);
  await attachResidents(lab, [ofWeft, ofReference]);
  progress(`the idle daemon for ${settings.idleMs / 1000} s, then ${settings.memoryLooks} times ${settings.memoryCalls} ADD and DEL, ${footprintContainers} at once`);
  const footprint = await measureFootprint(lab, { daemon, containers: free.slice(0, footprintContainers) }, settings);
  const calls = await measureCalls(lab, { daemon, free, progress }, settings);
  progress(`a node with ${settings.endpoints.join(', ')} endpoints`);
  const counts = await measureEndpointCounts(lab, { daemon, present: 1, containers: free, onProgress: progress }, settings);
  const fallback = fallbackOf(lab, daemon);
  await daemon.stop();
  progress('a daemon that logs its steps');
  const tracedTimes = await measureSteps(lab, free[0] as string, settings);
  progress(`a TCP stream between two nodes, ${settings.throughputRounds} rounds`);
  const throughput = await measureThroughput(lab.scope, lab.executables.weft, settings);
  const ovs = await measureOvs(await makeOvsLab(lab.scope, lab.executables), settings, progress);
  return { startMs: summarise(startMs), footprint, ...calls, counts, tracedTimes, fallback: sumOf(fallback, ovs.fallback), throughput, ovs };
}

interface CallParts {
  readonly daemon: Daemon;
  readonly free: readonly string[];
  readonly progress: Progress;
}

async function measureCalls(lab: BenchLab, { daemon, free, progress }: CallParts, settings: Settings): Promise<Pick<BenchFigures, 'singleCalls' | 'daemonTimes' | 'bursts' | 'launcher'>> {
  progress(`single calls, ${settings.rounds} rounds`);
  const before = daemon.calls().length;
  const singleCalls = await measureSingleCalls(lab, free, settings);
  const daemonTimes = timesOf(daemon.calls().slice(before));
  progress(`${settings.burstSize} calls at once, ${settings.burstRounds} rounds`);
  const bursts = await measureBursts(lab, free, settings);
  progress(`the launcher alone, ${settings.rounds} rounds`);
  const launcher = await measureLauncher(lab, settings);
  return { singleCalls, daemonTimes, bursts, launcher };
}

async function attachResidents({ spawner, launched, reference }: BenchLab, [ofWeft, ofReference]: readonly [string, string]): Promise<void> {
  await spawner.runOne(callJob(launched, { verb: 'ADD', containerId: 'resident', netns: ofWeft }));
  await spawner.runOne(callJob(reference, { verb: 'ADD', containerId: 'resident', netns: ofReference }));
}
