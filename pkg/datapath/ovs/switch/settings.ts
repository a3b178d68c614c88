/** Which Open vSwitch and which bridge of it are weft's, and who forwards there. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import type { SwitchEvent } from '../../../openflow/event.ts';

/** Who forwards packets: the kernel's module, or ovs-vswitchd itself. The words of the column `datapath_type`. */
export type DatapathType = 'system' | 'netdev';

/** The node's `ovs` settings; what is left out has its default. */
export interface OvsSettings {
  /** The Unix socket where ovsdb-server listens. @default '/var/run/openvswitch/db.sock' */
  readonly database?: string;
  /** The integration bridge, which weft makes and owns. At most 15 characters. @default 'weft-int' */
  readonly bridge?: string;
  /** @default as the bridge is, where it is there; else system where the kernel has the openvswitch datapath, else netdev */
  readonly datapathType?: DatapathType;
  /** Where ovs-vswitchd makes `<bridge>.mgmt`. @default the directory of the database's socket */
  readonly runDirectory?: string;
}

/** How a switch is used. Times are in milliseconds. */
export interface SwitchOptions {
  /** How long one call may take. @default 10000 */
  readonly deadlineMs?: number;
  /** The longest time between two attempts to connect while nobody waits. @default 5000 */
  readonly backOffMaxMs?: number;
  /** How long ovsdb-server may be silent before it is asked for a sign of life, and how long it has for that. @default 5000 */
  readonly probeMs?: number;
  /** Called with what the switch says unasked: packets for the controller among it. It must not throw. */
  readonly onEvent?: (event: SwitchEvent) => void;
}

/** The settings with their defaults. */
export interface SwitchPlace {
  readonly database: string;
  readonly bridge: string;
  readonly datapathType: DatapathType | undefined;
  /** The socket on which ovs-vswitchd speaks OpenFlow for the bridge. */
  readonly managementSocket: string;
}

/** Fills in what the settings leave out. */
export function placeOf({ database = '/var/run/openvswitch/db.sock', bridge = 'weft-int', datapathType, runDirectory = dirname(database) }: OvsSettings): SwitchPlace {
  return { database, bridge, datapathType, managementSocket: join(runDirectory, `${bridge}.mgmt`) };
}

const moduleName = 'openvswitch';

/** Whether this kernel has Open vSwitch's datapath: loaded, built in, or as a module that is loaded when it is first asked for. */
export function hasKernelDatapath(): boolean {
  if (existsSync(`/sys/module/${moduleName}`)) return true;
  // A module that is built in has no directory there unless it has parameters.
  return ['modules.builtin', 'modules.dep'].some((list) => namesModule(readList(list)));
}

/** Whether a list of modules has the kernel's own; one from elsewhere (`extra/`, `updates/`) counts as well. */
export function namesModule(list: string): boolean {
  return new RegExp(`(^|/)${moduleName}\\.ko(\\.[a-z0-9]+)?(:|$)`, 'm').test(list);
}

function readList(name: string): string {
  try {
    return readFileSync(join('/lib/modules', release(), name), 'utf8');
  } catch {
    // A kernel without modules has none of the lists.
    return '';
  }
}
