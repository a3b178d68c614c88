/**
 * The flows of an endpoint that moves between nodes; see ../../migration.ts. Pure.
 *
 * Frames are relayed through the tenant's tunnel with spareVni() for a VNI, each addressed to the endpoint's MAC, questions for its addresses too.
 * Where they come out they skip the table `learning`.
 *
 *     source   local ─▶ its port, and a copy ─▶ tunnel          target   tunnel ─▶ source ─▶ arrivals ─▶ local ─▶ its port ─▶ gate
 *
 * The gate. What the source relays a port that waits is given at any time: it is the kernel that keeps it from the machine, see ../gate.ts, for what the
 * switch has cached of frames that it drops outlives its flows. For what the machine sends a port that waits has the flows of any port's guard, and one
 * thing less: they do not say whose the frame is. That does a flow in the table `gate`, which is not there; and without a tenant every frame ends in
 * the table `remote`. The machine's announcement has the switch itself make that flow, by `learn`, and one by which senders on this node reach it.
 *
 * Open vSwitch carries a learn action out once more for packets that it counts late, up to half a second later, and then the port may be opened
 * by the daemon too, or be gone. So what is learned has names that no other flow has, and says nothing that the port's own flows do not say:
 * beside them it is never met.
 */
import { parseAddress, type Address } from '../../../netaddr/netaddr.ts';
import { output, partOf, ports, resubmit, setField, toController, type Action } from '../../../openflow/action.ts';
import { fieldShapes } from '../../../openflow/field.ts';
import { flowKey, type Flow, type FlowName } from '../../../openflow/flow.ts';
import type { Instructions } from '../../../openflow/instruction.ts';
import type { PacketOut } from '../../../openflow/event.ts';
import type { LearnAction } from '../../../openflow/learn.ts';
import { etherTypes, untagged, type Match } from '../../../openflow/match.ts';
import { spareVni } from '../../../overlay/spare.ts';
import { openingFrame } from '../../announcement.ts';
import { cookieOf } from './cookies.ts';
import { returningFlows } from './detour.ts';
import { localFlows, portFlows } from './endpoints.ts';
import { addresses4, addresses6, guardFlows } from './guard.ts';
import { departedNeighbourFlows, remoteNeighbourFlows, type Relays } from './neighbours.ts';
import { admit, discovery, icmp6Types, noMac, ofTenant, toVtep, type LocalPort, type TenantNetwork } from './network.ts';
import { priorities, tables } from './tables.ts';

/** All nodes: whom an advertisement is sent to that nobody has asked for (RFC 4861 §7.2.6). */
const allNodes = parseAddress('ff02::1');
/** So much of an announcement is shown to the daemon, who only wants to know that there was one. */
const shownBytes = 64;

/** The flows of a port, as far as its endpoint's migration is. @throws RangeError when the port is none that an interface can have */
export function flowsOfPort(network: TenantNetwork, local: LocalPort): Flow[] {
  // What waits for its turn when the machine leaves was sent before that.
  return [...flowsByPhase(network, local), ...(local.port.migration?.phase === 'left' ? [] : returningFlows(network, local))];
}

function flowsByPhase(network: TenantNetwork, local: LocalPort): Flow[] {
  const { migration } = local.port;
  switch (migration?.phase) {
    case undefined:
      return portFlows(local);
    case 'relaying':
      return relayingFlows(network, local, migration.other);
    case 'departed':
      return departedFlows(network, local, migration.other);
    case 'left':
      return [];
    case 'waiting':
      return [...waitingFlows(local), relayedArrivals(network, local, migration.other), relayedDelivery(network, local)];
    case 'arrived':
      return [...portFlows(local), relayedArrivals(network, local, migration.other)];
  }
}

/** What a port can have before it is as far as it is, by its part in the migration; but for what the source relays, which is let in to the end. */
export function earlierFlows(network: TenantNetwork, local: LocalPort): FlowName[] {
  const { migration } = local.port;
  if (migration?.phase === 'waiting' || migration?.phase === 'arrived') return [...waitingFlows(local), relayedDelivery(network, local), ...openedFlows(local)];
  return relayingFlows(network, local, migration?.other ?? network.segment.vtepAddress);
}

/** What the switch learns when the machine behind a port that waits says where it is. */
export function openedFlows({ ofport, port: { vni, mac } }: LocalPort): FlowName[] {
  return [
    { table: tables.gate, priority: priorities.gate.opened, match: { inPort: ofport } },
    { table: tables.local, priority: priorities.local.opened, match: { ...ofTenant(vni), ethDst: mac } },
  ];
}

/** Whether the flow, one of the port's, counts what was relayed of what came from other nodes. */
export function countsRelayed({ table, priority, instructions: { apply = [] } }: Pick<Flow, 'table' | 'priority' | 'instructions'>): boolean {
  const relays = apply.some((action) => action.kind === 'output' && action.port === ports.inPort);
  return relays && (table === tables.arrivals || (table === tables.local && priority === priorities.local.relayed));
}

function ownCookie({ ofport, port: { vni } }: LocalPort): bigint {
  return cookieOf({ kind: 'port', vni, ofport });
}

/** What goes back into the tunnel that it came from needs IN_PORT. */
function relaysTo({ segment: { vni }, tunnel }: TenantNetwork, target: Address): Relays {
  const relayTo = (port: number): readonly Action[] => [setField('tunnelId', BigInt(spareVni(vni))), ...toVtep(port, target)];
  return { fromHere: relayTo(tunnel), fromTunnel: relayTo(ports.inPort) };
}

/** Of a question, as of one that is sent on to an endpoint elsewhere: to the endpoint's MAC alone. */
function asUnicast({ fromHere, fromTunnel }: Relays, { port: { mac } }: LocalPort): Relays {
  const addressed = setField('ethDst', mac);
  return { fromHere: [addressed, ...fromHere], fromTunnel: [addressed, ...fromTunnel] };
}

/** What tells the target's gate that the machine has stopped. */
export function activationPacket(network: TenantNetwork, { port: { mac } }: Pick<LocalPort, 'port'>, target: Address): PacketOut {
  return { data: openingFrame(mac), actions: [...relaysTo(network, target).fromHere] };
}

function relayingFlows(network: TenantNetwork, local: LocalPort, target: Address): Flow[] {
  const relays = relaysTo(network, target);
  return [...guardFlows(local), ...localFlows(local, { ...relays, questions: asUnicast(relays, local) }), fromTunnel(network, local, [output(local.ofport), ...relays.fromTunnel])];
}

/** What came through the tunnel for the endpoint. */
function fromTunnel({ tunnel }: TenantNetwork, local: LocalPort, apply: readonly Action[]): Flow {
  const { vni, mac } = local.port;
  return { table: tables.local, priority: priorities.local.relayed, match: { ...ofTenant(vni), inPort: tunnel, ethDst: mac }, instructions: { apply }, cookie: ownCookie(local) };
}

/**
 * The port has no guard's flows: it is closed. For whoever is on this node the endpoint is elsewhere, whatever else the switch knows of it; what
 * they send goes to its node as to any other, and is not counted.
 */
function departedFlows(network: TenantNetwork, local: LocalPort, target: Address): Flow[] {
  const { vni, mac } = local.port;
  const [cookie, relays] = [ownCookie(local), relaysTo(network, target)];
  const endpoint = { mac, addresses: local.port.addresses.map(({ address }) => address) };
  return [
    ...remoteNeighbourFlows(network, { ...endpoint, vtep: target }, cookie).map((flow) => ({ ...flow, priority: priorities.neighbours.local })),
    ...departedNeighbourFlows({ ...endpoint, vni, cookie }, asUnicast(relays, local).fromTunnel),
    { table: tables.local, priority: priorities.local.known, match: { ...ofTenant(vni), ethDst: mac }, instructions: { apply: toVtep(network.tunnel, target) }, cookie },
    fromTunnel(network, local, relays.fromTunnel),
  ];
}

/** What the source relays of this endpoint's: nothing is learned of it. */
function relayedArrivals({ segment: { vni }, tunnel }: TenantNetwork, local: LocalPort, source: Address): Flow {
  const match: Match = { inPort: tunnel, tunnelId: BigInt(spareVni(vni)), [source.family === 4 ? 'tunnelIpv4Src' : 'tunnelIpv6Src']: source, ethDst: local.port.mac, vlanVid: untagged };
  return { table: tables.source, priority: priorities.source.trusted, match, instructions: admit(vni, tables.arrivals), cookie: ownCookie(local) };
}

/** What comes through the tunnel for a port that waits: the gate is behind it. For senders on this node the endpoint still is elsewhere. */
function relayedDelivery(network: TenantNetwork, local: LocalPort): Flow {
  return fromTunnel(network, local, [output(local.ofport)]);
}

/** The guard's flows and the gate's; nothing is given to the port by them. */
function waitingFlows(local: LocalPort): Flow[] {
  const openers = openingFlows(local);
  const names = new Set(openers.map(flowKey));
  return [...openers, ...guardFlows(local, admitIfOpened).filter((flow) => !names.has(flowKey(flow)))];
}

/** As admit(), where the machine has opened the port; else the frame stays nobody's. */
function admitIfOpened(vni: LocalPort['port']['vni'], gotoTable: Parameters<typeof admit>[1]): Instructions {
  return { apply: [setField('tunnelId', BigInt(vni)), resubmit(tables.gate)], gotoTable };
}

/** By what the machine says where it is: RARP, gratuitous ARP and unsolicited advertisements, of its own MAC and addresses. The frame itself goes on. */
function openingFlows(local: LocalPort): Flow[] {
  const { ofport, port: { vni, mac } } = local;
  const cookie = ownCookie(local);
  const own: Match = { inPort: ofport, ethSrc: mac, vlanVid: untagged };
  const opens: readonly Action[] = [...learnOpening(local), toController({ maxBytes: shownBytes })];
  const admission = admit(vni, tables.limit);
  const bySource = { ...admission, apply: [...(admission.apply ?? []), ...opens] };
  // Of advertisements the table `source` has looked at the source address.
  const byDiscovery = { ...admission, apply: opens };
  return [
    { table: tables.source, priority: priorities.source.own, match: { ...own, ethType: etherTypes.rarp, arpSha: mac }, instructions: bySource, cookie },
    ...addresses4(local).map((address): Flow => ({ table: tables.source, priority: priorities.source.opening, match: { ...own, ethType: etherTypes.arp, arpSha: mac, arpSpa: address, arpTpa: address }, instructions: bySource, cookie })),
    ...(local.port.addresses.length === 0 ? [] : addresses6(local)).flatMap((address) => [mac, noMac].map((ndTll): Flow => ({
      table: tables.discovery, priority: priorities.discovery.opening, match: { inPort: ofport, ...discovery(icmp6Types.neighbourAdvertisement), ipv6Dst: allNodes, ndTarget: address, ndTll }, instructions: byDiscovery, cookie,
    }))),
  ];
}

/** Makes openedFlows(). */
function learnOpening(local: LocalPort): readonly LearnAction[] {
  const { vni } = local.port;
  const [metadata, tenant] = [partOf('metadata'), { value: BigInt(vni), bits: fieldShapes.metadata.bits }];
  const common = { kind: 'learn', cookie: ownCookie(local), idleTimeoutSeconds: 0, hardTimeoutSeconds: 0 } as const;
  return [
    {
      ...common, table: tables.gate, priority: priorities.gate.opened,
      specs: [{ kind: 'match', source: { value: BigInt(local.ofport), bits: fieldShapes.inPort.bits }, to: partOf('inPort') }, { kind: 'load', source: tenant, to: metadata }],
    },
    {
      ...common, table: tables.local, priority: priorities.local.opened,
      specs: [{ kind: 'match', source: tenant, to: metadata }, { kind: 'match', source: partOf('ethSrc'), to: partOf('ethDst') }, { kind: 'output', source: partOf('inPort') }],
    },
  ];
}
