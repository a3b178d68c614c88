/**
 * Closed and open ports: where the bridge has an endpoint's MAC, what its port does, and what the guard lets out of it.
 *
 * A port is closed to what comes out of it by the guard, and to what goes into it by the bridge's entry, which says that the MAC is behind the tunnel:
 * what comes out of the tunnel for it then ends, since a bridge sends nothing back to where it came from. A port whose machine may open it learns:
 * the frame that the guard lets pass takes the MAC to the port in the same moment (br_fdb.c, br_fdb_update).
 */
import type { Mac } from '../../netaddr/netaddr.ts';
import { tolerating, type NetlinkRequest } from '../../netlink/codec.ts';
import { setLink, type Link } from '../../netlink/link.ts';
import type { BridgePortOptions } from '../../netlink/bridge-options.ts';
import { delNeighbour, putExternalNeighbour } from '../../netlink/ip-neighbour.ts';
import { decodeFdb, delPortFdb, getBridgeFdb, getVxlanFdb, putLearnedPortFdb, putLearnedVxlanFdb, putPortFdb, putVxlanFdb, replacePortFdb } from '../../netlink/neighbour.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { exchangeGuard, hasElements } from '../guard/guard.ts';
import { openElement, waitingElement } from '../guard/guard-elements.ts';
import type { Kernel } from '../kernel.ts';
import { isWaiting, type MovingState } from '../phases.ts';
import { neighbourSettings } from './local-neighbours.ts';
import type { Mover } from './relay.ts';
import type { MovingPort } from '../migration.ts';

/** As attachPort() sets them, and the kernel's defaults. */
const portOptions: BridgePortOptions = {
  hairpin: false, learning: false, unicastFlood: false, proxyArp: false, multicastFlood: true, broadcastFlood: true, neighbourSuppression: false, isolated: false, locked: false,
};
const waitingPortOptions: BridgePortOptions = { ...portOptions, learning: true, multicastFlood: false, broadcastFlood: false };

/** The options of a container's port. */
export function portOptionsOf(port: MovingState): BridgePortOptions {
  return isWaiting(port) ? waitingPortOptions : portOptions;
}

/**
 * What says that the endpoint is on the other node: first the VXLAN device, then the bridge, which otherwise would find the device without a VTEP for
 * it. With a control plane as it programs them; else as if they had been learned, and they age like that.
 */
export function elsewhere({ segment, port: { mac, migration: { other: vtep } } }: Mover, vxlan: number): NetlinkRequest[] {
  return hasSpare(segment) ? [putVxlanFdb(vxlan, { mac, vtep }), putPortFdb(vxlan, mac)] : [putLearnedVxlanFdb(vxlan, { mac, vtep }), putLearnedPortFdb(vxlan, mac)];
}

/**
 * Takes away what says that the endpoint is here, from a bridge with a control plane: of an entry that only moves zebra hears nothing that would end
 * its telling of it, and a bgpd that starts would announce the endpoint from here as well (zebra_vxlan.c, zebra_vxlan_dp_network_mac_add).
 */
function forgetHere({ segment, port: { mac, addresses } }: Mover, { host, bridge }: PlugLinks): NetlinkRequest[] {
  if (!hasSpare(segment) || host === undefined) return [];
  return [delPortFdb(host.index, mac), ...addresses.map(({ address }) => delNeighbour(bridge.index, address))].map((request) => tolerating(request, 'ENOENT'));
}

/** The addresses of an endpoint that is elsewhere, as neighbours of a bridge with a control plane. */
export function neighboursElsewhere({ segment, port: { addresses, mac } }: Omit<MovingPort, 'others'>, bridge: number): NetlinkRequest[] {
  return hasSpare(segment) ? addresses.map(({ address }) => putExternalNeighbour(bridge, { address, mac })) : [];
}

/** The links of an attachment that is in place. */
export interface PlugLinks {
  readonly bridge: Link;
  readonly vxlan: Link;
  /** Absent where it has gone with the machine's namespace. */
  readonly host?: Link;
  /** The tenant's relay, whatever state it is in. */
  readonly relay?: Link;
}

/**
 * Closes a port, out of it first, and sends everybody on this node to the other; in the same exchange, whatever else is to be asked for. An endpoint
 * that has gone on from there meanwhile stays where it is known to be.
 */
export function closePort({ route, netfilter }: Pick<Kernel, 'route' | 'netfilter'>, mover: Mover, { also = [], ...links }: PlugLinks & { readonly also?: readonly NetlinkRequest[] }): void {
  const { port } = mover;
  const isOpen = hasElements(netfilter, [openElement(port)])[0] === true;
  if (isOpen) exchangeGuard(netfilter, { removed: [openElement(port)] });
  const isMoved = !isOpen && isElsewhere(route, port.mac, links);
  // By itself: what is refused here must not be followed by the entry, of which a second call would take it for done.
  if (!isMoved) route.request(forgetHere(mover, links));
  route.request([...(isMoved ? [] : elsewhere(mover, links.vxlan.index)), ...neighboursElsewhere(mover, links.bridge.index), ...also]);
}

/** Whether the bridge has it there, and the VXLAN device a VTEP for it. */
function isElsewhere(route: Netlink, mac: Mac, { bridge, vxlan, host }: PlugLinks): boolean {
  const [bridged, tunnelled] = route.request([getBridgeFdb(bridge.index, mac), getVxlanFdb(vxlan.index, mac)].map((request) => tolerating(request, 'ENOENT')));
  const entry = bridged?.[0] === undefined ? undefined : decodeFdb(bridged[0]);
  return entry !== undefined && entry.index !== host?.index && tunnelled?.[0] !== undefined;
}

/** Makes a port as any other: open. */
export function openPort({ route, netfilter }: Pick<Kernel, 'route' | 'netfilter'>, moving: MovingPort, { bridge, host }: Required<Pick<PlugLinks, 'bridge' | 'host'>>): void {
  const { port } = moving;
  route.request([replacePortFdb(host.index, port.mac), setLink(port.hostIf, { port: { learning: false, unicastFlood: false, multicastFlood: true, broadcastFlood: true } }), ...neighbourSettings(moving, bridge.index)]);
  const [isOpen, isWaitingStill] = hasElements(netfilter, [openElement(port), waitingElement(port)]);
  if (isOpen === true && isWaitingStill === false) return;
  exchangeGuard(netfilter, { added: [openElement(port)], removed: isWaitingStill === true ? [waitingElement(port)] : [] });
}
