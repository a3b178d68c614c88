/**
 * The stand-in of a tenant whose endpoints BGP tells of: what FRR's zebra looks at, in place of a bridge that the tenant does not have.
 *
 *     weft-sb<VNI> (bridge) ─┬─ weft-sx<VNI> (VXLAN): VNI and VTEP are the tenant's
 *                            └─ weft-se<VNI> (ifb): the MACs of local endpoints seem to be here
 *
 * zebra knows a VNI by a VXLAN device in a bridge, a local MAC by a static entry at another port of that bridge, and an address by a
 * permanent neighbour of the bridge. What it writes there of other nodes is not read: it only tells the daemon that something has changed.
 *
 * No frame passes. The tenant's own are the switch's. What comes by the UDP port, which no tenant has, the guard drops. The ports are isolated from
 * each other and flooded to by nobody, and the ifb drops what it is given (drivers/net/ifb.c, ifb_xmit); of what should come out of any
 * of them the host takes nothing (guard-rules.ts). No link has an address.
 */
import { WeftError } from '../../errors/weft-error.ts';
import { addBridge, addIfb, addVxlan, delLink, setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { Segment } from '../../overlay/model.ts';
import { segmentAlias, standInBridgeName, standInPortName, standInVxlanName } from '../../overlay/names.ts';
import { sparePort } from '../../overlay/spare.ts';
import { findLinks } from '../find-links.ts';
import { addGuard, ensureTables } from '../guard/guard.ts';
import { segmentElements } from '../guard/guard-elements.ts';
import type { Kernel } from '../kernel.ts';
import { doomedGroup, reapLinks } from '../link-removal.ts';
import { requireKind } from '../require-kind.ts';
import { misfitOf } from '../tunnel-settings.ts';
import { standInLinkFaults, standInSettings } from './stand-in-faults.ts';
import { findStandIn, standInNames, standInPortOptions, type StandIn } from './stand-in-links.ts';

/** The stand-in, made where anything of it is missing or does not fit. @throws WeftError foreignObject, kernelRefused, tryAgainLater */
export function ensureStandIn(kernel: Kernel, segment: Segment): StandIn {
  const present = findStandIn(kernel.route, segment.vni);
  return present !== undefined && standInLinkFaults(segment, present).length === 0 ? present : makeStandIn(kernel, segment);
}

/** Makes what is missing and replaces what does not fit, closed before it is up. */
export function makeStandIn(kernel: Kernel, segment: Segment): StandIn {
  const { route } = kernel;
  const [names, alias] = [standInNames(segment), segmentAlias(segment)];
  // Doomed links of an earlier one go at any moment, by whoever's hand.
  if (findLinks(route, names).some((link) => link?.group === doomedGroup)) reapLinks(route);
  ensureTables(kernel.netfilter, segmentElements(segment));
  addGuard(kernel.netfilter, segmentElements(segment));
  const bridge = makeBridge(route, segment);
  const [vxlan, port] = [makeVxlan(route, segment, bridge), makePort(route, segment)];
  const ports = [vxlan, port].map(({ name }) => name);
  route.request([
    ...names.map(setNoLinkLocal),
    ...ports.map((name) => setLink(name, { alias, mtu: segment.underlayMtu, master: bridge.index })),
    // Behind it: only a port has a port's options.
    ...ports.map((name) => setLink(name, { port: standInPortOptions })),
    // A bridge takes its ports' MTU until it has been given one that is another (br_if.c, br_mtu_auto_adjust).
    setLink(bridge.name, { alias, mtu: segment.overlayMtu, isArpIgnored: true }),
    ...[...ports, bridge.name].map((name) => setLink(name, { isUp: true })),
  ]);
  return { bridge: { ...bridge, isUp: true }, vxlan: { ...vxlan, isUp: true, master: bridge.index }, port: { ...port, isUp: true, master: bridge.index } };
}

function makeBridge(route: Netlink, { vni, overlayMtu }: Segment): Link {
  const name = standInBridgeName(vni);
  requestTolerating(route, [addBridge({ name, mac: gatewayMac(vni), mtu: overlayMtu })], 'EEXIST');
  return requireLink(route, name, 'bridge');
}

function makeVxlan(route: Netlink, segment: Segment, bridge: Link): Link {
  const { vni, tenant, underlayMtu: mtu } = segment;
  const name = standInVxlanName(vni);
  const [present] = findLinks(route, [name]);
  if (present !== undefined && misfitOf(requireKind(present, name, 'vxlan'), standInSettings(segment)) !== undefined) requestTolerating(route, [delLink(name)], 'ENODEV');
  requestTolerating(route, [addVxlan({ name, ...standInSettings(segment), mtu, learning: false, master: bridge.index })], 'EEXIST');
  const [found] = findLinks(route, [name]);
  if (found !== undefined) return requireKind(found, name, 'vxlan');
  // EEXIST and yet no device of that name (drivers/net/vxlan, vxlan_dev_configure).
  throw new WeftError('foreignObject', `Cannot make the stand-in of tenant ${tenant}: another device of this node has VNI ${vni} on UDP port ${sparePort}`, {
    details: 'choose another vni, or remove the other device: ip -d link show type vxlan',
  });
}

function makePort(route: Netlink, { vni }: Segment): Link {
  const name = standInPortName(vni);
  try {
    requestTolerating(route, [addIfb(name)], 'EEXIST');
  } catch (error) {
    throw isRefusal(error, 'EOPNOTSUPP') ? new WeftError('kernelRefused', 'Cannot make the stand-in that controlPlane evpn needs: the kernel needs ifb', { cause: error }) : error;
  }
  return requireLink(route, name, 'ifb');
}

function requireLink(route: Netlink, name: string, kind: string): Link {
  return requireKind(findLinks(route, [name])[0], name, kind);
}
