/** What can be wrong with a tenant's stand-in, and with what it has of a port. */
import { addressesEqual, formatAddress, formatInterfaceAddress, type Mac } from '../../netaddr/netaddr.ts';
import { delAddress } from '../../netlink/address.ts';
import { putNeighbour } from '../../netlink/ip-neighbour.ts';
import { replacePortFdb, type FdbEntry } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { segmentAlias } from '../../overlay/names.ts';
import { hasStandIn, sparePort } from '../../overlay/spare.ts';
import { minor, type Fault, type RouteHands } from '../fault.ts';
import { changed, linkLocalFaults, portOptionFaults } from '../link-faults.ts';
import { doomedGroup } from '../link-removal.ts';
import type { Observation } from '../observation.ts';
import { misfitOf, type TunnelSettings } from '../tunnel-settings.ts';
import { isClosed } from '../phases.ts';
import { asStandIn, standInLinks, standInPortOptions, type StandIn } from './stand-in-links.ts';

/** What a stand-in is repaired with. */
export interface StandInHands extends RouteHands {
  /** Makes what is missing of it, and replaces what does not fit. */
  remake(): void;
}
export type StandInFault = Fault<StandInHands>;

/** Everything that is wrong with a segment's; while its links do not fit, only that. None of a segment without one. */
export function standInFaults(segment: Segment, seen: Observation): StandInFault[] {
  if (!hasStandIn(segment)) return [];
  const found = standInLinks(segment.vni).map((named) => ({ ...named, link: seen.findLink(named.name) }));
  const standIn = asStandIn(found.map(({ link }) => link));
  if (standIn === undefined) return found.filter(({ link }) => link === undefined).map(({ name, kind }) => remade(`the ${kind} ${name} of the tenant's stand-in is missing`, 'made anew'));
  const faults = standInLinkFaults(segment, standIn);
  return faults.length > 0 ? faults : settingFaults(segment, standIn, seen);
}

function remade(what: string, done: string): StandInFault {
  return { what, remedy: { done, apply: (hands) => hands.remake() } };
}

/** What keeps it from standing in as its links are. */
export function standInLinkFaults(segment: Segment, { bridge, vxlan, port }: StandIn): StandInFault[] {
  const links = [bridge, vxlan, port];
  const kinds = standInLinks(segment.vni).map(({ kind }) => kind);
  const foreign = links.filter(({ kind }, index) => kind !== kinds[index]);
  if (foreign.length > 0) return foreign.map(({ name, kind }) => ({ what: `${name} is a ${kind ?? 'device'} that weft did not make` }));
  const misfit = misfitOf(vxlan, standInSettings(segment));
  if (misfit !== undefined) return [remade(misfit, 'replaced')];
  const doomed = links.filter(({ group }) => group === doomedGroup);
  if (doomed.length > 0) return doomed.map(({ name }) => remade(`${name} waits to be deleted`, 'made anew'));
  return [
    ...[vxlan, port].filter(({ master }) => master !== bridge.index).map(({ name }) => remade(`${name} is not a port of ${bridge.name}`, 'put back')),
    ...links.filter(({ isUp }) => !isUp).map(({ name }) => changed(name, { what: `${name} is down`, done: 'set up', change: { isUp: true } })),
  ];
}

/** What its VXLAN device must be made with: what zebra reads of it. */
export function standInSettings({ vni, vtepAddress }: Segment): TunnelSettings & Pick<Segment, 'vni'> {
  return { vni, port: sparePort, local: vtepAddress };
}

function settingFaults(segment: Segment, { bridge, vxlan, port }: StandIn, seen: Observation): StandInFault[] {
  const alias = segmentAlias(segment);
  const addresses = seen.addressesOf(bridge.index).map(({ address }): StandInFault => ({
    what: `${bridge.name} has the address ${formatInterfaceAddress(address)}`, remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delAddress(bridge.index, address)], 'EADDRNOTAVAIL') },
  }));
  return [
    ...addresses,
    ...(bridge.isArpIgnored === true ? [] : [changed(bridge.name, { what: `the host answers ARP on ${bridge.name}`, done: 'set not to', change: { isArpIgnored: true } })]),
    ...(vxlan.vxlan?.learning === true ? [changed(vxlan.name, { what: `${vxlan.name} learns MACs`, done: 'set not to', change: { vxlanLearning: false } })] : []),
    ...[vxlan, port].flatMap((link) => portOptionFaults(link, standInPortOptions)),
    ...[bridge, vxlan, port].flatMap((link) => [
      ...linkLocalFaults(link),
      ...(link.alias === alias ? [] : [minor(changed(link.name, { what: `${link.name} has lost its description`, done: 'written again', change: { alias } }))]),
    ]),
  ];
}

/** Whether a bridge has the MAC where attachPort() writes it. One that was zebra's of another node before keeps the mark of that (br_fdb.c, fdb_add_entry). */
function isEndpointIn(entries: readonly FdbEntry[], mac: Mac, bridge: number): boolean {
  return entries.some((entry) => entry.mac === mac && entry.master === bridge && entry.isStatic);
}

/** What BGP would not tell of a port. */
export function endpointFaults(segment: Segment, endpoint: AttachmentPort, seen: Observation): Fault<RouteHands>[] {
  if (!hasStandIn(segment) || isClosed(endpoint)) return [];
  const { mac, addresses } = endpoint;
  const standIn = asStandIn(standInLinks(segment.vni).map(({ name }) => seen.findLink(name)));
  // What is missing the segment says; here it has to be looked at again when that is mended.
  if (standIn === undefined) return [minor({ what: `BGP is not told of ${mac}, since links of the tenant's stand-in are missing` })];
  const { bridge, port } = standIn;
  const isThere = isEndpointIn(seen.fdbOf(port.index), mac, bridge.index);
  const neighbours = seen.neighboursOf(bridge.index).filter((neighbour) => neighbour.isPermanent && !neighbour.isExternal && neighbour.mac === mac);
  const missing = addresses.filter(({ address }) => !neighbours.some((neighbour) => addressesEqual(neighbour.address, address)));
  return [
    ...(isThere ? [] : [{ what: `${port.name} does not have the MAC ${mac}`, remedy: { done: 'written again', apply: ({ route }: RouteHands) => void route.request([replacePortFdb(port.index, mac)]) } }]),
    ...missing.map(({ address }) => ({
      what: `${bridge.name} does not know that ${formatAddress(address)} has MAC ${mac}`,
      remedy: { done: 'told again', apply: ({ route }: RouteHands) => void route.request([putNeighbour(bridge.index, { address, mac })]) },
    })),
  ];
}
