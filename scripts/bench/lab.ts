/**
 * The place of the measurement: one node with an underlay link, and container namespaces.
 *
 *     node: u0 10.200.0.1/24 ── u1        containers: as many as are asked for
 *
 * Plugins and daemon are executed inside the node's namespace, as a runtime executes them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { createManyNetns, createNetns, netnsPath, type TeardownScope } from '../../pkg/testing/netns.ts';
import { referenceBridge, weftAlone, weftLaunched, type Contender } from './contender.ts';
import { Spawner } from './spawner.ts';

/** What is measured: paths of executables. */
export interface Executables {
  readonly weft: string;
  readonly launcher: string;
}

/** A node on which weft is measured. */
export interface LabNode {
  readonly scope: TeardownScope;
  /** Name of the node's namespace. */
  readonly node: string;
  readonly directory: string;
  readonly spawner: Spawner;
  readonly executables: Executables;
  /** The variables of the launcher, of weft alone and of the daemon. */
  readonly env: Readonly<Record<string, string>>;
  readonly launched: Contender;
}

export interface BenchLab extends LabNode {
  readonly alone: Contender;
  readonly reference: Contender;
}

/** Makes the node; all of it goes away with the scope, or when this process ends before. @throws Error when a command fails */
export function makeLab(scope: TeardownScope, executables: Executables): BenchLab {
  const directory = temporaryDirectory(scope);
  const node = createNetns(scope, 'node');
  run('ip', ['-n', node, '-batch', '-'], [
    'link add u0 type veth peer name u1',
    'address add 10.200.0.1/24 dev u0',
    ...['lo', 'u0', 'u1'].map((link) => `link set ${link} up`),
  ].join('\n'));
  const env = makeWeftPlaces(directory, executables.weft);
  return {
    scope, node, directory, executables, env,
    spawner: Spawner.start(scope, { netns: node, directory }),
    launched: weftLaunched(executables.launcher, env),
    alone: weftAlone(executables.weft, env),
    reference: referenceBridge(directory),
  };
}

/** Makes container namespaces. @returns their paths */
export function makeContainers({ scope }: LabNode, count: number): readonly string[] {
  return createManyNetns(scope, count, 'c').map(netnsPath);
}

/** Where weft is to have its state and configuration, as variables: the machine's own are left alone. */
export function makeWeftPlaces(directory: string, weft: string, nodeConf = 'node: bench\n'): Readonly<Record<string, string>> {
  const [state, runtime, config] = [join(directory, 'state'), join(directory, 'run'), join(directory, 'weft.yaml')];
  for (const path of [state, runtime]) mkdirSync(path, { mode: 0o700 });
  writeFileSync(config, nodeConf);
  return { WEFT_EXE: resolve(weft), WEFT_STATE_DIR: state, WEFT_RUN_DIR: runtime, WEFT_CONFIG: config };
}
