/** What this kernel was built with, as far as files say: a request that would make the kernel load a module is a change. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import type { FeatureState, KernelFeature } from '../kernel.ts';

/** By the names of their modules; kinds of links have the same. */
const needed: readonly (readonly [name: string, option: string, purpose: string])[] = [
  ['bridge', 'CONFIG_BRIDGE', "tenants' bridges"],
  ['vxlan', 'CONFIG_VXLAN', "tenants' tunnels"],
  ['veth', 'CONFIG_VETH', "containers' interfaces"],
];

/** What weft needs, and whether it is there. @param kindsSeen kinds of links that this node has: of those nobody need ask */
export function findFeatures(kindsSeen: ReadonlySet<string>): readonly KernelFeature[] {
  const sources = readSources();
  return needed.map(([name, option, purpose]) => ({ name, purpose, state: kindsSeen.has(name) || existsSync(`/sys/module/${name}`) ? 'present' : stateOf(name, option, sources) }));
}

/** The lists of modules, and the options the kernel was built with; undefined where they are not to be had. */
export interface FeatureSources {
  readonly builtIn: string | undefined;
  readonly modules: string | undefined;
  readonly options: string | undefined;
}

function readSources(): FeatureSources {
  const directory = `/lib/modules/${release()}`;
  const options = tryRead(() => gunzipSync(readFileSync('/proc/config.gz')).toString()) ?? tryRead(() => readFileSync(`/boot/config-${release()}`, 'utf8'));
  return { builtIn: tryRead(() => readFileSync(`${directory}/modules.builtin`, 'utf8')), modules: tryRead(() => readFileSync(`${directory}/modules.dep`, 'utf8')), options };
}

/** Whether one feature is there, by the lists. */
export function stateOf(name: string, option: string, { builtIn, modules, options }: FeatureSources): FeatureState {
  if (namesModule(builtIn, name)) return 'present';
  if (namesModule(modules, name)) return 'loadable';
  const set = options === undefined ? undefined : new RegExp(`^${option}=([ym])$`, 'm').exec(options)?.[1];
  if (set === 'y') return 'present';
  if (options !== undefined && set === undefined) return 'absent';
  // A module of which no list tells: in a container, or with modules on another file system.
  return builtIn !== undefined && modules !== undefined ? 'absent' : 'unknown';
}

function namesModule(list: string | undefined, name: string): boolean {
  return list !== undefined && new RegExp(`(^|/)${name}\\.ko(\\.[a-z0-9]+)?(:|$)`, 'm').test(list);
}

function tryRead(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
