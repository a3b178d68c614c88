/**
 * The isolation guard: what a container may send, what may come out of the tunnel, and what may reach the host. Pure.
 *
 * Two static tables, made with the node's first attachment and removed with its last. An attachment or a segment is only
 * elements of their sets, so an ADD adds elements and no rule, and rules do not grow with the node.
 *
 *   bridge weft   prerouting  every frame from a container's port: own MAC, own addresses, no ARP/ND lies, no tags
 *                 input       nothing from a tenant enters the host's IP stack, unless the tenant has a gateway here
 *   inet weft     prerouting  nothing enters the host past the bridge; bridged traffic stays out of connection tracking,
 *                             where equal addresses of two tenants meet
 *                 input       VXLAN for one of weft's VNIs is taken from that VNI's known VTEPs only
 *   inet weft-gateway         made with the first tenant that has a gateway: see gateway-rules.ts
 *
 * A port whose endpoint is on its way to this node is closed as well, and opened by its machine: see fromClosed().
 *
 * A container's port is recognised by its name's prefix, and one without an element is closed: there is no moment at which
 * a port exists and is not guarded, and a lost element is a broken container, not an open one.
 */
import type { NetlinkRequest } from '../../netlink/codec.ts';
import {
  addToSet, compare, counter, loadMeta, loadPayload, lookup, mask, noTrack, toHostOrder, verdict, type Expression, type PayloadField,
} from '../../nftables/expression.ts';
import { addChain, addRule, addSet, createTable, type KeyType, type TableName } from '../../nftables/nftables.ts';
import { bridgePrefix, portPrefix, sparesPrefix, vxlanPrefix } from '../../overlay/names.ts';

export const bridgeTable: TableName = { family: 'bridge', table: 'weft' };
export const inetTable: TableName = { family: 'inet', table: 'weft' };

/** The sets of `bridge weft`, by name. */
export const bridgeSets: Readonly<Record<string, readonly KeyType[]>> = {
  /** A container's port and its MAC. What is not here is closed. */
  ports: ['interfaceName', 'etherAddress'],
  /** Ports that are not in `ports` yet, and come there by the first frame that says where their machine is. */
  waiting: ['interfaceName', 'etherAddress'],
  addresses4: ['interfaceName', 'ipv4Address'],
  /** Global addresses and the link-local one made from the MAC. */
  addresses6: ['interfaceName', 'ipv6Address'],
  /** Ports of layer 2 attachments: weft does not know their addresses. */
  open: ['interfaceName'],
  /** Ports and VXLAN devices of tenants whose gateway is this host. */
  gateway_ports: ['interfaceName'],
  /** A VXLAN device and the MAC of its tenant's gateway, which every node has: it never comes in through the tunnel. */
  gateway_macs: ['interfaceName', 'etherAddress'],
};

/** The sets that rules add to. */
const dynamicSets: ReadonlySet<string> = new Set(['ports']);

/** The sets of `inet weft`, by name. A VNI is a mark: 24 bits of VNI and 8 of zero, as in the VXLAN header. */
export const inetSets: Readonly<Record<string, readonly KeyType[]>> = {
  segments: ['port', 'mark'],
  vteps4: ['ipv4Address', 'port', 'mark'],
  vteps6: ['ipv6Address', 'port', 'mark'],
  /** A tenant's bridge and its gateway's MAC. */
  gateways: ['interfaceName', 'etherAddress'],
};

/** Before everything else on the bridge, br_netfilter (0) included. */
const bridgePriority = -350;
/** Before defragmentation (−400): what is not tracked is not reassembled either. */
const rawPriority = -450;
/** Before other tables' filters (0), after connection tracking (−200) and mangle (−150). */
export const filterPriority = -140;

// Offsets in bytes: IEEE 802.3; RFC 826; RFC 791 §3.1; RFC 8200 §3; RFC 4443 §2.1; RFC 4861 §4; RFC 7348 §5.
const etherDestination: PayloadField = { base: 'link', offset: 0, length: 6 };
const etherSource: PayloadField = { base: 'link', offset: 6, length: 6 };
const etherType: PayloadField = { base: 'link', offset: 12, length: 2 };
const arpFormat: PayloadField = { base: 'network', offset: 0, length: 6 };
const arpSenderMac: PayloadField = { base: 'network', offset: 8, length: 6 };
const arpSenderAddress: PayloadField = { base: 'network', offset: 14, length: 4 };
const ip4Source: PayloadField = { base: 'network', offset: 12, length: 4 };
const ip6Length: PayloadField = { base: 'network', offset: 4, length: 2 };
const ip6NextHeader: PayloadField = { base: 'network', offset: 6, length: 1 };
const ip6Source: PayloadField = { base: 'network', offset: 8, length: 16 };
const icmp6Type: PayloadField = { base: 'transport', offset: 0, length: 1 };
const ndTarget: PayloadField = { base: 'transport', offset: 8, length: 16 };
export const udpDestination: PayloadField = { base: 'transport', offset: 2, length: 2 };
const vxlanVni: PayloadField = { base: 'transport', offset: 12, length: 3 };

const icmp6AdvertisementFlags: PayloadField = { base: 'transport', offset: 4, length: 1 };
const arpTargetAddress: PayloadField = { base: 'network', offset: 24, length: 4 };
const etherTypes = { ip4: 0x0800, arp: 0x0806, rarp: 0x8035, ip6: 0x86dd } as const;
const icmp6 = { routerSolicitation: 133, routerAdvertisement: 134, neighbourSolicitation: 135, neighbourAdvertisement: 136, redirect: 137 } as const;
const protocolIcmp6 = 58;
const protocolUdp = 17;
/** Ethernet and IPv4, six-byte and four-byte addresses: the only ARP there is on a tenant's network. */
const arpEthernetIp4 = Uint8Array.of(0, 1, 0x08, 0, 6, 4);

/** A 16-bit value in network byte order. */
export function bigEndian16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** Matches packets that came in through an interface whose name begins so. */
export function fromInterfaces(prefix: string): Expression[] {
  return [loadMeta('inputInterface'), compare('equal', Buffer.from(prefix))];
}

function isField(field: PayloadField, bytes: Uint8Array): Expression[] {
  return [loadPayload(field), compare('equal', bytes)];
}

/** Matches when interface and field are together in the set, or are not. */
function ofInterface(set: string, field: PayloadField, isIn: boolean): Expression[] {
  return [loadMeta('inputInterface'), loadPayload(field, { word: 4 }), lookup(set, { isIn })];
}

/** The end of a rule that refuses, and counts what it refused. */
export const drop = (): Expression[] => [counter(), verdict('drop')];
/** The end of a rule that lets pass. */
export const accept = (): Expression[] => [verdict('accept')];

/** The rules of a chain, in order. Chains are functions: encoding them takes milliseconds, which only a node's first ADD should pay. */
export type Rules = readonly (readonly Expression[])[];

const bridgePrerouting = (): Rules => [
  [...fromInterfaces(portPrefix), verdict('goto', 'from_container')],
  [...ofInterface('gateway_macs', etherSource, true), ...drop()],
];

const fromContainer = (): Rules => [
  [...ofInterface('ports', etherSource, false), verdict('goto', 'from_closed')],
  [...isField(etherType, bigEndian16(etherTypes.arp)), verdict('goto', 'from_container_arp')],
  // A virtual machine announces its move with RARP; its source MAC has been checked and it carries no address.
  [...isField(etherType, bigEndian16(etherTypes.rarp)), ...accept()],
  [...isField(etherType, bigEndian16(etherTypes.ip4)), ...ofInterface('addresses4', ip4Source, true), ...accept()],
  [...isField(etherType, bigEndian16(etherTypes.ip6)), verdict('goto', 'from_container_ip6')],
  [...isField(etherType, bigEndian16(etherTypes.ip4)), loadMeta('inputInterface'), lookup('open', { isIn: true }), ...accept()],
  // Everything else, VLAN tags among it: the type is read as it stands on the wire, before the kernel takes a tag off.
  drop(),
];

const fromContainerArp = (): Rules => [
  [loadPayload(arpFormat), compare('notEqual', arpEthernetIp4), ...drop()],
  [...ofInterface('ports', arpSenderMac, false), ...drop()],
  [...ofInterface('addresses4', arpSenderAddress, true), ...accept()],
  // RFC 5227 §2.1.1: a probe has no sender address.
  [...isField(arpSenderAddress, new Uint8Array(4)), ...accept()],
  [loadMeta('inputInterface'), lookup('open', { isIn: true }), ...accept()],
  drop(),
];

const fromContainerIp6 = (): Rules => [
  [loadMeta('inputInterface'), lookup('open', { isIn: true }), ...accept()],
  [loadMeta('l4Protocol'), compare('equal', Uint8Array.of(protocolIcmp6)), verdict('jump', 'from_container_icmp6')],
  [...ofInterface('addresses6', ip6Source, true), ...accept()],
  drop(),
];

/** Lets the frame pass, and from then on all of the port's that the rules of ports let pass. */
const open = (): Expression[] => [loadMeta('inputInterface'), loadPayload(etherSource, { word: 4 }), addToSet('ports'), ...accept()];

/**
 * The gate of a waiting port: it opens for the first frame by which the machine says where it is, and by nothing that a machine sends of its own
 * accord while it is being made ready: detection of duplicates, listener reports, solicitations. Of a port without addresses a gratuitous ARP
 * cannot be told from a request, for the rules of most kernels cannot compare two fields.
 */
const fromClosed = (): Rules => [
  [...ofInterface('waiting', etherSource, false), ...drop()],
  [...isField(etherType, bigEndian16(etherTypes.rarp)), ...open()],
  [...isField(etherType, bigEndian16(etherTypes.arp)), verdict('goto', 'from_waiting_arp')],
  ...[0, 8].map((optionBytes) => [
    ...isField(etherType, bigEndian16(etherTypes.ip6)), ...discovery(icmp6.neighbourAdvertisement, 24 + optionBytes), ...isUnsolicited(),
    ...(optionBytes === 0 ? [] : ownAddressOption(2, 24, 'waiting')), ...ofInterface('addresses6', ip6Source, true), ...ofInterface('addresses6', ndTarget, true), ...open(),
  ]),
  [
    ...isField(etherType, bigEndian16(etherTypes.ip6)), loadMeta('inputInterface'), lookup('open', { isIn: true }),
    ...discovery(icmp6.neighbourAdvertisement, 32), ...isUnsolicited(), ...ownAddressOption(2, 24, 'waiting'), ...open(),
  ],
  drop(),
];

/** RFC 5227 §1.1: an announcement asks for its sender's own address. */
const fromWaitingArp = (): Rules => [
  [loadPayload(arpFormat), compare('notEqual', arpEthernetIp4), ...drop()],
  [...ofInterface('waiting', arpSenderMac, true), ...ofInterface('addresses4', arpSenderAddress, true), ...ofInterface('addresses4', arpTargetAddress, true), ...open()],
  drop(),
];

/** RFC 4861 §4.4: the solicited flag is not set. */
function isUnsolicited(): Expression[] {
  return [loadPayload(icmp6AdvertisementFlags), mask(Uint8Array.of(0x40)), compare('equal', Uint8Array.of(0))];
}

/** An ICMPv6 message of the type, straight behind the IPv6 header, with this many bytes of message. */
function discovery(type: number, messageBytes: number): Expression[] {
  return [...isField(icmp6Type, Uint8Array.of(type)), ...isField(ip6NextHeader, Uint8Array.of(protocolIcmp6)), ...isField(ip6Length, bigEndian16(messageBytes))];
}

/** The message's only option is a link-layer address option of the kind (1 source, 2 target) with the port's own MAC; the set has it. */
function ownAddressOption(kind: number, offset: number, set = 'ports'): Expression[] {
  return [
    ...isField({ base: 'transport', offset, length: 2 }, Uint8Array.of(kind, 1)),
    ...ofInterface(set, { base: 'transport', offset: offset + 2, length: 6 }, true),
  ];
}

const unspecified = new Uint8Array(16);

/**
 * Neighbour discovery is taken only in the forms that cannot lie: no option, or one link-layer address option that names
 * the port's own MAC; no extension header to hide behind, a fragment's included (RFC 6980). Falls through (returns) for
 * ICMPv6 that is not neighbour discovery.
 */
const fromContainerIcmp6 = (): Rules => [
  [...discovery(icmp6.neighbourSolicitation, 24), ...ofInterface('addresses6', ip6Source, true), ...accept()],
  [...discovery(icmp6.neighbourSolicitation, 32), ...ownAddressOption(1, 24), ...ofInterface('addresses6', ip6Source, true), ...accept()],
  // Duplicate address detection asks from the unspecified address for its own, with a nonce or without (RFC 7527).
  [...isField(icmp6Type, Uint8Array.of(icmp6.neighbourSolicitation)), ...isField(ip6NextHeader, Uint8Array.of(protocolIcmp6)), ...isField(ip6Source, unspecified), ...ofInterface('addresses6', ndTarget, true), ...accept()],
  [...discovery(icmp6.neighbourAdvertisement, 24), ...ofInterface('addresses6', ip6Source, true), ...ofInterface('addresses6', ndTarget, true), ...accept()],
  [...discovery(icmp6.neighbourAdvertisement, 32), ...ownAddressOption(2, 24), ...ofInterface('addresses6', ip6Source, true), ...ofInterface('addresses6', ndTarget, true), ...accept()],
  [...discovery(icmp6.routerSolicitation, 8), ...isField(ip6Source, unspecified), ...accept()],
  [...discovery(icmp6.routerSolicitation, 8), ...ofInterface('addresses6', ip6Source, true), ...accept()],
  [...discovery(icmp6.routerSolicitation, 16), ...ownAddressOption(1, 8), ...ofInterface('addresses6', ip6Source, true), ...accept()],
  ...[icmp6.neighbourSolicitation, icmp6.neighbourAdvertisement, icmp6.routerSolicitation, icmp6.routerAdvertisement, icmp6.redirect].map((type) => [...isField(icmp6Type, Uint8Array.of(type)), ...drop()]),
  // Multicast listener reports before an address is known (RFC 3810 §5.2.13): types 131, 132 and 143.
  ...[131, 132, 143].map((type) => [...isField(icmp6Type, Uint8Array.of(type)), ...isField(ip6Source, unspecified), ...accept()]),
];

const bridgeInput = (): Rules => [
  // Frames to most of 01:80:c2:00:00:0x bypass prerouting and would enter the host as if they had come to the port itself.
  [...fromInterfaces(portPrefix), loadPayload(etherDestination), mask(Uint8Array.of(255, 255, 255, 255, 255, 0xf0)), compare('equal', Uint8Array.of(0x01, 0x80, 0xc2, 0, 0, 0)), ...drop()],
  [...fromInterfaces('weft-'), loadMeta('inputInterface'), lookup('gateway_ports', { isIn: false }), ...drop()],
];

const inetRaw = (): Rules => [
  // What the bridge has seen comes from the bridge's device. Frames to 01:80:c2:00:00:0e are handed to the host past all of
  // the bridge's hooks (net/bridge/br_input.c, br_handle_frame), as if they had come to the port itself; and so are all
  // frames of a port that somebody takes out of its bridge. A spare tunnel is in none, and receives nothing but what is forged.
  ...[portPrefix, vxlanPrefix, sparesPrefix].map((prefix) => [...fromInterfaces(prefix), ...drop()]),
  [...fromInterfaces(bridgePrefix), ...ofInterface('gateways', etherDestination, false), noTrack()],
];

/** Loads port and VNI into words 0 and 1, or behind an address of so many words. */
function loadPortAndVni(word: number): Expression[] {
  return [loadPayload(udpDestination, { word }), loadPayload(vxlanVni, { word: word + 1 }), toHostOrder({ word: word + 1 })];
}

/** Matches UDP over either family, behind any IPv6 extension headers. */
export const isUdp = (): Expression[] => [loadMeta('l4Protocol'), compare('equal', Uint8Array.of(protocolUdp))];

const inetInput = (): Rules => [
  [...isUdp(), ...loadPortAndVni(0), lookup('segments', { isIn: true }), verdict('goto', 'from_vtep')],
];

function fromVtep(source: PayloadField, set: string): Expression[] {
  const words = source.length / 4;
  return [loadMeta('networkFamily'), compare('equal', Uint8Array.of(words === 1 ? 2 : 10)), loadPayload(source), ...loadPortAndVni(words), lookup(set, { isIn: true }), ...accept()];
}

const inetFromVtep = (): Rules => [fromVtep(ip4Source, 'vteps4'), fromVtep(ip6Source, 'vteps6'), drop()];

function setsOf(table: TableName, sets: Readonly<Record<string, readonly KeyType[]>>): NetlinkRequest[] {
  return Object.entries(sets).map(([name, key], index) => addSet(table, { name, key, id: index + 1, isDynamic: table === bridgeTable && dynamicSets.has(name) }));
}

function rulesOf(table: TableName, chains: Readonly<Record<string, Rules>>): NetlinkRequest[] {
  return Object.entries(chains).flatMap(([chain, rules]) => rules.map((rule) => addRule(table, chain, rule)));
}

/** A table with its sets, chains and rules; EEXIST and nothing at all where it is there already. */
export function tableRequests(table: TableName, parts: { sets: Readonly<Record<string, readonly KeyType[]>>; hooks: readonly Parameters<typeof addChain>[1][]; chains: Readonly<Record<string, Rules>> }): NetlinkRequest[] {
  const hooked = new Set(parts.hooks.map((chain) => chain.name));
  const plain = Object.keys(parts.chains).filter((name) => !hooked.has(name)).map((name) => ({ name }));
  return [
    createTable(table),
    ...setsOf(table, parts.sets),
    ...[...parts.hooks, ...plain].map((chain) => addChain(table, chain)),
    ...rulesOf(table, parts.chains),
  ];
}

/** Both static tables, as one batch. */
export function guardTables(): NetlinkRequest[] {
  return [
    ...tableRequests(bridgeTable, {
      sets: bridgeSets,
      hooks: [
        { name: 'prerouting', hook: { point: 'prerouting', priority: bridgePriority, type: 'filter' } },
        { name: 'input', hook: { point: 'input', priority: bridgePriority, type: 'filter' } },
      ],
      chains: {
        prerouting: bridgePrerouting(),
        input: bridgeInput(),
        from_container: fromContainer(),
        from_closed: fromClosed(),
        from_waiting_arp: fromWaitingArp(),
        from_container_arp: fromContainerArp(),
        from_container_ip6: fromContainerIp6(),
        from_container_icmp6: fromContainerIcmp6(),
      },
    }),
    ...tableRequests(inetTable, {
      sets: inetSets,
      hooks: [
        { name: 'prerouting', hook: { point: 'prerouting', priority: rawPriority, type: 'filter' } },
        { name: 'input', hook: { point: 'input', priority: filterPriority, type: 'filter' } },
      ],
      chains: { prerouting: inetRaw(), input: inetInput(), from_vtep: inetFromVtep() },
    }),
  ];
}
