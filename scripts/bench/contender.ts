/** A plugin under measurement: how it is called, and what a call took. */
import { spawnSync } from 'node:child_process';

export interface Contender {
  readonly name: string;
  readonly executable: string;
  readonly conf: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
}

export interface CallTarget {
  readonly verb: 'ADD' | 'DEL';
  readonly containerId: string;
  readonly netns: string;
}

const callDeadlineMs = 30_000;

/** Calls the plugin as a runtime would; returns milliseconds. @throws Error with the plugin's answer when it failed */
export function callPlugin(contender: Contender, { verb, containerId, netns }: CallTarget): number {
  const env = { ...contender.env, CNI_COMMAND: verb, CNI_CONTAINERID: containerId, CNI_NETNS: netns, CNI_IFNAME: 'eth0' };
  const start = performance.now();
  const child = spawnSync(contender.executable, [], { env, input: JSON.stringify(contender.conf), timeout: callDeadlineMs });
  const elapsed = performance.now() - start;
  if (child.status !== 0) throw new Error(`${contender.name} failed ${verb}: ${child.stdout?.toString()}${child.stderr?.toString()}${child.error?.message ?? ''}`);
  return elapsed;
}

const pluginDirectory = '/usr/lib/cni';

/** weft as one process for each call, without a daemon. */
export function weftAlone(executable: string, directory: string): Contender {
  return {
    name: 'weft alone',
    executable,
    conf: {
      cniVersion: '1.0.0', name: 'bench', type: 'weft', vni: 1001, vtep: { interface: 'u0' }, peers: ['10.200.0.2'],
      ipam: { type: 'weft', ranges: [[{ subnet: '10.1.0.0/16' }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    env: { PATH: process.env['PATH'] ?? '', CNI_PATH: pluginDirectory, WEFT_STATE_DIR: `${directory}/state`, WEFT_RUN_DIR: `${directory}/run` },
  };
}

/** The reference plugins, as Debian packs them. */
export function referenceBridge(directory: string): Contender {
  return {
    name: 'bridge+host-local',
    executable: `${pluginDirectory}/bridge`,
    conf: {
      cniVersion: '1.0.0', name: 'reference', type: 'bridge', bridge: 'ref0', isGateway: false,
      ipam: { type: 'host-local', dataDir: `${directory}/host-local`, ranges: [[{ subnet: '10.2.0.0/16' }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    env: { PATH: process.env['PATH'] ?? '', CNI_PATH: pluginDirectory },
  };
}
