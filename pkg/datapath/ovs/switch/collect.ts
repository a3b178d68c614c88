/** What of weft's is in Open vSwitch's database and nobody needs. Pure. */
import type { Uuid } from '../../../ovsdb/values.ts';
import { ownerKey, portsOf, type OwnBridge, type SwitchRows } from './rows.ts';

/** The names of what is needed. */
export interface NeededPorts {
  readonly ports: ReadonlySet<string>;
  readonly tunnels: ReadonlySet<string>;
}

/** What may go. */
export interface Surplus {
  /** Names, each with what it is, in words. */
  readonly ports: ReadonlyMap<string, string>;
  /** Needed ports whose network device is gone. A port is not removed before it was seen so twice: ovs-vswitchd may only be behind. */
  readonly dead: ReadonlySet<string>;
  readonly qos: readonly Uuid[];
  readonly queues: readonly Uuid[];
}

/**
 * Finds it.
 * @param deadBefore the dead ports of the last time
 */
export function findSurplus(rows: SwitchRows, { bridge, needed, deadBefore }: { readonly bridge: OwnBridge; readonly needed: NeededPorts; readonly deadBefore: ReadonlySet<string> }): Surplus {
  const ports = new Map<string, string>();
  const dead = new Set<string>();
  for (const [name, { role, ifIndex, type }] of portsOf(rows, bridge)) {
    const isNeeded = role === 'tunnel' ? needed.tunnels.has(name) : needed.ports.has(name);
    // A tunnel is no network device, and has no number with the userspace datapath.
    const isDead = role === 'port' && type === '' && ifIndex === 0;
    if (!isNeeded) ports.set(name, `the ${role} ${name} of Open vSwitch`);
    else if (isDead && deadBefore.has(name)) ports.set(name, `the port ${name} of Open vSwitch, whose network device is gone`);
    else if (isDead) dead.add(name);
  }
  return { ports, dead, ...findUnreferenced(rows) };
}

/** QoS and Queue rows stand for themselves: they stay when the port goes. */
export function findUnreferenced(rows: SwitchRows): Pick<Surplus, 'qos' | 'queues'> {
  const used = new Set([...rows.table('Port').values()].flatMap(({ qos }) => qos ?? []));
  const qos = [...rows.table('QoS')].filter(([uuid, row]) => row.external_ids.has(ownerKey) && !used.has(uuid)).map(([uuid]) => uuid);
  // The queues of what goes go with it.
  const keptQos = [...rows.table('QoS')].filter(([uuid]) => !qos.includes(uuid));
  const usedQueues = new Set(keptQos.flatMap(([, row]) => [...row.queues.values()]));
  const queues = [...rows.table('Queue')].filter(([uuid, row]) => row.external_ids.has(ownerKey) && !usedQueues.has(uuid)).map(([uuid]) => uuid);
  return { qos, queues };
}
