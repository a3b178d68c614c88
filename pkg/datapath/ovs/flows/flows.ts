/**
 * The flows of the integration bridge: one switch for all tenants, which forwards by what is known and floods nothing that is. Pure.
 *
 *     container ─▶ 0 source ───▶ 3 limit ──┐
 *                   └─▶ 1 discovery ─▲      ├─▶ 10 neighbours ─┐
 *     gateway ───▶ 0 source ────────────────┘                  ├─▶ 20 local ──▶ 30 remote ──▶ tunnel
 *     tunnel ────▶ 0 source ──▶ 5 learning ──▶ 15 arrivals ────┘     │  └───▶ 25 host ──▶ gateway
 *                                                                    └──▶ container
 *
 * Table 0 says whose a frame is, and writes the VNI into metadata; every later flow matches it, and so no frame leaves its tenant. What
 * no flow takes is dropped in the tables 0, 1, 4, 25 and 30: a port without flows is closed, and so is a VTEP that is nobody's peer. Ports whose
 * machine is yet to come have the VNI from the table 2, where it is written when the machine has come (migration.ts).
 *
 * Where a tenant's containers have a limit together, the table 3 sends their frames through it, and they come back by the table 4 (detour.ts).
 *
 * The flows of an endpoint do not depend on other endpoints, and those of a tenant not on other tenants; only the flow that replicates
 * broadcast lists a tenant's ports. NORMAL is not used: its learning takes half a second to notice a move, or never does, and it floods.
 */
import type { Flow } from '../../../openflow/flow.ts';
import { etherTypes, ipProtocols, type Match } from '../../../openflow/match.ts';
import { parseMac } from '../../../netaddr/netaddr.ts';
import { cookieOf } from './cookies.ts';
import { discovery, icmp6, icmp6Types, unspecified6 } from './network.ts';
import { priorities, tables } from './tables.ts';

export { announcementPackets, locationPacket, movePackets } from './announcement-packets.ts';
export { cookieOf, flowsOf, flowsOfTenant, flowsOfWeft, ownerOf, type FlowOwner, type FlowSelector } from './cookies.ts';
export { portFlows, remoteFlows } from './endpoints.ts';
export { addresses4, addresses6 } from './guard.ts';
export { activationPacket, countsRelayed, earlierFlows, flowsOfPort, openedFlows } from './migration.ts';
export type { Detour, LocalPort, Receivers, TenantNetwork } from './network.ts';
export { flowsByMac, remotesIn, type RemoteFlow } from './remotes.ts';
export { floodFlows, segmentFlows } from './segment.ts';
export { priorities, tables } from './tables.ts';

/**
 * What there is before any tenant.
 * @param tunnelUdpPorts on which the switch's tunnels listen, of every encapsulation
 */
export function baseFlows(tunnelUdpPorts: readonly number[]): Flow[] {
  const cookie = cookieOf({ kind: 'node' });
  return [
    ...refusals(tunnelUdpPorts).map((refusal): Flow => ({ ...refusal, instructions: {}, cookie })),
    ...misses.map(([table, gotoTable]): Flow => ({ table, priority: 0, match: {}, instructions: { gotoTable }, cookie })),
  ];
}

/** Where a frame goes that is nothing special to a table. */
const misses = [
  [tables.limit, tables.neighbours],
  [tables.learning, tables.arrivals],
  [tables.neighbours, tables.local],
  [tables.arrivals, tables.local],
  [tables.local, tables.remote],
] as const;

/** Frames between bridges and their neighbours, which none may forward (IEEE 802.1Q table 8-1). */
const reserved: Match = { ethDst: { value: parseMac('01:80:c2:00:00:00'), mask: parseMac('ff:ff:ff:ff:ff:f0') } };

function refusals(tunnelUdpPorts: readonly number[]): readonly Pick<Flow, 'table' | 'priority' | 'match'>[] {
  return [
    { table: tables.source, priority: priorities.source.reserved, match: reserved },
    // Of a container; the flows of the tunnel, of gateways and of layer 2 attachments stand above.
    ...icmp6Types.discovery.map((type) => ({ table: tables.source, priority: priorities.source.otherDiscovery, match: icmp6(type) })),
    // So Open vSwitch shows what it could not parse.
    { table: tables.discovery, priority: priorities.discovery.malformed, match: { ...discovery(icmp6Types.neighbourSolicitation), ndTarget: unspecified6 } },
    ...tunnelUdpPorts.flatMap((udpDst) => tunnelInTunnel(udpDst)),
  ];
}

/**
 * Before it gives a packet to an interface that has addresses, such as a gateway's, the userspace datapath looks whether it is for one of
 * its tunnels, and takes it for one that has come from a VTEP (ofproto-dpif-xlate.c, terminate_native_tunnel): with an outer source of
 * the container's choice it would be in another tenant. (A tunnel with `local_ip` would refuse it; this must not hang on an option.)
 */
function tunnelInTunnel(udpDst: number): readonly Pick<Flow, 'table' | 'priority' | 'match'>[] {
  return [etherTypes.ipv4, etherTypes.ipv6].map((ethType) => ({ table: tables.host, priority: priorities.host.tunnelInTunnel, match: { ethType, ipProto: ipProtocols.udp, udpDst } }));
}
