/** What can be wrong with a tenant's spare tunnel. */
import { setLink, type Link } from '../../netlink/link.ts';
import { delPortFdb } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import type { Segment } from '../../overlay/model.ts';
import { segmentAlias } from '../../overlay/names.ts';
import { minor, type Fault } from '../fault.ts';
import type { GatewayHands } from '../gateway.ts';
import { changed, linkLocalFaults, portOptionFaults, strayEntries } from '../link-faults.ts';
import { doomedGroup } from '../link-removal.ts';
import type { Observation } from '../observation.ts';
import type { SpareLinks } from './segment-links.ts';
import { redirect, sparePortOptions, spareSettings } from './spare.ts';
import { misfitOf } from '../tunnel-settings.ts';

/** What a segment is repaired with. */
export interface SegmentHands extends GatewayHands {
  /** Makes what is missing of the segment, and replaces what does not fit. */
  remake(): void;
}
export type SegmentFault = Fault<SegmentHands>;

/** A fault for which what is missing of the segment is made, and replaced what does not fit. */
export function remade(what: string, done = 'made anew'): SegmentFault {
  return { what, remedy: { done, apply: (hands) => hands.remake() } };
}

/** What keeps the spare tunnel from working as its links stand. */
export function spareLinkFaults(segment: Segment, bridge: Link, { tunnel, port }: SpareLinks): SegmentFault[] {
  for (const [link, kind] of [[tunnel, 'vxlan'], [port, 'ifb']] as const) {
    if (link.kind !== kind) return [{ what: `${link.name} is a ${link.kind ?? 'device'} that weft did not make` }];
  }
  const misfit = misfitOf(tunnel, spareSettings(segment));
  if (misfit !== undefined) return [remade(misfit, 'replaced')];
  const doomed = [tunnel, port].filter((link) => link.group === doomedGroup);
  if (doomed.length > 0) return doomed.map((link) => remade(`${link.name} waits to be deleted`));
  const faults: SegmentFault[] = [];
  // As a bridge's port it would be one of zebra's tunnels.
  if (tunnel.master !== undefined) faults.push(changed(tunnel.name, { what: `${tunnel.name} is a port of a bridge`, done: 'taken out', change: { master: 0 } }));
  if (port.master !== bridge.index) faults.push(unpluggedFault(port, bridge));
  for (const { name, isUp } of [tunnel, port]) if (!isUp) faults.push(changed(name, { what: `${name} is down`, done: 'set up', change: { isUp: true } }));
  for (const { name, mtu } of [tunnel, port]) {
    if (mtu < segment.overlayMtu) faults.push(changed(name, { what: `${name} has MTU ${mtu}, less than its endpoints' ${segment.overlayMtu}`, done: `set to ${segment.underlayMtu}`, change: { mtu: segment.underlayMtu } }));
  }
  return faults;
}

function unpluggedFault({ name }: Link, bridge: Link): SegmentFault {
  return {
    what: `${name} is not a port of ${bridge.name}`,
    remedy: { done: 'put back', apply: ({ route }) => void route.request([setLink(name, { master: bridge.index }), setLink(name, { port: sparePortOptions })]) },
  };
}

/** What else is wrong with it, where its links are as they should be. */
export function spareSettingFaults(segment: Segment, { tunnel, port }: SpareLinks, seen: Observation): SegmentFault[] {
  const faults: SegmentFault[] = portOptionFaults(port, sparePortOptions);
  if (tunnel.vxlan?.learning === true) faults.push(changed(tunnel.name, { what: `${tunnel.name} learns MACs`, done: 'set not to', change: { vxlanLearning: false } }));
  if (tunnel.isArpOff !== true) faults.push(changed(tunnel.name, { what: `the host speaks ARP on ${tunnel.name}`, done: 'set off', change: { isArpOff: true } }));
  for (const link of [tunnel, port]) {
    faults.push(...linkLocalFaults(link));
    if (link.mtu !== segment.underlayMtu) faults.push(minor(changed(link.name, { what: `${link.name} has MTU ${link.mtu} instead of ${segment.underlayMtu}`, done: 'set back', change: { mtu: segment.underlayMtu } })));
    const alias = segmentAlias(segment);
    if (link.alias !== alias) faults.push(minor(changed(link.name, { what: `${link.name} has lost its description`, done: 'written again', change: { alias } })));
  }
  const redirects = seen.redirectsOf(port.index, 'egress');
  if (redirects.length !== 1 || redirects[0] !== tunnel.index) {
    faults.push({ what: `${port.name} does not send to ${tunnel.name}`, remedy: { done: 'filter made anew', apply: ({ route }) => redirect(route, port.index, tunnel.index) } });
  }
  return [...faults, ...strayFaults({ tunnel, port }, seen)];
}

/** They keep a MAC from its place. */
function strayFaults({ port }: SpareLinks, seen: Observation): SegmentFault[] {
  return strayEntries(seen.fdbOf(port.index), new Set([port.mac])).map(({ mac }): SegmentFault => minor({
    what: `${port.name} has a static FDB entry of ${mac}`,
    remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delPortFdb(port.index, mac)], 'ENOENT') },
  }));
}
