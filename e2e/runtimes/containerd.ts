/** A containerd of the test's own on a private node, and containers by `ctr run --cni`. */
import { rootfs, type PrivateNode } from './private-node.ts';
import type { WatchedProcess } from './watched-process.ts';

const configFile = '/etc/containerd/config.toml';
/** The directory that `ctr` reads networks from; it can be told no other. */
const networkDirectory = '/etc/cni/net.d';

/**
 * Starts containerd and waits until it serves. It ends with the node.
 * @param config its configuration, in TOML
 */
export async function startContainerd(host: PrivateNode, config: string): Promise<WatchedProcess> {
  host.write(configFile, config);
  const containerd = host.start('containerd', '--config', configFile);
  await containerd.heard(/containerd successfully booted/);
  return containerd;
}

/** A container that `ctr run` waits for. */
export class CtrContainer {
  readonly id: string;
  /** Of its first process, as the node's processes count. */
  readonly pid: number;
  readonly #host: PrivateNode;
  readonly #ctr: WatchedProcess;

  constructor(host: PrivateNode, ctr: WatchedProcess, { id, pid }: { readonly id: string; readonly pid: number }) {
    this.#host = host;
    this.#ctr = ctr;
    this.id = id;
    this.pid = pid;
  }

  /** Runs a program inside. @throws Error where it fails */
  exec(...command: readonly string[]): string {
    return this.#host.run('ctr', 'task', 'exec', '--exec-id', 'test', this.id, ...command);
  }

  /** Kills it and waits for `ctr run`, which calls DEL. @returns what that wrote since it started */
  async end(): Promise<string> {
    this.#host.run('ctr', 'task', 'kill', '--signal', 'SIGKILL', this.id);
    await this.#ctr.ended;
    return this.#ctr.output;
  }
}

/**
 * Runs a container with the network of a configuration list, the only one its `ctr` sees.
 * @throws Error with the words of ctr, and so of the plugin
 */
export async function runContainer(host: PrivateNode, id: string, confList: string): Promise<CtrContainer> {
  host.write(`/run/networks/${id}/10-weft.conflist`, confList);
  const seeNetwork = `mount --bind /run/networks/${id} ${networkDirectory} && exec "$@"`;
  const flags = ['--rm', '--cni', '--cgroup', `/${host.cgroup}/${id}`, '--rootfs'];
  // ctr calls ADD before it starts the container's program, so the word of that program says that ADD is done.
  const program = ['/bin/sh', '-c', 'echo attached; exec sleep 600'];
  const ctr = host.start('unshare', '--mount', 'sh', '-c', seeNetwork, 'sh', 'ctr', 'run', ...flags, rootfs, id, ...program);
  await ctr.heard(/^attached$/m);
  return new CtrContainer(host, ctr, { id, pid: findPid(host, id) });
}

/** The first process of a container, as the node's processes count. @param namespace containerd's, where that is not `ctr`'s own */
export function findPid(host: PrivateNode, id: string, namespace = 'default'): number {
  const row = host.run('ctr', '--namespace', namespace, 'task', 'ls').split('\n').map((line) => line.trim().split(/\s+/)).find(([task]) => task === id);
  return Number(row?.[1]);
}
