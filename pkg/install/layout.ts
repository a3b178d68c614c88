/** Where an installed weft is on a node. The launcher looks for the executable under this very name (cmd/launcher/weft.c). */
import { WeftError } from '../errors/weft-error.ts';

/** Paths as the node itself names them, without the root under which an installer sees them. */
export const places = {
  executable: '/usr/local/bin/weft',
  launcher: '/opt/cni/bin/weft',
  nodeConf: '/etc/weft/weft.yaml',
  networkDirectory: '/etc/cni/net.d',
  stateDirectory: '/var/lib/weft',
} as const;

/** What an installation has put where: the file in the state directory. */
export const recordName = 'installed.json';

/** Of the file in the network directory, unless another is asked for. */
export const defaultConfListName = '10-weft.conflist';

/** Endings of what runtimes take for a network configuration (libcni, ConfFiles as containerd and podman call it). */
const networkFile = /\.(conflist|conf|json)$/;

/** Whether a runtime would look into a file of this name. */
export function isNetworkFile(name: string): boolean {
  return networkFile.test(name) && !name.startsWith('.');
}

/**
 * The conflist's path on the node.
 * @throws WeftError invalidConfiguration for a name that no runtime would read, or that leads elsewhere
 */
export function confListPath(name: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*\.conflist$/.test(name)) return `${places.networkDirectory}/${name}`;
  throw new WeftError('invalidConfiguration', `The conflist's name must be a file name that ends with .conflist, such as ${defaultConfListName}: current value is ${name}`);
}
