/** Network sysctls of the namespace the calling thread is in. */
import { readFileSync, writeFileSync } from 'node:fs';
import { WeftError } from '../errors/weft-error.ts';

/** The path of a sysctl below /proc/sys/net. Names are joined here because interface names may contain dots. */
function sysctlPath(parts: readonly string[]): string {
  return `/proc/sys/net/${parts.join('/')}`;
}

/** A sysctl's value; undefined where the kernel lacks it or it cannot be read. */
export function readSysctl(parts: readonly string[]): string | undefined {
  try {
    return readFileSync(sysctlPath(parts), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Sets a sysctl unless it has the value. @throws WeftError ioFailure naming the sysctl */
export function setSysctl(parts: readonly string[], value: string): void {
  const path = sysctlPath(parts);
  try {
    if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
  } catch (error) {
    throw new WeftError('ioFailure', `Cannot set ${path} to ${value}`, { cause: error });
  }
}

/** Sets a sysctl that is of use but not needed: where /proc/sys is read-only or the kernel lacks it, nothing happens. */
export function trySetSysctl(parts: readonly string[], value: string): void {
  try {
    writeFileSync(sysctlPath(parts), value);
  } catch {
    // Not needed.
  }
}
