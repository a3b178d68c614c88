/** Whether tunnels of Open vSwitch reach the other nodes. Pure. */
import type { Uuid } from '../../../ovsdb/values.ts';
import { interfacesOf, type SwitchRows } from './rows.ts';
import type { DatapathType } from './settings.ts';

/** How a node routes to its peers. */
export interface EgressRoute {
  /** The link by which packets to a peer leave the node. */
  readonly egressLink: string;
  readonly datapathType: DatapathType;
}

/**
 * Why tunnels cannot leave by the link, and what to do; undefined where they can.
 *
 * With the userspace datapath ovs-vswitchd makes the outer packets itself and does not give them to the kernel: they must leave by one
 * of its own bridges. Where they cannot nothing says so: the tunnel's row shows no error, and its link is up. What counts is the way out of
 * the network namespace that ovs-vswitchd runs in.
 */
export function checkVtep(rows: SwitchRows, bridge: string, { egressLink, datapathType }: EgressRoute): string | undefined {
  // The kernel's datapath gives the outer packets to the kernel, which routes them.
  if (datapathType === 'system') return undefined;
  const owner = [...rows.table('Bridge').values()].find(({ ports }) => hasPort(rows, ports, egressLink));
  if (owner === undefined) {
    return `packets to the other nodes leave by ${egressLink}, which is not a port of Open vSwitch: its userspace datapath cannot send through it. ${remedy(egressLink)}`;
  }
  if (owner.name === bridge) {
    return `packets to the other nodes leave by ${egressLink} on the bridge ${bridge}, which is weft's own and has no way out of the node. ${remedy(egressLink)}`;
  }
  if (!hasPort(rows, owner.ports, egressLink, 'internal')) {
    return `packets to the other nodes leave by ${egressLink}, past the bridge ${owner.name} that it is a port of: move the VTEP's address and its routes from ${egressLink} to ${owner.name}`;
  }
  if (owner.datapath_type === 'netdev') return undefined;
  return `packets to the other nodes leave by ${egressLink} on the bridge ${owner.name}, which has the datapath type "${owner.datapath_type === '' ? 'system' : owner.datapath_type}": make that bridge anew with datapath_type=netdev`;
}

/** The links by which packets of other nodes for a local address come into the node: the address's own, and where that is a bridge's own port the bridge's cards. */
export function arrivalLinks(rows: SwitchRows, vtepLink: string): readonly string[] {
  const owner = [...rows.table('Bridge').values()].find(({ ports }) => hasPort(rows, ports, vtepLink, 'internal'));
  const cards = owner === undefined ? [] : interfacesOf(rows, owner.ports).filter(({ type }) => type === '').map(({ name }) => name);
  return [vtepLink, ...cards];
}

function remedy(link: string): string {
  return [
    `Either put the network card on a bridge of its own (ovs-vsctl add-br br-phy -- set bridge br-phy datapath_type=netdev -- add-port br-phy ${link}), move the VTEP's address from ${link} to br-phy`,
    'and drop in nftables what the kernel still receives on the card; or set ovs.datapathType to "system" where the kernel has the openvswitch module',
  ].join(' ');
}

function hasPort(rows: SwitchRows, ports: ReadonlySet<Uuid>, name: string, type?: string): boolean {
  return interfacesOf(rows, ports).some((row) => row.name === name && (type === undefined || row.type === type));
}
