/** How endpoints are wired and frames are carried between nodes: `datapath`, `encapsulation`, and the node's `ovs`. */
import { showValue } from '../cni/json-value.ts';
import type { Encapsulation } from '../mtu/overhead.ts';
import { bridgePrefix, isPortName, isSegmentName, portPrefix, shaperPrefix, tenantShaperPrefixes, vxlanPrefix } from '../overlay/names.ts';
import { interfaceName } from './interface-name.ts';
import { key, malformed, objectOf, readerOf, scalar, text, type Keys, type Reader } from './readers.ts';
import { socketDirectory, socketPath } from './socket-path.ts';

/** What wires the endpoints of a tenant: Linux bridges, or Open vSwitch. */
export type DatapathName = 'bridge' | 'ovs';

/** `datapath` and `encapsulation` as one configuration or several together say them; absent: the default. */
export interface WiringSettings {
  readonly datapath?: DatapathName;
  readonly encapsulation?: Encapsulation;
}

/** The node's Open vSwitch; what is left out whoever connects to it chooses. */
export interface OvsConf {
  /** Path of the unix socket where ovsdb-server listens. */
  readonly database: string;
  /** The integration bridge, which is weft's alone. */
  readonly bridge: string;
  /** Who forwards: the kernel's module, or ovs-vswitchd itself. */
  readonly datapathType: 'system' | 'netdev';
  /** The directory where ovs-vswitchd makes `<bridge>.mgmt`. */
  readonly runDirectory: string;
}

/** IANA, "vxlan" and "geneve". */
const defaultPorts: Readonly<Record<Encapsulation, number>> = { vxlan: 4789, geneve: 6081 };

/** One of a few words. */
export function wordOf<Word extends string>(...words: readonly Word[]): Reader<Word> {
  const noun = words.map((word) => showValue(word)).join(' or ');
  return scalar({ kind: 'words', words }, (value, name) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw malformed(name, noun, value);
    return found;
  });
}

/** The keys of WiringSettings. */
export const wiringKeys: Keys<Required<WiringSettings>> = {
  datapath: key(wordOf<DatapathName>('bridge', 'ovs'), 'How endpoints are wired: Linux bridges, or Open vSwitch ([ovs.md](../ovs.md)).', { default: 'bridge' }),
  encapsulation: key(wordOf<Encapsulation>('vxlan', 'geneve'), 'How frames travel between nodes, the same on all nodes of a tenant; `geneve` only with the datapath `ovs`.', { default: 'vxlan' }),
};

/** `/`, a bridge's name and `.mgmt`. */
const managementNameBytes = 1 + 15 + 5;

/** The guard and the collection of what is left over know weft's interfaces by their names: the bridge must not pass for one. */
const integrationBridge: Reader<string> = readerOf(interfaceName.shape, (value, site) => {
  const bridge = interfaceName(value, site);
  return bridge === undefined ? undefined : apartFromOwnNames(bridge, site);
});

const ownPrefixes = [portPrefix, bridgePrefix, vxlanPrefix] as const;

const apartFromOwnNames: Reader<string> = text('the name of a bridge', (value, name) => {
  const isShaper = isPortName(value, shaperPrefix) || Object.values(tenantShaperPrefixes).some((prefix) => isSegmentName(value, prefix));
  if (!ownPrefixes.some((prefix) => value.startsWith(prefix)) && !isShaper) return value;
  throw malformed(name, `a name that weft gives to no other interface, so none that begins with ${ownPrefixes.join(', ')} or is ${shaperPrefix} with nine more, or with t or f and a number`, value);
});

/** Reads the node's `ovs`. */
export const ovs: Reader<Partial<OvsConf>> = objectOf<OvsConf>({
  database: key(socketPath, 'Where ovsdb-server listens.', { default: '/var/run/openvswitch/db.sock' }),
  bridge: key(integrationBridge, "The integration bridge, which is weft's alone and which weft makes; no name that weft gives to other interfaces.", { default: 'weft-int' }),
  datapathType: key(wordOf<OvsConf['datapathType']>('system', 'netdev'), "Who forwards: the kernel's module, or ovs-vswitchd itself in user space.", { otherwise: 'as the bridge is, where it is there; else `system` where the kernel has the module, else `netdev`' }),
  runDirectory: key(socketDirectory(managementNameBytes), 'Where ovs-vswitchd makes `<bridge>.mgmt`.', { otherwise: 'the directory of `database`' }),
});

/** The UDP port of an encapsulation where no configuration names one. */
export function defaultPort(encapsulation: Encapsulation): number {
  return defaultPorts[encapsulation];
}

/** What is wrong with the two together. */
export function findWiringFaults({ datapath, encapsulation }: WiringSettings): readonly string[] {
  if (encapsulation !== 'geneve' || datapath === 'ovs') return [];
  return ['encapsulation "geneve" needs datapath "ovs": set datapath to "ovs", or encapsulation to "vxlan"'];
}
