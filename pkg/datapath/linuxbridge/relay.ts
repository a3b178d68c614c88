/**
 * The relay of a tenant: the VXLAN device by which frames for its moving endpoints go from the source to the target, and come in there.
 *
 *     source: copies of frames ─> weft-sr<VNI> ══ to the target's VTEP, the tenant's UDP port, the spare VNI
 *     target: weft-sr<VNI> ─ filter: as received by ─> weft-vx<VNI> ── bridge, whose entry for the MAC says whether the gate is open
 *                          └ what the source opens the gate with: see opener.ts
 *
 * Its forwarding entries are those who need it, each with the other node: the source's as it sends, the target's marked by the tenant's own VNI, with
 * which nothing is sent. It goes with the last of them. It learns nothing, and is in no bridge, so that zebra takes no notice of it.
 *
 * While something may come in, the bridge learns nothing at weft-vx: a frame that a local endpoint sent to the source comes back by the relay, and its
 * sender would seem to be elsewhere, for good (br_fdb.c, br_fdb_update, which moves static entries too).
 */
import { WeftError } from '../../errors/weft-error.ts';
import type { Address, Mac, Vni } from '../../netaddr/netaddr.ts';
import { addVxlan, delLink, setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { decodeFdb, forgetVxlanFdb, listFdb, putVxlanFdb, type VxlanDestination } from '../../netlink/neighbour.ts';
import { requestTolerating, type Netlink } from '../../netlink/netlink-socket.ts';
import { addIngress, addRedirectAsReceived, decodeRedirect, delIngress, listFilters } from '../../netlink/qdisc.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import type { AttachmentPort, PortMigration, Segment } from '../../overlay/model.ts';
import { relayName, segmentAlias, vxlanName } from '../../overlay/names.ts';
import { describeRelayConflict, spareVni } from '../../overlay/spare.ts';
import { findLinks } from '../find-links.ts';
import { addGuard, removeGuard } from '../guard/guard.ts';
import { elementsWithout, relayElements, type GuardElement } from '../guard/guard-elements.ts';
import type { Kernel } from '../kernel.ts';
import { doomedGroup, reapLinks } from '../link-removal.ts';
import { isRelayed, isRelayedTo } from '../phases.ts';
import { misfitOf, type TunnelSettings } from '../tunnel-settings.ts';
import { removeOpeners } from './opener.ts';
import { realDestination } from './spare.ts';
import { tunnelPortOptionsOf } from './tunnel-port.ts';

/** An attachment on its way. */
export interface Mover {
  readonly segment: Segment;
  readonly port: AttachmentPort & { readonly migration: PortMigration };
}

/** The attachment, where it is on its way. */
export function asMover({ segment, port }: { readonly segment: Segment; readonly port: AttachmentPort }): Mover | undefined {
  const { migration } = port;
  return migration === undefined ? undefined : { segment, port: { ...port, migration } };
}

/** Where the attachment's frames go, as the relay's entry says it. */
export function relayEntry({ segment, port }: Mover): VxlanDestination {
  const { mac, migration: { other: vtep } } = port;
  return isRelayedTo(port) ? { mac, vtep, other: realDestination(segment) } : { mac, vtep };
}

/** What the relay must be made with. */
export function relaySettings({ vni, vtepPort, vtepAddress }: Segment): TunnelSettings {
  return { vni: spareVni(vni), port: vtepPort, local: vtepAddress };
}

/** Why the link does not do as the tenant's relay, in words; undefined where it does. */
export function relayMisfit(segment: Segment, link: Link): string | undefined {
  const misfit = link.kind === 'vxlan' ? misfitOf(link, relaySettings(segment)) : `${link.name} is a ${link.kind ?? 'device'} that weft did not make`;
  if (misfit !== undefined) return misfit;
  if (link.group === doomedGroup) return `${link.name} waits to be deleted`;
  if (link.master !== undefined) return `${link.name} is a port of a bridge`;
  if (link.vxlan?.learning === true) return `${link.name} learns MACs`;
  return link.isUp ? undefined : `${link.name} is down`;
}

/**
 * The tenant's relay, made or replaced where it does not do, with this attachment among those who need it; the guard comes first.
 * @throws WeftError invalidConfiguration, foreignObject, kernelRefused
 */
export function ensureRelay({ route, netfilter }: Pick<Kernel, 'route' | 'netfilter'>, mover: Mover): Link {
  const { segment } = mover;
  const name = relayName(segment.vni);
  const [present] = findLinks(route, [name]);
  const isFit = present !== undefined && relayMisfit(segment, present) === undefined;
  if (!isFit || isRelayedTo(mover.port)) addGuard(netfilter, relayElements(segment, mover.port));
  const relay = isFit ? present : makeRelay(route, segment, present);
  route.request([putVxlanFdb(relay.index, relayEntry(mover))]);
  return relay;
}

function makeRelay(route: Netlink, segment: Segment, present: Link | undefined): Link {
  const [name, settings, mtu] = [relayName(segment.vni), relaySettings(segment), segment.underlayMtu];
  refuseConflict(route, segment);
  if (present !== undefined && present.kind !== 'vxlan') throw new WeftError('foreignObject', `Cannot use ${name}: it is a ${present.kind ?? 'device'} that weft did not make`);
  if (present?.group === doomedGroup) reapLinks(route);
  else if (present !== undefined && misfitOf(present, settings) !== undefined) requestTolerating(route, [delLink(name)], 'ENODEV');
  requestTolerating(route, [addVxlan({ name, ...settings, mtu, learning: false })], 'EEXIST');
  const [relay] = findLinks(route, [name]);
  if (relay === undefined) throw vniTaken(segment);
  // Nothing in it is for the host, which is not to be asked by ARP either.
  route.request([
    setNoLinkLocal(name), setLink(name, { alias: segmentAlias(segment), mtu, isArpOff: true, master: 0 }),
    // The kernel refuses it together with an MTU (drivers/net/vxlan, vxlan_nl2conf).
    setLink(name, { vxlanLearning: false }), setLink(name, { isUp: true }),
  ]);
  return { ...relay, isUp: true };
}

/** Of the tenant with that VNI, whatever UDP port it has: when it gets an endpoint that moves, its relay has this tenant's. */
function refuseConflict(route: Netlink, segment: Segment): void {
  const conflict = describeRelayConflict(segment, []);
  if (conflict !== undefined) throw new WeftError('invalidConfiguration', `No endpoint of tenant ${segment.tenant} can move: ${conflict}`);
  if (findLinks(route, [vxlanName(spareVni(segment.vni) as Vni)])[0] !== undefined) throw vniTaken(segment);
}

/** EEXIST and yet no device of that name, as of the tenant's VXLAN device. */
function vniTaken(segment: Segment): WeftError {
  const { vni, port } = relaySettings(segment);
  return new WeftError('invalidConfiguration', `No endpoint of tenant ${segment.tenant} can move to or from this node: frames are relayed with VNI ${vni} on UDP port ${port}, which another tenant or device of this node has`, {
    details: 'choose another vni for the tenant, or remove the other device: ip -d link show type vxlan',
  });
}

/** Who needs the relay. */
export interface RelayUser {
  readonly mac: Mac;
  readonly isTarget: boolean;
  readonly other: Address;
}

/** All who need the relay of that number. */
export function relayUsers(route: Netlink, index: number): RelayUser[] {
  return route.dump(listFdb(index)).map(decodeFdb).flatMap((entry) => (entry?.index === index && entry.vtep !== undefined ? [{ mac: entry.mac, isTarget: entry.vni !== undefined, other: entry.vtep }] : []));
}

/** Lets what the relay receives into the bridge. @throws WeftError kernelRefused */
export function openInlet(route: Netlink, { vni }: Pick<Segment, 'vni'>, relay: Link): void {
  const name = vxlanName(vni);
  const [vxlan] = findLinks(route, [name]);
  if (vxlan === undefined) throw new WeftError('tryAgainLater', `The tenant's VXLAN device ${name} is missing`);
  if (vxlan.port?.learning !== false) route.request([setLink(name, { port: { learning: false } })]);
  const present = redirects(route, relay.index);
  if (present.includes(vxlan.index)) return;
  try {
    requestTolerating(route, [delIngress(relay.index)], 'ENOENT', 'EINVAL');
    requestTolerating(route, [addIngress(relay.index)], 'EEXIST');
    requestTolerating(route, [addRedirectAsReceived(relay.index, vxlan.index)], 'EEXIST');
  } catch (error) {
    if (!isRefusal(error, 'ENOENT', 'EOPNOTSUPP')) throw error;
    throw new WeftError('kernelRefused', 'Cannot let in what another node relays: the kernel needs sch_ingress, cls_u32 and act_mirred', { cause: error });
  }
}

function redirects(route: Netlink, index: number): number[] {
  try {
    return route.dump(listFilters(index)).map(decodeRedirect).filter((link) => link !== undefined);
  } catch (error) {
    if (isRefusal(error, 'EINVAL', 'ENOENT')) return [];
    throw error;
  }
}

/** An attachment that needs the relay no longer; without its segment less is put back, which a repair does. */
export interface FormerMover {
  readonly port: Pick<AttachmentPort, 'vni' | 'mac'>;
  readonly segment?: Segment | undefined;
}

/** Takes an attachment off those who need the relay, and with the last of them the relay; whatever there is of it. @throws NetlinkError */
export function releaseRelay(kernel: Kernel, { port, segment }: FormerMover): Promise<void> {
  const { route } = kernel;
  const [relay] = findLinks(route, [relayName(port.vni)]);
  if (relay?.kind !== 'vxlan' || relay.vxlan === undefined) return Promise.resolve();
  const users = relayUsers(route, relay.index);
  const left = users.filter(({ mac }) => mac !== port.mac);
  const numbers = { vni: port.vni, vtepPort: relay.vxlan.port };
  const gone = elementsWithout(users.flatMap((user) => elementsOf(numbers, user)), left.flatMap((user) => elementsOf(numbers, user)));
  if (gone.length > 0) removeGuard(kernel.netfilter, gone);
  if (!left.some(({ isTarget }) => isTarget)) closeInlet(route, relay, segment);
  else removeOpeners(route, relay.index, (mac) => mac !== port.mac);
  // Last: it says what else there is to remove, also to a call after one that was cut off.
  requestTolerating(route, [forgetVxlanFdb(relay.index, port.mac)], 'ENOENT');
  return left.length === 0 ? kernel.removeLinks([relay.name]) : Promise.resolve();
}

function elementsOf(numbers: Pick<Segment, 'vni' | 'vtepPort'>, { isTarget, other }: RelayUser): GuardElement[] {
  return relayElements(numbers, { migration: { phase: isTarget ? 'waiting' : 'relaying', other } });
}

/** First what comes in, then what the bridge may learn again. */
function closeInlet(route: Netlink, relay: Link, segment: Segment | undefined): void {
  if (redirects(route, relay.index).length > 0) requestTolerating(route, [delIngress(relay.index)], 'ENOENT', 'EINVAL');
  if (segment === undefined) return;
  const [vxlan] = findLinks(route, [vxlanName(segment.vni)]);
  const { learning } = tunnelPortOptionsOf(segment);
  if (learning !== undefined && vxlan?.port !== undefined && vxlan.port.learning !== learning) requestTolerating(route, [setLink(vxlan.name, { port: { learning } })], 'ENODEV');
}

/** Takes those off a tenant's relay that none of the attachments is, and closes it where it is for nobody here; what went, in words. */
export function collectRelay(route: Netlink, segment: Segment, ports: readonly AttachmentPort[]): string[] {
  const [relay] = findLinks(route, [relayName(segment.vni)]);
  if (relay?.kind !== 'vxlan' || relay.group === doomedGroup) return [];
  const movers = ports.filter((port) => port.vni === segment.vni && (isRelayed(port) || isRelayedTo(port)));
  const garbage = relayUsers(route, relay.index).filter((user) => !movers.some(({ mac }) => mac === user.mac));
  requestTolerating(route, garbage.map(({ mac }) => forgetVxlanFdb(relay.index, mac)), 'ENOENT');
  if (!movers.some(isRelayedTo)) closeInlet(route, relay, segment);
  else removeOpeners(route, relay.index, (mac) => movers.some((port) => port.mac === mac));
  return garbage.length === 0 ? [] : [`${garbage.length} FDB entries of ${relay.name}`];
}
