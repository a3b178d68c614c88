/** The flows of a tenant on this node that belong to none of its endpoints: the tunnel, replication, the gateway. Pure. */
import { output, type FieldPart } from '../../../openflow/action.ts';
import { fieldShapes, type FieldName } from '../../../openflow/field.ts';
import type { Flow } from '../../../openflow/flow.ts';
import type { LearnAction } from '../../../openflow/learn.ts';
import { etherTypes, untagged, type Match } from '../../../openflow/match.ts';
import { gatewayMac } from '../../../overlay/gateway-mac.ts';
import { cookieOf } from './cookies.ts';
import { detourFlows } from './detour.ts';
import { localNeighbourFlows } from './neighbours.ts';
import { admit, discovery, groupAddressed, icmp6Types, individual, ofTenant, toPeers, type LocalPort, type Receivers, type TenantNetwork } from './network.ts';
import { priorities, tables } from './tables.ts';

/** How long what was learned is believed, like the entries of a bridge (IEEE 802.1D §7.9.2): until then each ARP confirms it. */
const learnedSeconds = 300;

/** What a tenant has from its first attachment on, whatever its ports: replaced as a whole when peers or gateway change. */
export function segmentFlows(network: TenantNetwork): Flow[] {
  return [...arrivalFlows(network), ...learningFlows(network), ...replicationFlows(network), ...gatewayFlows(network), ...detourFlows(network)];
}

/**
 * Broadcast and multicast to every port of the tenant, but never back to the one it came by; from this node it goes on to the peers.
 * A flow holds about 4000 ports (64 KiB of OpenFlow).
 */
export function floodFlows({ segment, gateway }: Receivers, ports: readonly Pick<LocalPort, 'ofport'>[]): Flow[] {
  const receivers = [...ports.map(({ ofport }) => ofport), ...(gateway === undefined ? [] : [gateway])];
  return [{
    table: tables.local,
    priority: priorities.local.group,
    match: { ...ofTenant(segment.vni), ethDst: groupAddressed },
    instructions: { apply: receivers.map(output), gotoTable: tables.remote },
    cookie: cookieOf({ kind: 'segment', vni: segment.vni }),
  }];
}

/** Out of the tunnel comes only what a known VTEP of this very VNI sent: the port itself takes any sender and any VNI. */
function arrivalFlows({ segment: { vni, peers }, tunnel }: TenantNetwork): Flow[] {
  const cookie = cookieOf({ kind: 'segment', vni });
  return peers.map((peer) => ({
    table: tables.source,
    priority: priorities.source.trusted,
    match: { inPort: tunnel, tunnelId: BigInt(vni), [peer.family === 4 ? 'tunnelIpv4Src' : 'tunnelIpv6Src']: peer, vlanVid: untagged },
    instructions: admit(vni, tables.learning),
    cookie,
  }));
}

/**
 * A MAC is learned from what says that its owner is there: ARP, RARP, neighbour discovery. Not from data: Open vSwitch carries a learn
 * action out again for packets it counts late, and by an old connection's would take a moved endpoint back to where it was.
 */
function learningFlows(network: TenantNetwork): Flow[] {
  const { vni } = network.segment;
  const matches: readonly Match[] = [
    { ethType: etherTypes.arp }, { ethType: etherTypes.rarp }, discovery(icmp6Types.neighbourSolicitation), discovery(icmp6Types.neighbourAdvertisement),
  ];
  return matches.map((match) => ({
    table: tables.learning,
    priority: priorities.learning.learned,
    match: { ...ofTenant(vni), ethSrc: individual, ...match },
    instructions: { apply: [learnSource(network)], gotoTable: tables.arrivals },
    cookie: cookieOf({ kind: 'segment', vni }),
  }));
}

/** Frames to the MAC that sent this one go to the VTEP it came from. */
function learnSource({ segment: { vni, vtepAddress } }: TenantNetwork): LearnAction {
  const [from, to] = vtepAddress.family === 4 ? ['tunnelIpv4Src', 'tunnelIpv4Dst'] as const : ['tunnelIpv6Src', 'tunnelIpv6Dst'] as const;
  return {
    kind: 'learn',
    table: tables.remote,
    priority: priorities.remote.learned,
    cookie: cookieOf({ kind: 'learned', vni }),
    idleTimeoutSeconds: 0,
    hardTimeoutSeconds: learnedSeconds,
    specs: [
      { kind: 'match', source: { value: BigInt(vni), bits: fieldShapes.metadata.bits }, to: whole('metadata') },
      { kind: 'match', source: whole('ethSrc'), to: whole('ethDst') },
      { kind: 'load', source: whole(from), to: whole(to) },
      { kind: 'output', source: whole('inPort') },
    ],
  };
}

function whole(field: FieldName): FieldPart {
  return { field, offset: 0, bits: fieldShapes[field].bits };
}

/** Groups and MACs nobody knows go to every peer: all MACs of this node are known. Nothing goes from tunnel to tunnel: peers are a full mesh. */
function replicationFlows(network: TenantNetwork): Flow[] {
  const { segment: { vni, peers }, tunnel } = network;
  const cookie = cookieOf({ kind: 'segment', vni });
  const splitHorizon: Flow = { table: tables.remote, priority: priorities.remote.splitHorizon, match: { ...ofTenant(vni), inPort: tunnel }, instructions: {}, cookie };
  if (peers.length === 0) return [splitHorizon];
  return [splitHorizon, { table: tables.remote, priority: priorities.remote.unknown, match: ofTenant(vni), instructions: { apply: toPeers(network) }, cookie }];
}

/** The tenant's gateway, where this node has one. Every node's has the same MAC, so that none may come from another node. */
function gatewayFlows({ segment: { vni, gateway }, tunnel, gateway: ofport }: TenantNetwork): Flow[] {
  if (gateway === undefined || ofport === undefined) return [];
  const mac = gatewayMac(vni);
  const cookie = cookieOf({ kind: 'segment', vni });
  return [
    { table: tables.source, priority: priorities.source.gatewayLie, match: { inPort: tunnel, tunnelId: BigInt(vni), ethSrc: mac }, instructions: {}, cookie },
    { table: tables.source, priority: priorities.source.trusted, match: { inPort: ofport, ethSrc: mac, vlanVid: untagged }, instructions: admit(vni, tables.neighbours), cookie },
    ...localNeighbourFlows({ vni, ofport, mac, addresses: gateway.addresses.map(({ address }) => address), cookie }),
    { table: tables.local, priority: priorities.local.known, match: { ...ofTenant(vni), ethDst: mac }, instructions: { gotoTable: tables.host }, cookie },
    { table: tables.host, priority: priorities.host.deliver, match: ofTenant(vni), instructions: { apply: [output(ofport)] }, cookie },
  ];
}
