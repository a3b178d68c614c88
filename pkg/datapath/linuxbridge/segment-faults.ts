/** What can be wrong with a tenant's segment: compares what the kernel has with what it should have. */
import { addressesEqual, formatAddress } from '../../netaddr/netaddr.ts';
import type { BridgeOptions, BridgePortOptions } from '../../netlink/bridge-options.ts';
import type { Link } from '../../netlink/link.ts';
import { appendFlood, delFlood, delPortFdb, delVxlanFdb, floodMac } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, segmentAlias, vxlanName } from '../../overlay/names.ts';
import { minor, type Fault } from '../fault.ts';
import { gatewayFaults, type GatewayHands } from '../gateway.ts';
import { doomedGroup } from '../link-removal.ts';
import type { Observation } from '../observation.ts';
import { changed, differing, linkLocalFaults, portOptionFaults, strayEntries } from '../link-faults.ts';

/** The links of a segment that is in place. */
export interface SegmentLinks {
  readonly bridge: Link;
  readonly vxlan: Link;
}

/** What a segment is repaired with. */
export interface SegmentHands extends GatewayHands {
  /** Makes what is missing of the segment, and replaces what does not fit. */
  remake(): void;
}
type SegmentFault = Fault<SegmentHands>;

/** Kernel defaults but for what weft sets; somebody may have changed them. */
const bridgeOptions: BridgeOptions = { stp: false, multicastSnooping: false };
const tunnelPortOptions: BridgePortOptions = {
  hairpin: false, learning: true, unicastFlood: true, proxyArp: false, multicastFlood: true, broadcastFlood: true, neighbourSuppression: false, isolated: false, locked: false,
};

/** Everything that is wrong with a segment; while its links do not fit, only that. */
export function segmentFaults(segment: Segment, seen: Observation): SegmentFault[] {
  const names = { bridge: bridgeName(segment.vni), vxlan: vxlanName(segment.vni) };
  const [bridge, vxlan] = [seen.findLink(names.bridge), seen.findLink(names.vxlan)];
  const missing: SegmentFault[] = [];
  if (bridge === undefined) missing.push(remade(`the tenant's bridge ${names.bridge} is missing`));
  if (vxlan === undefined) missing.push(remade(`the tenant's VXLAN device ${names.vxlan} is missing`));
  if (bridge === undefined || vxlan === undefined) return missing;
  const links = { bridge, vxlan };
  const faults = linkFaults(segment, links);
  if (faults.length > 0) return faults;
  return [...settingFaults(segment, links), ...floodFaults(segment, vxlan, seen), ...strayFaults(links, seen), ...gatewayFaults(segment, bridge, seen)];
}

function remade(what: string, done = 'made anew'): SegmentFault {
  return { what, remedy: { done, apply: (hands) => hands.remake() } };
}

/** What keeps a segment's links from working as they stand. */
export function linkFaults(segment: Segment, { bridge, vxlan }: SegmentLinks): SegmentFault[] {
  if (bridge.kind !== 'bridge') return [{ what: `${bridge.name} is no bridge` }];
  if (vxlan.kind !== 'vxlan' || vxlan.vxlan === undefined) return [{ what: `${vxlan.name} is no VXLAN device` }];
  const { vni, port, local } = vxlan.vxlan;
  if (vni !== segment.vni) return [remade(`${vxlan.name} has VNI ${vni} instead of ${segment.vni}`, 'replaced')];
  if (port !== segment.vtepPort) return [remade(`${vxlan.name} has UDP port ${port} instead of ${segment.vtepPort}`, 'replaced')];
  if (local === undefined || !addressesEqual(local, segment.vtepAddress)) return [remade(`${vxlan.name} does not use the VTEP address ${formatAddress(segment.vtepAddress)}`, 'replaced')];
  const doomed = [bridge, vxlan].filter((link) => link.group === doomedGroup);
  if (doomed.length > 0) return doomed.map((link) => remade(`${link.name} waits to be deleted`));
  const faults: SegmentFault[] = [];
  if (vxlan.master !== bridge.index) faults.push(changed(vxlan.name, { what: `${vxlan.name} is not a port of ${bridge.name}`, done: 'put back', change: { master: bridge.index } }));
  for (const { name, isUp } of [bridge, vxlan]) if (!isUp) faults.push(changed(name, { what: `${name} is down`, done: 'set up', change: { isUp: true } }));
  if (vxlan.mtu < segment.overlayMtu) {
    faults.push(changed(vxlan.name, { what: `${vxlan.name} has MTU ${vxlan.mtu}, less than its endpoints' ${segment.overlayMtu}`, done: `set to ${segment.underlayMtu}`, change: { mtu: segment.underlayMtu } }));
  }
  return faults;
}

function settingFaults(segment: Segment, { bridge, vxlan }: SegmentLinks): SegmentFault[] {
  const faults: SegmentFault[] = [];
  const mac = gatewayMac(segment.vni);
  if (bridge.mac !== mac) faults.push(changed(bridge.name, { what: `${bridge.name} has MAC ${bridge.mac ?? 'none'} instead of ${mac}`, done: 'set back', change: { mac } }));
  if (bridge.mtu !== segment.overlayMtu) {
    faults.push(changed(bridge.name, { what: `${bridge.name} has MTU ${bridge.mtu} instead of ${segment.overlayMtu}`, done: 'set back', change: { mtu: segment.overlayMtu } }));
  }
  if (vxlan.mtu !== segment.underlayMtu) {
    faults.push(minor(changed(vxlan.name, { what: `${vxlan.name} has MTU ${vxlan.mtu} instead of ${segment.underlayMtu}`, done: 'set back', change: { mtu: segment.underlayMtu } })));
  }
  for (const option of differing(bridgeOptions, bridge.bridge)) {
    faults.push(changed(bridge.name, { what: `the bridge option ${option} of ${bridge.name} is on`, done: 'set off', change: { bridge: { [option]: false } } }));
  }
  faults.push(...portOptionFaults(vxlan, tunnelPortOptions));
  if (vxlan.vxlan?.learning === false) faults.push(changed(vxlan.name, { what: `${vxlan.name} does not learn MACs`, done: 'set to learn', change: { vxlanLearning: true } }));
  const alias = segmentAlias(segment);
  for (const link of [bridge, vxlan]) {
    faults.push(...linkLocalFaults(link));
    if (link.alias !== alias) faults.push(minor(changed(link.name, { what: `${link.name} has lost its description`, done: 'written again', change: { alias } })));
  }
  return faults;
}

function floodFaults(segment: Segment, vxlan: Link, seen: Observation): SegmentFault[] {
  const present = new Map(seen.fdbOf(vxlan.index).flatMap(({ mac, vtep }) => (mac === floodMac && vtep !== undefined ? [[formatAddress(vtep), vtep] as const] : [])));
  const wanted = new Set(segment.peers.map(formatAddress));
  const missing = segment.peers.filter((peer) => !present.has(formatAddress(peer))).map((peer): SegmentFault => ({
    what: `the flood list of ${vxlan.name} lacks the peer ${formatAddress(peer)}`,
    remedy: { done: 'added', apply: ({ route }) => requestTolerating(route, [appendFlood(vxlan.index, peer)], 'EEXIST') },
  }));
  const strays = [...present].filter(([text]) => !wanted.has(text)).map(([text, vtep]): SegmentFault => minor({
    what: `the flood list of ${vxlan.name} has ${text}, which is no peer`,
    remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delFlood(vxlan.index, vtep)], 'ENOENT') },
  }));
  return [...missing, ...strays];
}

/** Entries at the tunnel that neither learning nor a control plane made: the MAC they name cannot move any more. */
function strayFaults({ bridge, vxlan }: SegmentLinks, seen: Observation): SegmentFault[] {
  const own = new Set([floodMac, bridge.mac, vxlan.mac]);
  return strayEntries(seen.fdbOf(vxlan.index), own).map(({ mac, vtep }): SegmentFault => {
    const where = vtep === undefined ? '' : ` at VTEP ${formatAddress(vtep)}`;
    const removal = vtep === undefined ? delPortFdb(vxlan.index, mac) : delVxlanFdb(vxlan.index, mac, vtep);
    return minor({ what: `${vxlan.name} has a static FDB entry of ${mac}${where}`, remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [removal], 'ENOENT') } });
  });
}
