/** A plugin under measurement, and the calls that a runtime makes of it. */
import type { Job } from './spawner-wire.ts';

export interface Contender {
  readonly name: string;
  readonly executable: string;
  readonly conf: Readonly<Record<string, unknown>>;
  /** Variables for every call. */
  readonly env: Readonly<Record<string, string>>;
}

export interface CallTarget {
  readonly verb: 'ADD' | 'DEL';
  readonly containerId: string;
  /** The path of the container's namespace. */
  readonly netns: string;
}

/** A call as a runtime makes it. */
export function callJob({ executable, conf, env }: Contender, { verb, containerId, netns }: CallTarget): Job {
  const call = { CNI_COMMAND: verb, CNI_CONTAINERID: containerId, CNI_NETNS: netns, CNI_IFNAME: 'eth0' };
  return { executable, env: { ...env, ...call }, stdin: JSON.stringify(conf) };
}

/** VERSION, which does nothing to the node. */
export function versionJob({ executable, env }: Contender): Job {
  return { executable, env: { ...env, CNI_COMMAND: 'VERSION' }, stdin: '{"cniVersion":"1.0.0"}' };
}

/** Where Debian has the reference plugins. */
export const pluginDirectory = '/usr/lib/cni';

const weftConf = {
  cniVersion: '1.0.0', name: 'bench', type: 'weft', vni: 1001, vtep: { interface: 'u0' }, peers: ['10.200.0.2'],
  ipam: { type: 'weft', ranges: [[{ subnet: '10.1.0.0/16' }]], routes: [{ dst: '0.0.0.0/0' }] },
};

/** weft as a runtime has it: the launcher, and behind it the daemon that runs with the same variables. */
export function weftLaunched(launcher: string, env: Readonly<Record<string, string>>): Contender {
  return { name: 'weft', executable: launcher, conf: weftConf, env: pluginEnv(env) };
}

/** The same with Open vSwitch, whose VTEP is on a bridge of its own. */
export function weftOverOvs(launcher: string, env: Readonly<Record<string, string>>): Contender {
  return { name: 'weft', executable: launcher, conf: { ...weftConf, datapath: 'ovs', vtep: { interface: 'br-phy' } }, env: pluginEnv(env) };
}

/** weft as one process for each call, beside the daemon: same ledger, same bridge. */
export function weftAlone(executable: string, env: Readonly<Record<string, string>>): Contender {
  return { name: 'weft alone', executable, conf: weftConf, env: pluginEnv(env) };
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
    env: pluginEnv({}),
  };
}

/** A program that does nothing: what the execution of processes costs by itself. */
export const emptyProgram: Contender = { name: '/bin/true, the floor', executable: '/bin/true', conf: {}, env: {} };

function pluginEnv(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { PATH: process.env['PATH'] ?? '', CNI_PATH: pluginDirectory, ...env };
}
