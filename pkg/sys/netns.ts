/** Network namespaces by their path: what they are, whether two are the same, and work inside one. */
import { closeSync, fstatSync, openSync, statfsSync, statSync } from 'node:fs';
import { isNetworkNamespace, setNetns } from './libc.ts';
import { WeftError } from '../errors/weft-error.ts';

/** The calling process's own network namespace. */
export const ownNetns = '/proc/self/ns/net';

/** NSFS_MAGIC, include/uapi/linux/magic.h. */
const nsfsMagic = 0x6e736673;

/** `device:inode`, which is the same for two paths if and only if they name the same namespace. */
export function netnsId(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

/** The namespace's id, or undefined where the path is gone or is no longer a namespace (an unmounted bind mount is a plain file). */
export function findNetnsId(path: string): string | undefined {
  try {
    return isNamespaceFile(path) ? netnsId(path) : undefined;
  } catch {
    return undefined;
  }
}

function isNamespaceFile(path: string): boolean {
  return statfsSync(path).type === nsfsMagic;
}

/**
 * Opens the network namespace at a path that came from outside.
 * @returns a descriptor that the caller closes within the same call: an open one keeps the namespace and its links alive.
 * @throws WeftError invalidEnvironment when it is not a network namespace, or is the caller's own
 */
export function openNetns(path: string): number {
  let fd: number;
  try {
    if (!isNamespaceFile(path)) throw new WeftError('invalidEnvironment', `CNI_NETNS must be a network namespace: ${path} is an ordinary file`);
    fd = openSync(path, 'r');
  } catch (error) {
    if (error instanceof WeftError) throw error;
    throw new WeftError('invalidEnvironment', `CNI_NETNS must be a network namespace that exists: cannot open ${path}`, { cause: error });
  }
  try {
    if (netnsId(path) === netnsId(ownNetns)) throw new WeftError('invalidEnvironment', `CNI_NETNS must be the container's network namespace: ${path} is the host's own`);
    if (!isNetworkNamespace(fd)) throw new WeftError('invalidEnvironment', `CNI_NETNS must be a network namespace: ${path} is a namespace of another type`);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Opens the namespace at a path that weft wrote down, where it still is the one with the id (netnsId()).
 * @returns a descriptor that the caller closes within the same call; undefined where the namespace is gone
 */
export function openNetnsById(path: string, id: string): number | undefined {
  if (findNetnsId(path) !== id) return undefined;
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined; // It went this moment.
  }
  const { dev, ino } = fstatSync(fd, { bigint: true });
  if (`${dev}:${ino}` === id) return fd;
  closeSync(fd);
  return undefined;
}

/**
 * Runs a synchronous function with the thread inside the network namespace of the descriptor, and returns to the own one.
 * @throws SystemCallError when it cannot be entered
 */
export function insideNetns<T>(fd: number, fn: () => T): T {
  const home = openSync(ownNetns, 'r');
  try {
    setNetns(fd);
    try {
      return fn();
    } finally {
      // Failing to come home would run everything that follows in the container: nothing can be done after that.
      setNetns(home);
    }
  } finally {
    closeSync(home);
  }
}
