/** What a kubelet does with the pods of the DaemonSet, on a private node: volumes, init container, containers, probes. */
import { join, resolve } from 'node:path';
import { launcherExecutable, weftExecutable } from '../harness/weft-executable.ts';
import type { PrivateNode } from '../runtimes/private-node.ts';
import type { WatchedProcess } from '../runtimes/watched-process.ts';
import { containerOf, type Container, type DaemonSet, type PodSpec } from './manifest.ts';

const script = resolve(import.meta.dirname, 'container.sh');
/** Where this kubelet keeps the ConfigMap's files on the node. */
const configMapDirectory = '/run/kubelet/config-map';

/** What is in the image beside Debian. */
export interface Image {
  readonly weft: string;
  readonly launcher: string;
}

/** The image as it is built from this checkout. */
export const builtImage: Image = { weft: weftExecutable, launcher: launcherExecutable };

export interface KubeletOptions {
  readonly host: PrivateNode;
  /** The node's name in Kubernetes. */
  readonly nodeName: string;
  /** Files of the ConfigMap. */
  readonly configMap: Readonly<Record<string, string>>;
}

/** The kubelet of one node. */
export class Kubelet {
  readonly #options: KubeletOptions;

  constructor(options: KubeletOptions) {
    this.#options = options;
    // systemd makes the mounts of a machine shared, and mountPropagation needs it; in a private node nothing has.
    options.host.run('mount', '--make-rshared', '/');
    for (const [name, text] of Object.entries(options.configMap)) options.host.write(join(configMapDirectory, name), text);
  }

  /** Runs a container to its end. @returns what it wrote to stdout @throws Error with what it wrote to stderr where it fails */
  run(set: DaemonSet, name: string, image: Image): string {
    const container = containerOf(set, name);
    return this.#options.host.run(...this.#command(set.spec.template.spec, container, image), ...this.#program(container));
  }

  /** Starts a container; it ends with the node at the latest. */
  start(set: DaemonSet, name: string, image: Image): WatchedProcess {
    const container = containerOf(set, name);
    return this.#options.host.start(...this.#command(set.spec.template.spec, container, image), ...this.#program(container));
  }

  /** Whether a probe of the container succeeds: a program in it. */
  probe(set: DaemonSet, name: string, kind: 'readinessProbe' | 'livenessProbe'): boolean {
    const container = containerOf(set, name);
    const { command } = container[kind]?.exec ?? { command: ['false'] };
    try {
      this.#options.host.run(...this.#command(set.spec.template.spec, container, builtImage), ...command);
      return true;
    } catch {
      return false;
    }
  }

  #command(pod: PodSpec, container: Container, image: Image): readonly [string, ...string[]] {
    const own = [...(pod.hostNetwork === true ? [] : ['--net']), ...(pod.hostPID === true ? [] : ['--pid', '--fork'])];
    const mounts = container.volumeMounts.map(({ name, mountPath, readOnly, mountPropagation }) => {
      const options = [...(readOnly === true ? ['ro'] : []), ...(mountPropagation === 'HostToContainer' ? ['rslave'] : [])];
      return `${this.#sourceOf(pod, name)}:${mountPath}:${options.join(',')}`;
    });
    return ['unshare', '--mount', '--propagation', 'slave', ...own, script, image.weft, image.launcher, ...mounts, '--'];
  }

  /** The image's entry point and arguments, or the command in their place, with $(VARIABLE) as Kubernetes expands it. */
  #program({ command = ['/usr/local/bin/weft'], args = [] }: Container): readonly string[] {
    return [...command, ...args].map((word) => word.replaceAll('$(NODE_NAME)', this.#options.nodeName));
  }

  #sourceOf({ volumes }: PodSpec, name: string): string {
    const volume = volumes.find((candidate) => candidate.name === name);
    const path = volume?.configMap === undefined ? volume?.hostPath?.path : configMapDirectory;
    if (path === undefined) throw new Error(`there is no volume ${name}`);
    return path;
  }
}
