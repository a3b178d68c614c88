/**
 * The guard at the source: a container sends as itself only. Pure.
 *
 * The semantics are those of the guard of Linux bridges (guard-rules.ts), with one difference: what the switch does not parse it cannot
 * check. So router solicitations, which may carry a link-layer address, are dropped; hosts learn from advertisements that come unasked.
 * Of a solicitation or an advertisement the switch sees the one address option that receivers heed; it zeroes all fields where that comes
 * twice. It stops at an option of length 0, and one that is cut off; for those receivers discard the message (RFC 4861 §4.6). So they do
 * with fragments of neighbour discovery (RFC 6980), which the switch cannot look into.
 */
import { eui64LinkLocal, type Address } from '../../../netaddr/netaddr.ts';
import type { Flow } from '../../../openflow/flow.ts';
import type { Instructions } from '../../../openflow/instruction.ts';
import { etherTypes, untagged, type Match } from '../../../openflow/match.ts';
import { cookieOf } from './cookies.ts';
import { admit, discovery, icmp6, icmp6Types, noMac, unspecified6, type LocalPort } from './network.ts';
import { priorities, tables } from './tables.ts';

const unspecified4: Address = { family: 4, value: 0n };

/**
 * What lets the container's own frames into its tenant. Everything else of the port meets no flow, and is dropped.
 * @param letIn what makes a frame the tenant's
 */
export function guardFlows(local: LocalPort, letIn: typeof admit = admit): Flow[] {
  const { ofport, port } = local;
  const cookie = cookieOf({ kind: 'port', vni: port.vni, ofport });
  const own: Match = { inPort: ofport, ethSrc: port.mac, vlanVid: untagged };
  const lets = (priority: number, match: Match, instructions: Instructions = letIn(port.vni, tables.limit)): Flow =>
    ({ table: tables.source, priority, match: { ...own, ...match }, instructions, cookie });
  // A virtual machine announces its move with RARP: it names its MAC, and no address.
  const rarp = lets(priorities.source.own, { ethType: etherTypes.rarp, arpSha: port.mac });
  if (port.addresses.length === 0) return [rarp, ...openMatches(local).map((match) => lets(priorities.source.open, match))];
  return [
    rarp,
    ...ownMatches(local).map((match) => lets(priorities.source.own, match)),
    ...ownSolicitations(local).map((match) => lets(priorities.source.discovery, match)),
    ...addresses6(local).flatMap((address) => discoveryTypes.map((type) => lets(priorities.source.discovery, { ...discovery(type), ipv6Src: address }, letIn(port.vni, tables.discovery)))),
    ...discoveryFlows(local, cookie),
  ];
}

const discoveryTypes = [icmp6Types.neighbourSolicitation, icmp6Types.neighbourAdvertisement] as const;

/** A layer 2 attachment: weft does not know its addresses. */
function openMatches({ port }: LocalPort): Match[] {
  return [{ ethType: etherTypes.arp, arpSha: port.mac }, { ethType: etherTypes.ipv4 }, { ethType: etherTypes.ipv6 }];
}

/** Everything but neighbour discovery. */
function ownMatches(local: LocalPort): Match[] {
  const arp = { ethType: etherTypes.arp, arpSha: local.port.mac };
  return [
    // RFC 5227 §2.1.1: a probe has no sender address.
    ...[...addresses4(local), unspecified4].map((address) => ({ ...arp, arpSpa: address })),
    ...addresses4(local).map((address) => ({ ethType: etherTypes.ipv4, ipv4Src: address })),
    ...addresses6(local).map((address) => ({ ethType: etherTypes.ipv6, ipv6Src: address })),
    // Multicast listener reports before an address is known (RFC 3810 §5.2.13).
    ...icmp6Types.listenerReports.map((type) => ({ ...icmp6(type), ipv6Src: unspecified6 })),
  ];
}

/** Duplicate address detection asks from the unspecified address for its own, without a link-layer address (RFC 4861 §7.1.1). */
function ownSolicitations(local: LocalPort): Match[] {
  return addresses6(local).map((address) => ({ ...discovery(icmp6Types.neighbourSolicitation), ipv6Src: unspecified6, ndTarget: address, ndSll: noMac }));
}

/** Its source address is the container's own, and so must be what it says: the MAC, and in an advertisement the target. */
function discoveryFlows(local: LocalPort, cookie: bigint): Flow[] {
  const { ofport, port } = local;
  const says = (match: Match): Flow => ({ table: tables.discovery, priority: priorities.discovery.own, match: { inPort: ofport, ...match }, instructions: { gotoTable: tables.limit }, cookie });
  return [port.mac, noMac].flatMap((mac) => [
    says({ ...discovery(icmp6Types.neighbourSolicitation), ndSll: mac }),
    ...addresses6(local).map((address) => says({ ...discovery(icmp6Types.neighbourAdvertisement), ndTarget: address, ndTll: mac })),
  ]);
}

/** The container's addresses of IPv4. */
export function addresses4({ port }: Pick<LocalPort, 'port'>): Address[] {
  return port.addresses.map(({ address }) => address).filter(({ family }) => family === 4);
}

/** Global addresses of IPv6, and the link-local one made from the MAC, which every container has. */
export function addresses6({ port }: Pick<LocalPort, 'port'>): Address[] {
  return [...port.addresses.map(({ address }) => address).filter(({ family }) => family === 6), eui64LinkLocal(port.mac)];
}
