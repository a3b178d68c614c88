/** What can be wrong with a tenant's segment: compares what the kernel has with what it should have. */
import { formatAddress } from '../../netaddr/netaddr.ts';
import type { BridgeOptions } from '../../netlink/bridge-options.ts';
import type { Link } from '../../netlink/link.ts';
import { appendFlood, delFlood, delPortFdb, delVxlanFdb, floodMac, type VxlanDestination } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { Segment } from '../../overlay/model.ts';
import { segmentAlias, spareName, sparePortName } from '../../overlay/names.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { about, minor } from '../fault.ts';
import { gatewayFaults } from '../gateway.ts';
import { doomedGroup } from '../link-removal.ts';
import type { Observation } from '../observation.ts';
import { changed, differing, linkLocalFaults, portOptionFaults, strayEntries } from '../link-faults.ts';
import { asSegmentLinks, linksOf, type SegmentLinks } from './segment-links.ts';
import { isInletOpen } from './moving-faults.ts';
import { remade, spareLinkFaults, spareSettingFaults, type SegmentFault } from './spare-faults.ts';
import { realDestination } from './spare.ts';
import { tunnelPortOptionsOf } from './tunnel-port.ts';
import { tenantShaperFaults } from '../tenant-bandwidth.ts';
import { misfitOf, type TunnelSettings } from '../tunnel-settings.ts';

/** Kernel defaults but for what weft sets; somebody may have changed them. */
const bridgeOptions: BridgeOptions = { stp: false, multicastSnooping: false };

/** Everything that is wrong with a segment; while its links do not fit, only that. */
export function segmentFaults(segment: Segment, seen: Observation): SegmentFault[] {
  const found = linksOf(segment).map(({ name }) => ({ name, link: seen.findLink(name) }));
  const links = asSegmentLinks(segment, found.map(({ link }) => link));
  if (links === undefined) return found.filter(({ link }) => link === undefined).map(({ name }) => remade(missingInWords(segment, name)));
  const faults = linkFaults(segment, links);
  if (faults.length > 0) return faults;
  return [
    ...about('mtu', mtuFaults(segment, links)), ...about('setting', settingFaults(segment, links, seen)), ...about('fdb', floodFaults(segment, links.vxlan, seen)),
    ...(links.spare === undefined ? [] : [...about('setting', spareSettingFaults(segment, links.spare, seen)), ...about('fdb', floodFaults(segment, links.spare.tunnel, seen, realDestination(segment)))]),
    ...about('fdb', strayFaults(links, seen)), ...gatewayFaults(segment, links.bridge, seen), ...tenantShaperFaults(segment, seen),
  ];
}

function missingInWords(segment: Segment, name: string): string {
  const [bridge, vxlan] = linksOf(segment);
  const what = new Map([
    [bridge?.name, "the tenant's bridge"], [vxlan?.name, "the tenant's VXLAN device"],
    [spareName(segment.vni), "the tenant's spare tunnel"], [sparePortName(segment.vni), "the bridge's port to the spare tunnel,"],
  ]);
  return `${what.get(name) ?? 'the link'} ${name} is missing`;
}

/** What keeps a segment's links from working as they stand. */
export function linkFaults(segment: Segment, { bridge, vxlan, spare }: SegmentLinks): SegmentFault[] {
  if (bridge.kind !== 'bridge') return [{ what: `${bridge.name} is no bridge` }];
  if (vxlan.kind !== 'vxlan' || vxlan.vxlan === undefined) return [{ what: `${vxlan.name} is no VXLAN device` }];
  const misfit = misfitOf(vxlan, vxlanSettings(segment));
  if (misfit !== undefined) return [remade(misfit, 'replaced')];
  const doomed = [bridge, vxlan].filter((link) => link.group === doomedGroup);
  if (doomed.length > 0) return doomed.map((link) => remade(`${link.name} waits to be deleted`));
  const faults: SegmentFault[] = [];
  if (vxlan.master !== bridge.index) faults.push(changed(vxlan.name, { what: `${vxlan.name} is not a port of ${bridge.name}`, done: 'put back', change: { master: bridge.index } }));
  for (const { name, isUp } of [bridge, vxlan]) if (!isUp) faults.push(changed(name, { what: `${name} is down`, done: 'set up', change: { isUp: true } }));
  if (vxlan.mtu < segment.overlayMtu) {
    faults.push(...about('mtu', [changed(vxlan.name, { what: `${vxlan.name} has MTU ${vxlan.mtu}, less than its endpoints' ${segment.overlayMtu}`, done: `set to ${segment.underlayMtu}`, change: { mtu: segment.underlayMtu } })]));
  }
  return spare === undefined ? faults : [...faults, ...spareLinkFaults(segment, bridge, spare)];
}

/** What the tenant's VXLAN device must be made with. */
export function vxlanSettings({ vni, vtepPort, vtepAddress }: Segment): TunnelSettings {
  return { vni, port: vtepPort, local: vtepAddress };
}

function mtuFaults(segment: Segment, { bridge, vxlan }: SegmentLinks): SegmentFault[] {
  const faults: SegmentFault[] = [];
  if (bridge.mtu !== segment.overlayMtu) {
    faults.push(changed(bridge.name, { what: `${bridge.name} has MTU ${bridge.mtu} instead of ${segment.overlayMtu}`, done: 'set back', change: { mtu: segment.overlayMtu } }));
  }
  if (vxlan.mtu !== segment.underlayMtu) {
    faults.push(minor(changed(vxlan.name, { what: `${vxlan.name} has MTU ${vxlan.mtu} instead of ${segment.underlayMtu}`, done: 'set back', change: { mtu: segment.underlayMtu } })));
  }
  return faults;
}

function settingFaults(segment: Segment, { bridge, vxlan }: SegmentLinks, seen: Observation): SegmentFault[] {
  const faults: SegmentFault[] = [];
  const mac = gatewayMac(segment.vni);
  if (bridge.mac !== mac) faults.push(changed(bridge.name, { what: `${bridge.name} has MAC ${bridge.mac ?? 'none'} instead of ${mac}`, done: 'set back', change: { mac } }));
  for (const option of differing(bridgeOptions, bridge.bridge)) {
    faults.push(changed(bridge.name, { what: `the bridge option ${option} of ${bridge.name} is on`, done: 'set off', change: { bridge: { [option]: false } } }));
  }
  const options = tunnelPortOptionsOf(segment);
  faults.push(...portOptionFaults(vxlan, isInletOpen(segment, seen) ? { ...options, learning: false } : options));
  if (vxlan.vxlan?.learning === false) faults.push(changed(vxlan.name, { what: `${vxlan.name} does not learn MACs`, done: 'set to learn', change: { vxlanLearning: true } }));
  const alias = segmentAlias(segment);
  for (const link of [bridge, vxlan]) {
    faults.push(...linkLocalFaults(link));
    if (link.alias !== alias) faults.push(minor(changed(link.name, { what: `${link.name} has lost its description`, done: 'written again', change: { alias } })));
  }
  return faults;
}

function floodFaults(segment: Segment, device: Link, seen: Observation, other?: VxlanDestination['other']): SegmentFault[] {
  const present = new Map(seen.fdbOf(device.index).flatMap(({ mac, vtep }) => (mac === floodMac && vtep !== undefined ? [[formatAddress(vtep), vtep] as const] : [])));
  const wanted = new Set(segment.peers.map(formatAddress));
  const missing = segment.peers.filter((peer) => !present.has(formatAddress(peer))).map((peer): SegmentFault => ({
    what: `the flood list of ${device.name} lacks the peer ${formatAddress(peer)}`,
    remedy: { done: 'added', apply: ({ route }) => requestTolerating(route, [appendFlood(device.index, peer, other)], 'EEXIST') },
  }));
  // zebra writes there first, and who looks after remote endpoints takes the VTEP for a peer a moment later.
  const isShared = hasSpare(segment) && other === undefined;
  const strays = isShared ? [] : [...present].filter(([text]) => !wanted.has(text)).map(([text, vtep]): SegmentFault => minor({
    what: `the flood list of ${device.name} has ${text}, which is no peer`,
    remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delFlood(device.index, vtep, other)], 'ENOENT') },
  }));
  return [...missing, ...strays];
}

/** Entries at the tunnel that neither learning nor a control plane made: the MAC they name cannot move any more. */
function strayFaults({ bridge, vxlan }: SegmentLinks, seen: Observation): SegmentFault[] {
  const own = new Set([floodMac, bridge.mac, vxlan.mac]);
  return strayEntries(seen.fdbOf(vxlan.index), own).map(({ mac, vtep }): SegmentFault => {
    const where = vtep === undefined ? '' : ` at VTEP ${formatAddress(vtep)}`;
    const removal = vtep === undefined ? delPortFdb(vxlan.index, mac) : delVxlanFdb(vxlan.index, { mac, vtep });
    return minor({ what: `${vxlan.name} has a static FDB entry of ${mac}${where}`, remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [removal], 'ENOENT') } });
  });
}
