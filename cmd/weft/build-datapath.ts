/** The node's datapaths put together, and what is known of them without opening any. */
import { readFileSync } from 'node:fs';
import { datapathsAsOne, LazyDatapath } from '../../pkg/datapath/datapaths.ts';
import type { NodeDatapath } from '../../pkg/datapath/datapath.ts';
import type { Kernel } from '../../pkg/datapath/kernel.ts';
import { linuxBridgeDatapath } from '../../pkg/datapath/linuxbridge/linuxbridge.ts';
import { containersMax } from '../../pkg/datapath/linuxbridge/port.ts';
import { ovsDatapath, portsMax } from '../../pkg/datapath/ovs/ovs.ts';
import type { OvsSettings } from '../../pkg/datapath/ovs/switch/settings.ts';
import { openSwitch, type OvsSwitch } from '../../pkg/datapath/ovs/switch/switch.ts';
import type { Segment } from '../../pkg/overlay/model.ts';
import type { Places } from './places.ts';

/** Both datapaths; nobody connects to the switch before a tenant needs it. */
export function buildDatapath(kernel: Kernel, { ovs, isConfigured }: NodeSwitch): NodeDatapath {
  return datapathsAsOne({ bridge: linuxBridgeDatapath(kernel), ovs: new LazyDatapath(() => ovsDatapath(kernel, ovs), isConfigured) });
}

/** The node's Open vSwitch, connected to or not. */
export interface NodeSwitch {
  readonly ovs: OvsSwitch;
  /** Whether the node's configuration has one: then it is looked at for what is left over. */
  readonly isConfigured: boolean;
}

/** How many endpoints a tenant can have on a node. */
export function endpointsMaxOf({ datapath }: Pick<Segment, 'datapath'>): number {
  return datapath === 'ovs' ? portsMax : containersMax;
}

/**
 * The node's Open vSwitch, for a process that answers one call: a node without one in its configuration is spared the YAML parser. What
 * is wrong with the configuration is said where it is needed.
 */
export async function openSwitchOf({ configPath }: Places): Promise<NodeSwitch> {
  const settings = await findSettings(configPath);
  return { ovs: openSwitch(settings), isConfigured: settings !== undefined };
}

async function findSettings(configPath: string): Promise<OvsSettings | undefined> {
  try {
    const text = readFileSync(configPath, 'utf8');
    if (!/^ovs:/m.test(text)) return undefined;
    const { parseNodeConf } = await import('../../pkg/config/node-conf.ts');
    return parseNodeConf(text, configPath).ovs;
  } catch {
    return undefined;
  }
}
