import { resolve } from 'node:path';
import { openVSwitchTools } from '../../pkg/testing/openvswitch.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import type { DatapathName } from './lab-node.ts';

/** The executable under test: $WEFT_BIN, or dist/weft of this checkout. */
export const weftExecutable: string = process.env['WEFT_BIN'] ?? resolve(import.meta.dirname, '../../dist/weft');

/** The launcher under test: $WEFT_LAUNCHER, or dist/cni/weft of this checkout. */
export const launcherExecutable: string = process.env['WEFT_LAUNCHER'] ?? resolve(import.meta.dirname, '../../dist/cni/weft');

/** Reason to skip a black-box test of weft on this machine, or false. @throws Error under WEFT_TEST_STRICT=1 */
export function skipWithoutLab(...tools: readonly string[]): string | false {
  return skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', ...tools], executables: [weftExecutable] });
}

/** The same for a lab with nodes of these datapaths. @throws Error under WEFT_TEST_STRICT=1 */
export function skipWithoutLabOf(datapaths: readonly DatapathName[], ...tools: readonly string[]): string | false {
  return skipWithoutLab(...tools, ...(datapaths.includes('ovs') ? [...openVSwitchTools, 'ethtool'] : []));
}

/** The same for a test of the daemon, which is called by the launcher. @throws Error under WEFT_TEST_STRICT=1 */
export function skipWithoutDaemonLab(...tools: readonly string[]): string | false {
  return skipWithoutDaemonLabOf([], ...tools);
}

/** The same for a lab with nodes of these datapaths. @throws Error under WEFT_TEST_STRICT=1 */
export function skipWithoutDaemonLabOf(datapaths: readonly DatapathName[], ...tools: readonly string[]): string | false {
  return skipWithoutLabOf(datapaths, ...tools) || skipUnless({ executables: [launcherExecutable] });
}
