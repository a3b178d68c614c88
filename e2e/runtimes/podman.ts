/** podman with its CNI backend on a private node. Debian's knows no other; later ones replaced it by netavark. */
import { rootfs, type PrivateNode } from './private-node.ts';

/**
 * cgroupfs, for no systemd answers on the node; runc, since crun refuses a machine with both versions of control
 * groups; limits as low as any machine's, since raising them takes CAP_SYS_RESOURCE, which nested machines lack.
 */
const containersConf = `
[containers]
cgroups = "no-conmon"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]

[network]
network_backend = "cni"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
`;

export interface PodmanContainer {
  readonly name: string;
  readonly network: string;
  /** --ip and --mac-address. */
  readonly ip?: string;
  readonly mac?: string;
}

/** Configures podman on the node. */
export function installPodman(host: PrivateNode): void {
  host.write('/etc/containers/containers.conf', containersConf);
}

/** `podman run --detach` of a container that sleeps. @throws Error with podman's words, and so the plugin's */
export function podmanRun(host: PrivateNode, { name, network, ip, mac }: PodmanContainer): void {
  const flags = ['--detach', '--name', name, '--network', network, '--cgroup-parent', `/${host.cgroup}`];
  if (ip !== undefined) flags.push('--ip', ip);
  if (mac !== undefined) flags.push('--mac-address', mac);
  // Unlike containerd, podman gives a container no raw sockets, which ping needs.
  host.run('podman', 'run', ...flags, '--cap-add', 'NET_RAW', '--rootfs', rootfs, '/bin/sleep', '600');
}

/** Runs a program inside a container. @returns its stdout @throws Error where it fails */
export function podmanExec(host: PrivateNode, container: string, ...command: readonly string[]): string {
  return host.run('podman', 'exec', container, ...command);
}

/** What podman says of a container in the form of a Go template. */
export function podmanInspect(host: PrivateNode, container: string, template: string): string {
  return host.run('podman', 'inspect', '--format', template, container).trim();
}

/** Stops a container, which calls DEL, and removes it. */
export function podmanRemove(host: PrivateNode, container: string): void {
  host.run('podman', 'stop', '--time', '0', container);
  host.run('podman', 'rm', container);
}
