/**
 * A tenant's spare tunnel: where frames go that the bridge has no entry for, for as long as FRR's entries are gone.
 *
 *     weft-br<VNI> ── weft-sf<VNI> (ifb) ─ filter: redirect ─> weft-sp<VNI> (VXLAN) ══ to the other VTEPs' real port and VNI
 *
 * The port takes unknown unicast and nothing else. What the tunnel does not hold either, an endpoint that is so new that BGP has not yet told of
 * it, it sends to all VTEPs, as the bridge does without a control plane. It and weft-vx<VNI> are isolated from each other: what came out of the tunnel never goes
 * back into it, where two nodes that remember a moved endpoint at each other's would send its frames round for ever.
 *
 * The tunnel only sends. It is in no bridge, so that zebra takes no notice of it (zebra_vxlan_if.c wants a bridge), and has no addresses; what is
 * sent to its UDP port is dropped by the guard, and once more if it should get through.
 */
import { WeftError } from '../../errors/weft-error.ts';
import type { BridgePortOptions } from '../../netlink/bridge-options.ts';
import { addIfb, addVxlan, delLink, setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import type { VxlanDestination } from '../../netlink/neighbour.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import { addClsact, addRedirect, decodeRedirect, delClsact, listFilters } from '../../netlink/qdisc.ts';
import type { Segment } from '../../overlay/model.ts';
import { segmentAlias, spareName, sparePortName } from '../../overlay/names.ts';
import { sparePort, spareVni } from '../../overlay/spare.ts';
import { findLinks } from '../find-links.ts';
import { setFloodList } from './flood-list.ts';
import { requireKind } from '../require-kind.ts';
import type { SpareLinks } from './segment-links.ts';
import { misfitOf, type TunnelSettings } from '../tunnel-settings.ts';

/** The port's options: unknown unicast only. */
export const sparePortOptions: BridgePortOptions = {
  hairpin: false, learning: false, unicastFlood: true, proxyArp: false, multicastFlood: false, broadcastFlood: false, neighbourSuppression: false, isolated: true, locked: false,
};

/** What the spare tunnel must be made with. */
export function spareSettings({ vni, vtepAddress }: Segment): TunnelSettings {
  return { vni: spareVni(vni), port: sparePort, local: vtepAddress };
}

/** Where the spare tunnel's entries lead: its own port and VNI are nobody's. */
export function realDestination({ vtepPort, vni }: Segment): NonNullable<VxlanDestination['other']> {
  return { port: vtepPort, vni };
}

/**
 * Makes what is missing of the spare tunnel and replaces what does not fit; the guard must be there already. The port is up last.
 * @throws WeftError foreignObject, kernelRefused
 */
export function makeSpare(route: Netlink, segment: Segment, bridge: Link): SpareLinks {
  const tunnel = makeTunnel(route, segment);
  const port = makePort(route, segment, bridge);
  redirect(route, port.index, tunnel.index);
  setFloodList(route, tunnel.index, segment.peers, realDestination(segment));
  route.request([setLink(tunnel.name, { isUp: true }), setLink(port.name, { isUp: true })]);
  return { tunnel: { ...tunnel, isUp: true }, port: { ...port, isUp: true, master: bridge.index } };
}

function makeTunnel(route: Netlink, segment: Segment): Link {
  const [name, settings, mtu] = [spareName(segment.vni), spareSettings(segment), segment.underlayMtu];
  const [present] = findLinks(route, [name]);
  if (present !== undefined && misfitOf(requireKind(present, name, 'vxlan'), settings) !== undefined) requestTolerating(route, [delLink(name)], 'ENODEV');
  requestTolerating(route, [addVxlan({ name, ...settings, mtu, learning: false })], 'EEXIST');
  const [found] = findLinks(route, [name]);
  if (found === undefined) throw vniTaken(segment);
  const tunnel = requireKind(found, name, 'vxlan');
  // Nothing in it is for the host, which is not to be asked by ARP either.
  route.request([
    setNoLinkLocal(name),
    setLink(name, { alias: segmentAlias(segment), mtu, isArpOff: true, master: 0 }),
    // The kernel refuses it together with an MTU (drivers/net/vxlan, vxlan_nl2conf).
    setLink(name, { vxlanLearning: false }),
  ]);
  return tunnel;
}

/** EEXIST and yet no device of that name, as of the tenant's VXLAN device. */
function vniTaken(segment: Segment): WeftError {
  return new WeftError('foreignObject', `Cannot make the spare tunnel of tenant ${segment.tenant}: another device of this node has VNI ${spareVni(segment.vni)} on UDP port ${sparePort}`, {
    details: 'choose another vni, or remove the other device: ip -d link show type vxlan',
  });
}

function makePort(route: Netlink, segment: Segment, bridge: Link): Link {
  const name = sparePortName(segment.vni);
  try {
    requestTolerating(route, [addIfb(name)], 'EEXIST');
  } catch (error) {
    throw isRefusal(error, 'EOPNOTSUPP') ? unsupported(error) : error;
  }
  const port = requireKind(findLinks(route, [name])[0], name, 'ifb');
  route.request([
    setNoLinkLocal(name),
    setLink(name, { alias: segmentAlias(segment), mtu: segment.underlayMtu, master: bridge.index }),
    // Behind it: only a port has a port's options.
    setLink(name, { port: sparePortOptions }),
    // A bridge takes its ports' MTU until it has been given one that is another (br_if.c, br_mtu_auto_adjust).
    setLink(bridge.name, { mtu: segment.overlayMtu }),
  ]);
  return port;
}

/** Without the filter the port drops what it gets (drivers/net/ifb.c, ifb_xmit). One that names another link is of an earlier tunnel. */
export function redirect(route: Netlink, port: number, tunnel: number): void {
  try {
    const present = readRedirects(route, port);
    if (present.length === 1 && present[0] === tunnel) return;
    requestTolerating(route, [delClsact(port)], 'ENOENT', 'EINVAL');
    requestTolerating(route, [addClsact(port)], 'EEXIST');
    requestTolerating(route, [addRedirect(port, tunnel, 'egress')], 'EEXIST');
  } catch (error) {
    throw isRefusal(error, 'ENOENT', 'EOPNOTSUPP') ? unsupported(error) : error;
  }
}

/** A link without the qdisc has no filters. */
function readRedirects(route: Netlink, port: number): (number | undefined)[] {
  try {
    return route.dump(listFilters(port, 'egress')).map(decodeRedirect).filter((link) => link !== undefined);
  } catch (error) {
    if (isRefusal(error, 'EINVAL', 'ENOENT')) return [];
    throw error;
  }
}

function unsupported(cause: unknown): WeftError {
  return new WeftError('kernelRefused', 'Cannot make the spare tunnel that controlPlane evpn needs: the kernel needs ifb, sch_ingress (clsact), cls_u32 and act_mirred', { cause });
}
