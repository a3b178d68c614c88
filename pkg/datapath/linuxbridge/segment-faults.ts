/** What can be wrong with a tenant's segment: compares what the kernel has with what it should have. */
import { addressBits, addressesEqual, formatAddress, formatInterfaceAddress, formatPrefix, prefixOf, type Address, type InterfaceAddress } from '../../netaddr/netaddr.ts';
import { addAddress, delAddress } from '../../netlink/address.ts';
import type { BridgeOptions, BridgePortOptions } from '../../netlink/bridge-options.ts';
import type { Link } from '../../netlink/link.ts';
import { appendFlood, delFlood, delPortFdb, delVxlanFdb, floodMac } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, segmentAlias, vxlanName } from '../../overlay/names.ts';
import { minor, type Fault } from '../fault.ts';
import type { Kernel } from '../kernel.ts';
import { doomedGroup } from '../link-removal.ts';
import type { Observation } from '../observation.ts';
import { changed, differing, linkLocalFaults, portOptionFaults, strayEntries } from '../link-faults.ts';

/** The links of a segment that is in place. */
export interface SegmentLinks {
  readonly bridge: Link;
  readonly vxlan: Link;
}

/** What a segment is repaired with. */
export interface SegmentHands extends Pick<Kernel, 'route' | 'setSysctl'> {
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

function gatewayFaults(segment: Segment, bridge: Link, seen: Observation): SegmentFault[] {
  const present = new Map(seen.addressesOf(bridge.index).map(({ address }) => [formatInterfaceAddress(address), address]));
  const wanted = new Map((segment.gateway?.addresses ?? []).map((address) => [formatInterfaceAddress(address), address]));
  const faults: SegmentFault[] = [];
  for (const [text, address] of present) {
    if (!wanted.has(text)) faults.push(minor({ what: `${bridge.name} has the address ${text}, which is not its gateway's`, remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delAddress(bridge.index, address)], 'EADDRNOTAVAIL') } }));
  }
  for (const [text, address] of wanted) {
    const neighbour = neighbourOf(address);
    if (!present.has(text)) faults.push({ what: `the bridge lacks the gateway address ${text}`, remedy: { done: 'added', apply: ({ route }) => requestTolerating(route, [addAddress(bridge.index, address)], 'EEXIST') } });
    else if (neighbour !== undefined && seen.routeTo(neighbour) !== bridge.index) faults.push(routeFault(bridge, address));
  }
  return [...faults, ...gatewaySysctls(segment).filter((parts) => seen.sysctl(parts) === '0').map((parts): SegmentFault => ({
    what: `the sysctl net.${parts.join('.')} is 0`,
    remedy: { done: 'set to 1', apply: (hands) => hands.setSysctl(parts, '1') },
  }))];
}

/** The route that the kernel makes with an address comes back with it. */
function routeFault({ name, index }: Link, address: InterfaceAddress): SegmentFault {
  return {
    what: `the node does not send to ${formatPrefix(prefixOf(address))} by ${name}`,
    remedy: {
      done: 'gateway address added again',
      apply({ route }) {
        requestTolerating(route, [delAddress(index, address)], 'EADDRNOTAVAIL');
        requestTolerating(route, [addAddress(index, address)], 'EEXIST');
      },
    },
  };
}

/** Another host address of the subnet; undefined where there is none. */
function neighbourOf({ address, length }: InterfaceAddress): Address | undefined {
  const { base, family } = prefixOf({ address, length });
  const hostBits = BigInt(addressBits[family] - length);
  const last = base + (1n << hostBits) - 1n;
  const candidates = [1n, 2n, 3n].map((flip) => address.value ^ flip).filter((value) => value >= base && value <= last);
  const value = candidates.find((candidate) => hostBits === 1n || (candidate !== base && candidate !== last));
  return value === undefined ? undefined : { family, value };
}

/** Sysctls of the host that a tenant's gateway needs to be 1. */
export function gatewaySysctls({ vni, gateway }: Segment): string[][] {
  const addresses = gateway?.addresses ?? [];
  return [
    // Without it the host would answer a tenant's ARP for any address it has (Documentation/networking/ip-sysctl.rst, arp_ignore).
    ...(gateway === undefined ? [] : [['ipv4', 'conf', bridgeName(vni), 'arp_ignore']]),
    ...(addresses.some(({ address }) => address.family === 4) ? [['ipv4', 'ip_forward']] : []),
    ...(addresses.some(({ address }) => address.family === 6) ? [['ipv6', 'conf', 'all', 'forwarding']] : []),
  ];
}
