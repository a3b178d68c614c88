/** What the kernel should hold for a tenant on a node, compared field by field with what it does hold. */
import { findLink, readFdb, readLinks, readRoutes } from '../../pkg/testing/observe.ts';
import { readInterface } from './container.ts';
import type { Attached } from './lab.ts';
import type { LabNode } from './lab-node.ts';
import { flowsOfVni, readSwitch, readTunnel } from './node-switch.ts';

export interface SegmentView {
  readonly bridgeKind: string | undefined;
  readonly bridgeIsUp: boolean;
  readonly vxlanMaster: string | undefined;
  readonly vxlanMtu: number | undefined;
  readonly vni: unknown;
  /** The VTEP's address, of either family. */
  readonly local: unknown;
  readonly port: unknown;
  /** VTEPs that broadcast, unknown and multicast frames are sent to. */
  readonly floodList: readonly string[];
}

/** A tenant's segment on a node, under the names of DESIGN: bridge weft-br<vni>, VXLAN device weft-vx<vni>. */
export function readSegment(netns: string, vni: number): SegmentView {
  const [bridge, vxlan] = [findLink(netns, `weft-br${vni}`), findLink(netns, `weft-vx${vni}`)];
  const data = vxlan?.linkinfo?.info_data ?? {};
  const flood = vxlan === undefined ? [] : readFdb(netns, vxlan.ifname).filter(({ mac }) => mac === '00:00:00:00:00:00');
  return {
    bridgeKind: bridge?.linkinfo?.info_kind,
    bridgeIsUp: bridge?.flags.includes('UP') ?? false,
    vxlanMaster: vxlan?.master,
    vxlanMtu: vxlan?.mtu,
    vni: data['id'],
    local: data['local'] ?? data['local6'],
    port: data['port'],
    floodList: flood.map(({ dst }) => dst ?? '').sort(),
  };
}

/** Names of the kernel objects a node holds for a VNI. */
export function segmentLinks(netns: string, vni: number): readonly string[] {
  return readLinks(netns).map(({ ifname }) => ifname).filter((name) => name === `weft-br${vni}` || name === `weft-vx${vni}`).sort();
}

/** What a tenant has on a node of either datapath. */
export interface TenantView {
  readonly local: unknown;
  readonly port: unknown;
  /** VTEPs that it exchanges frames with. */
  readonly peers: readonly string[];
}

/** The tenant as the kernel or the switch has it; undefined where it is not there, or not whole. */
export function readTenant(node: LabNode, vni: number): TenantView | undefined {
  if (node.datapath === 'ovs') {
    const tunnel = readTunnel(node.openVSwitch, vni);
    return tunnel === undefined ? undefined : { local: tunnel.local, port: tunnel.port, peers: tunnel.peers };
  }
  const { vni: found, vxlanMaster, local, port, floodList } = readSegment(node.netns, vni);
  return found === vni && vxlanMaster === `weft-br${vni}` ? { local, port, peers: floodList } : undefined;
}

/** Whatever a node has of a tenant: links of the kernel, flows of a switch. */
export function tracesOfTenant(node: LabNode, vni: number): readonly string[] {
  const flows = node.datapath === 'ovs' ? flowsOfVni(readSwitch(node.openVSwitch), vni) : [];
  return [...segmentLinks(node.netns, vni), ...flows];
}

/** What an attachment's host interface is plugged into: a bridge of the kernel, or one of a switch. */
export function pluggedInto(attached: Attached): string | undefined {
  const { hostIf = '', hostMaster } = readAttachment(attached);
  if (attached.node.datapath === 'bridge') return hostMaster;
  return readSwitch(attached.node.openVSwitch).ports.includes(hostIf) ? 'weft-int' : undefined;
}

export interface AttachmentView {
  readonly hostIf: string | undefined;
  readonly hostMaster: string | undefined;
  readonly hostMtu: number | undefined;
  readonly hostAlias: string | undefined;
  readonly containerMtu: number;
  readonly containerMac: string;
  readonly addresses: readonly string[];
  /** Destinations with their next hops, without those the kernel adds for link-local and multicast. */
  readonly routes: readonly string[];
}

/** Both ends of an attachment. The host's end is the veth whose peer is the container's: found by index, not by name. */
export function readAttachment({ node, netns, attach }: Attached): AttachmentView {
  const ifName = attach.ifName ?? 'eth0';
  const peerIndex = findLink(netns, ifName)?.ifindex;
  const host = readLinks(node.netns).find((link) => (link as { readonly link_index?: number }).link_index === peerIndex && link.ifalias?.includes(attach.containerId) === true);
  const { mac, mtu, ipv4, ipv6 } = readInterface(netns, ifName);
  const routes = ([4, 6] as const).flatMap((family) => readRoutes(netns, family)).filter(({ dst }) => !dst.startsWith('fe80') && !dst.startsWith('ff00'));
  return {
    hostIf: host?.ifname,
    hostMaster: host?.master,
    hostMtu: host?.mtu,
    hostAlias: host?.ifalias,
    containerMtu: mtu,
    containerMac: mac,
    addresses: [...ipv4, ...ipv6],
    routes: routes.map(({ dst, gateway }) => (gateway === undefined ? dst : `${dst} via ${gateway}`)).sort(),
  };
}
