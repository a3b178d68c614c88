/** The links of a tenant's stand-in: see stand-in.ts. */
import type { BridgePortOptions } from '../../netlink/bridge-options.ts';
import type { Link } from '../../netlink/link.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import type { Vni } from '../../netaddr/netaddr.ts';
import type { Segment } from '../../overlay/model.ts';
import { standInBridgeName, standInPortName, standInVxlanName } from '../../overlay/names.ts';
import { hasStandIn } from '../../overlay/spare.ts';
import { findLinks } from '../find-links.ts';

/** A stand-in whose links are there. */
export interface StandIn {
  readonly bridge: Link;
  readonly vxlan: Link;
  readonly port: Link;
}

/** Its links by name and kind, in the order of asStandIn(). */
export function standInLinks(vni: Vni): readonly { readonly name: string; readonly kind: string }[] {
  return [{ name: standInBridgeName(vni), kind: 'bridge' }, { name: standInVxlanName(vni), kind: 'vxlan' }, { name: standInPortName(vni), kind: 'ifb' }];
}

/** The names of a segment's; empty where it has none. */
export function standInNames(segment: Pick<Segment, 'vni' | 'controlPlane' | 'datapath'>): readonly string[] {
  return hasStandIn(segment) ? standInLinks(segment.vni).map(({ name }) => name) : [];
}

/** The links as they were read in the order of standInLinks(); undefined where one is missing. */
export function asStandIn([bridge, vxlan, port]: readonly (Link | undefined)[]): StandIn | undefined {
  return bridge === undefined || vxlan === undefined || port === undefined ? undefined : { bridge, vxlan, port };
}

/** The stand-in as it is; undefined where a link is missing. */
export function findStandIn(route: Netlink, vni: Vni): StandIn | undefined {
  return asStandIn(findLinks(route, standInLinks(vni).map(({ name }) => name)));
}

/** Both ports' options: nothing is flooded to them, and nothing goes from one to the other. */
export const standInPortOptions: BridgePortOptions = {
  hairpin: false, learning: false, unicastFlood: false, proxyArp: false, multicastFlood: false, broadcastFlood: false, neighbourSuppression: false, isolated: true, locked: false,
};
