/** What a node has besides its services: all that pods bring, and must take with them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { run } from '../../pkg/testing/command.ts';
import type { NodeSnapshot } from '../harness/lab-node.ts';
import { withoutProbes } from '../harness/probe-tunnels.ts';
import { findCgroups } from '../runtimes/cgroups.ts';
import type { KubeNode } from './kube-node.ts';

/** Lists are sorted, to be compared. */
export interface NodeState {
  readonly network: NodeSnapshot;
  /** Rows of weft's ledger; and DELs that it has yet to do. */
  readonly endpoints: readonly unknown[];
  readonly pendingDels: number;
  /** Names of the node's processes. */
  readonly processes: readonly string[];
  /** Where something is mounted. */
  readonly mounts: readonly string[];
  /** Control groups of pods. */
  readonly cgroups: readonly string[];
  readonly namedNetns: readonly string[];
  /** containerd's, sandboxes among them. */
  readonly containers: readonly string[];
}

/** Processes that somebody asks something by, the test among them, and that end by themselves. */
const passing = new Set(['nsenter', 'ctr', 'runc', 'iptables', 'ip6tables']);

/** Looks at a node. */
export function readNodeState(node: KubeNode): NodeState {
  const { host } = node;
  const { counts } = JSON.parse(node.weft('status', '-o', 'json')) as { readonly counts: { readonly pendingDels: number } };
  return {
    network: withoutProbes(host.node.snapshot()),
    endpoints: JSON.parse(node.weft('endpoints', '-o', 'json')) as readonly unknown[],
    pendingDels: counts.pendingDels,
    processes: readProcesses(host.path('/proc')),
    mounts: readMounts(host.path('/proc/1/mounts')),
    cgroups: findCgroups(host.cgroup).flatMap(podGroups).sort(),
    namedNetns: readIfThere(host.path('/run/netns')),
    containers: host.run('ctr', '--namespace', 'k8s.io', 'container', 'ls', '--quiet').split('\n').filter((line) => line !== '').sort(),
  };
}

/** What one state has and the other has not, in words. */
export function describeDifference(before: NodeState, after: NodeState): readonly string[] {
  const keys = Object.keys(before) as readonly (keyof NodeState)[];
  return keys.filter((key) => !isDeepStrictEqual(before[key], after[key])).map((key) => `${key}: ${describeChange(before[key], after[key])}`);
}

function describeChange(before: unknown, after: unknown): string {
  if (!Array.isArray(before) || !Array.isArray(after)) return `${JSON.stringify(after)} instead of ${JSON.stringify(before)}`;
  const without = (all: readonly unknown[], others: readonly unknown[]): string => JSON.stringify(all.filter((one) => !others.includes(one)));
  return `${after.length} instead of ${before.length}, new are ${without(after, before)}, missing are ${without(before, after)}`;
}

/** What the machine itself has of a run: mounts that this process can see, its namespaces, and control groups by their names. */
export function readMachineState(): readonly string[] {
  const own = `wt${process.pid}-`;
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(own) || !line.includes('/run/netns/'));
  const netns = run('ip', ['netns', 'list']).split('\n').filter((line) => line.startsWith(own));
  const parents = ['/sys/fs/cgroup', ...readIfThere('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}`)];
  const cgroups = parents.flatMap((parent) => readIfThere(parent).filter((name) => name.startsWith(own)));
  return [...mounts, ...netns, ...cgroups];
}

/** Without the namespaces of tests, this one's and others': a node begins with a copy of the machine's mounts, and they leave it when they end. */
function readMounts(path: string): readonly string[] {
  const places = readFileSync(path, 'utf8').split('\n').flatMap((line) => line.split(' ')[1] ?? []);
  return places.filter((place) => !place.startsWith('/run/netns/wt')).sort();
}

function readProcesses(directory: string): readonly string[] {
  const ids = readdirSync(directory).filter((name) => /^\d+$/.test(name));
  return ids.flatMap((id) => nameOf(join(directory, id))).sort();
}

/** Nothing where it has ended meanwhile, or waits to be reaped, or only passes. */
function nameOf(directory: string): readonly string[] {
  try {
    const { name, state } = /^\d+ \((?<name>.*)\) (?<state>\S)/s.exec(readFileSync(join(directory, 'stat'), 'utf8'))?.groups ?? {};
    return name === undefined || state === 'Z' || passing.has(name) ? [] : [name];
  } catch {
    return [];
  }
}

/** Groups of single pods and containers below a group; those that a kubelet keeps for its classes of pods are not among them. */
function podGroups(path: string): readonly string[] {
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return below.flatMap(({ name }) => [...(/^pod|^[0-9a-f]{64}$/.test(name) ? [join(path, name)] : []), ...podGroups(join(path, name))]);
}

function readIfThere(path: string): readonly string[] {
  try {
    return existsSync(path) ? readdirSync(path).sort() : [];
  } catch {
    return [];
  }
}
