/** A private Open vSwitch with switches of weft's on it, for tests. */
import { pause } from '../../../sys/timer.ts';
import { run } from '../../../testing/command.ts';
import type { TeardownScope } from '../../../testing/netns.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../../../testing/openvswitch.ts';
import type { OvsSettings, SwitchOptions } from './settings.ts';
import { openSwitch, type OvsSwitch } from './switch.ts';

/** Only what hangs takes as long, in milliseconds. */
export const testDeadlineMs = 20_000;

/** The scene of a test. */
export interface Scene {
  readonly openVSwitch: OpenVSwitch;
  /** Opens another switch on it, which ends with the scope. */
  readonly open: (settings?: OvsSettings, options?: SwitchOptions) => OvsSwitch;
}

/** Starts an Open vSwitch that ends with the scope. */
export async function createScene(scope: TeardownScope): Promise<Scene> {
  const openVSwitch = await startOpenVSwitch(scope);
  const open = (settings: OvsSettings = {}, options: SwitchOptions = {}): OvsSwitch => {
    const opened = openSwitch({ database: openVSwitch.databaseSocket, ...settings }, { deadlineMs: testDeadlineMs, ...options });
    scope.teardown(() => opened.close());
    return opened;
  };
  return { openVSwitch, open };
}

/** Makes devices that can become ports, each a veth of which nobody uses the other end. @returns their names */
export function makeDevices({ netns }: OpenVSwitch, count: number, prefix = 'p'): readonly string[] {
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  run('ip', ['-n', netns, '-batch', '-'], names.map((name) => `link add ${name} type veth peer name x${name}\n`).join(''));
  return names;
}

/** Waits for what a test sees only by looking: such as that a switch has heard of what another program did. @throws Error after 20 s */
export async function until(condition: () => boolean): Promise<void> {
  const endsAt = performance.now() + testDeadlineMs;
  while (!condition()) {
    if (performance.now() > endsAt) throw new Error(`Waited in vain until ${condition.toString()}`);
    await pause(5);
  }
}

/** The ports of a bridge, in order, as ovs-vsctl lists them. */
export function listPorts(openVSwitch: OpenVSwitch, bridge = 'weft-int'): readonly string[] {
  return openVSwitch.vsctl('--no-wait', 'list-ports', bridge).split('\n').filter((name) => name !== '').sort();
}

/** A column of a row, as ovs-vsctl prints it, without its quotes. */
export function readColumn(openVSwitch: OpenVSwitch, ...path: readonly [table: string, row: string, column: string]): string {
  return openVSwitch.vsctl('--no-wait', 'get', ...path).trim().replace(/^"|"$/g, '');
}
