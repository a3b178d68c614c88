/** Links: the requests of `ip link` and `bridge link` that weft needs, and what the kernel says of a link. Pure. */
import { addressBytes, addressFromBytes, macBytes, macFromBytes, type Address, type Mac } from '../netaddr/netaddr.ts';
import { decodeBridgeOptions, decodePortOptions, encodeBridgeOptions, encodePortOptions, type BridgeOptions, type BridgePortOptions } from './bridge-options.ts';
import {
  attribute, attributeBe16, attributeNested, attributeString, attributeU8, attributeU32, decodeAttributes, decodeString,
  type Attributes, type NetlinkMessage, type NetlinkRequest,
} from './codec.ts';

// include/uapi/linux/rtnetlink.h
const rtmNewLink = 16;
const rtmDelLink = 17;
const rtmGetLink = 18;
/** NLM_F_CREATE | NLM_F_EXCL: make it, and refuse if it is there. */
export const createExclusive: number = 0x400 | 0x200;
// include/uapi/linux/if_link.h
const ifla = { address: 1, ifName: 3, mtu: 4, link: 5, master: 10, protInfo: 12, txQueueLength: 13, linkInfo: 18, ifAlias: 20, afSpec: 26, group: 27, netnsFd: 28, extMask: 29, linkNetnsid: 37 } as const;
const infoKind = 1;
const infoData = 2;
const infoSlaveKind = 4;
const infoSlaveData = 5;
const vethInfoPeer = 1;
const vxlan = { id: 1, ttl: 5, learning: 7, local: 4, local6: 17, port: 15, udpCsum: 18, df: 29 } as const;
/** VXLAN_DF_SET. */
const dfSet = 1;
const bridge = { forwardDelay: 1, stpState: 5, multicastSnooping: 23 } as const;
const inet6AddrGenMode = 8;
const addrGenModeNone = 1;
const afBridge = 7;
const afInet6 = 10;
const afInet = 2;
/** IFLA_INET_CONF, include/uapi/linux/if_link.h: sysctls of the link by their IPV4_DEVCONF_* of include/uapi/linux/ip.h. */
const inetConf = 1;
const devconfArpIgnore = 19;
/** Documentation/networking/ip-sysctl.rst, arp_ignore: "do not reply for all local addresses". */
const arpIgnoreAll = 8;
/** IFF_UP, include/uapi/linux/if.h. */
const flagUp = 0x1;
/** IFF_NOARP, include/uapi/linux/if.h. */
const flagNoArp = 0x80;
const flagPromiscuous = 0x100;
const infoMessageBytes = 16;

/** A link as the kernel describes it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly mac?: Mac;
  /** Index of the bridge it is a port of. */
  readonly master?: number;
  readonly kind?: string;
  readonly alias?: string;
  /** Number of its link group; 0 is the default one. */
  readonly group?: number;
  /** Index of the link it stands on, or of its other end (a veth's peer), in the namespace where that is; absent: its own. */
  readonly lower?: number;
  /** Id of the namespace its other end is in, as the link's own namespace numbers it (a veth's peer); absent: the same namespace. */
  readonly linkNetnsid?: number;
  readonly vxlan?: VxlanSettings;
  /** Whether the host speaks no ARP on it. */
  readonly isArpOff?: boolean;
  /** Whether the host answers no ARP on it, while others may be answered there in their name (sysctl arp_ignore is 8). */
  readonly isArpIgnored?: boolean;
  /** Whether the kernel gives it a link-local IPv6 address of its own accord; absent: the kernel has no IPv6. */
  readonly hasLinkLocal?: boolean;
  /** Options of a bridge. */
  readonly bridge?: BridgeOptions;
  /** Options of a bridge's port. */
  readonly port?: BridgePortOptions;
}

/** What a VXLAN device was made with. */
export interface VxlanSettings {
  readonly vni: number;
  readonly local?: Address;
  readonly port: number;
  readonly learning: boolean;
}

/** struct ifinfomsg. */
function linkHeader(options: { index?: number; flags?: number; change?: number } = {}): Uint8Array {
  const bytes = Buffer.alloc(infoMessageBytes);
  bytes.writeInt32LE(options.index ?? 0, 4);
  bytes.writeUInt32LE(options.flags ?? 0, 8);
  bytes.writeUInt32LE(options.change ?? 0, 12);
  return bytes;
}

function newLink(what: string, parts: readonly Uint8Array[], flags = createExclusive): NetlinkRequest {
  return { type: rtmNewLink, flags, payload: Buffer.concat(parts), what };
}

/** RTEXT_FILTER_SKIP_STATS: two thirds of what the kernel says of a link are counters. */
const withoutCounters = attributeU32(ifla.extMask, 1 << 3);

/** Equivalent to: `ip link show dev NAME`. */
export function getLink(name: string): NetlinkRequest {
  return { type: rtmGetLink, flags: 0, payload: Buffer.concat([linkHeader(), attributeString(ifla.ifName, name), withoutCounters]), what: `read link ${name}` };
}

/** Equivalent to: `ip link show` for one index. */
export function getLinkByIndex(index: number): NetlinkRequest {
  return { type: rtmGetLink, flags: 0, payload: Buffer.concat([linkHeader({ index }), withoutCounters]), what: `read link number ${index}` };
}

/** Equivalent to: `ip link show`; with `master`, only the ports of that bridge. A dump. */
export function listLinks(options: { master?: number } = {}): NetlinkRequest {
  const parts = [linkHeader(), withoutCounters];
  if (options.master !== undefined) parts.push(attributeU32(ifla.master, options.master));
  return { type: rtmGetLink, flags: 0, payload: Buffer.concat(parts), what: 'list links' };
}

/** Equivalent to: `ip link add NAME address MAC mtu MTU type bridge stp_state 0 forward_delay 0 mcast_snooping 0`. */
export function addBridge(options: { name: string; mac: Mac; mtu: number }): NetlinkRequest {
  const data = [attributeU32(bridge.stpState, 0), attributeU32(bridge.forwardDelay, 0), attributeU8(bridge.multicastSnooping, 0)];
  return newLink(`add bridge ${options.name}`, [
    linkHeader(),
    attributeString(ifla.ifName, options.name),
    attribute(ifla.address, macBytes(options.mac)),
    attributeU32(ifla.mtu, options.mtu),
    attributeNested(ifla.linkInfo, [attributeString(infoKind, 'bridge'), attributeNested(infoData, data)]),
  ]);
}

export interface VxlanOptions {
  readonly name: string;
  readonly vni: number;
  readonly local: Address;
  /** UDP port. */
  readonly port: number;
  readonly mtu: number;
  /** Whether it learns where MACs are from the frames that arrive. */
  readonly learning: boolean;
  /** Index of its bridge; absent: it is a port of none. */
  readonly master?: number;
  /** Nobody on the way may fragment what it sends (over IPv4: IPv6 has no such thing); absent: the kernel's default, routers may. */
  readonly isWhole?: true;
}

/**
 * Equivalent to: `ip link add NAME mtu MTU [master BRIDGE] type vxlan id VNI local ADDRESS dstport PORT [no]learning [df set]`.
 * Without `dev`: with it the kernel would cap the device's MTU below what the bridge needs. Over IPv4 the outer UDP checksum
 * is zero, as RFC 7348 §5 asks; over IPv6 it is kept.
 */
export function addVxlan(options: VxlanOptions): NetlinkRequest {
  const data = [
    attributeU32(vxlan.id, options.vni),
    attribute(options.local.family === 4 ? vxlan.local : vxlan.local6, addressBytes(options.local)),
    attributeU8(vxlan.learning, options.learning ? 1 : 0),
    attributeBe16(vxlan.port, options.port),
  ];
  if (options.local.family === 4) data.push(attributeU8(vxlan.udpCsum, 0));
  if (options.isWhole === true) data.push(attributeU8(vxlan.df, dfSet));
  return newLink(`add VXLAN device ${options.name}`, [
    linkHeader(),
    attributeString(ifla.ifName, options.name),
    attributeU32(ifla.mtu, options.mtu),
    ...(options.master === undefined ? [] : [attributeU32(ifla.master, options.master)]),
    attributeNested(ifla.linkInfo, [attributeString(infoKind, 'vxlan'), attributeNested(infoData, data)]),
  ]);
}

export interface VethOptions {
  readonly name: string;
  readonly mtu: number;
  /** Index of its bridge; absent: it is a port of none. */
  readonly master?: number;
  /** Without a namespace it stays in the link's own; without a MAC it gets one. */
  readonly peer: { readonly name: string; readonly mac?: Mac; readonly netnsFd?: number };
}

/**
 * Equivalent to: `ip link add NAME mtu MTU master BRIDGE type veth peer name PEER address MAC mtu MTU netns NETNS`.
 * The peer is made in its final namespace under its final name: nothing is moved or renamed afterwards.
 */
export function addVeth(options: VethOptions): NetlinkRequest {
  const peer = Buffer.concat([
    linkHeader(),
    attributeString(ifla.ifName, options.peer.name),
    ...(options.peer.mac === undefined ? [] : [attribute(ifla.address, macBytes(options.peer.mac))]),
    attributeU32(ifla.mtu, options.mtu),
    ...(options.peer.netnsFd === undefined ? [] : [attributeU32(ifla.netnsFd, options.peer.netnsFd)]),
  ]);
  return newLink(`add veth ${options.name} with peer ${options.peer.name}`, [
    linkHeader(),
    attributeString(ifla.ifName, options.name),
    attributeU32(ifla.mtu, options.mtu),
    ...(options.master === undefined ? [] : [attributeU32(ifla.master, options.master)]),
    attributeNested(ifla.linkInfo, [attributeString(infoKind, 'veth'), attributeNested(infoData, [attribute(vethInfoPeer, peer)])]),
  ]);
}

/** Equivalent to: `ip link add NAME type ifb`: what is sent to it comes back as received. */
export function addIfb(name: string): NetlinkRequest {
  return newLink(`add ifb ${name}`, [linkHeader(), attributeString(ifla.ifName, name), attributeNested(ifla.linkInfo, [attributeString(infoKind, 'ifb')])]);
}

/** Equivalent to: `ip link set dev NAME addrgenmode none`. Must come before the link is up to keep it from link-local IPv6. */
export function setNoLinkLocal(name: string): NetlinkRequest {
  const inet6 = attributeNested(afInet6, [attributeU8(inet6AddrGenMode, addrGenModeNone)]);
  return newLink(`set addrgenmode of ${name}`, [linkHeader(), attributeString(ifla.ifName, name), attributeNested(ifla.afSpec, [inet6])], 0);
}

export interface LinkChange {
  readonly isUp?: boolean;
  /** Whether the host neither asks nor answers ARP on the link. */
  readonly isArpOff?: boolean;
  /** True: the host answers no ARP on the link (sysctl arp_ignore is 8). */
  readonly isArpIgnored?: true;
  /** Whether it receives frames to any MAC. */
  readonly isPromiscuous?: boolean;
  readonly mtu?: number;
  /** Packets that may wait in each of its queues that are made from now on. */
  readonly queueLength?: number;
  readonly alias?: string;
  readonly mac?: Mac;
  /** Index of its bridge; 0: it is to be a port of none. */
  readonly master?: number;
  /** Number of its link group; what is in one group can be deleted together. */
  readonly group?: number;
  /** Of a bridge. */
  readonly bridge?: BridgeOptions;
  /** Of a VXLAN device: whether it learns where MACs are. */
  readonly vxlanLearning?: boolean;
  /** Settings of the link as a bridge's port. */
  readonly port?: BridgePortOptions;
}

/** Equivalent to: `ip link set dev NAME [up|down] [arp off|on] [mtu M] [txqueuelen Q] [alias A] [master B] [address MAC] [group G] [type bridge … | vxlan [no]learning | bridge_slave …]`. */
export function setLink(name: string, change: LinkChange): NetlinkRequest {
  const wanted = [[flagUp, change.isUp], [flagNoArp, change.isArpOff], [flagPromiscuous, change.isPromiscuous]] as const;
  const bits = (isWanted: (state: boolean | undefined) => boolean): number => wanted.reduce((flags, [flag, state]) => (isWanted(state) ? flags | flag : flags), 0);
  const flags = bits((state) => state === true);
  const parts = [linkHeader({ flags, change: bits((state) => state !== undefined) }), attributeString(ifla.ifName, name)];
  for (const [type, value] of [[ifla.mtu, change.mtu], [ifla.txQueueLength, change.queueLength], [ifla.master, change.master], [ifla.group, change.group]] as const) if (value !== undefined) parts.push(attributeU32(type, value));
  if (change.alias !== undefined) parts.push(attribute(ifla.ifAlias, Buffer.from(change.alias)));
  if (change.mac !== undefined) parts.push(attribute(ifla.address, macBytes(change.mac)));
  if (change.isArpIgnored === true) parts.push(attributeNested(ifla.afSpec, [attributeNested(afInet, [attributeNested(inetConf, [attributeU32(devconfArpIgnore, arpIgnoreAll)])])]));
  const info = kindInfo(change);
  if (info.length > 0) parts.push(attributeNested(ifla.linkInfo, info));
  return newLink(`set link ${name}`, parts, 0);
}

function kindInfo({ bridge: options, vxlanLearning, port }: LinkChange): Uint8Array[] {
  return [
    ...(options === undefined ? [] : [attributeString(infoKind, 'bridge'), attributeNested(infoData, encodeBridgeOptions(options))]),
    ...(vxlanLearning === undefined ? [] : [attributeString(infoKind, 'vxlan'), attributeNested(infoData, [attributeU8(vxlan.learning, vxlanLearning ? 1 : 0)])]),
    ...(port === undefined ? [] : [attributeString(infoSlaveKind, 'bridge'), attributeNested(infoSlaveData, encodePortOptions(port))]),
  ];
}

/** Equivalent to: `ip link set dev NAME group GROUP`, for one index: the name may be another link's by now. */
export function setLinkGroup(index: number, group: number): NetlinkRequest {
  return newLink(`set the group of link number ${index}`, [linkHeader({ index }), attributeU32(ifla.group, group)], 0);
}

/** Equivalent to: `ip link del dev NAME`. Of a veth both ends go. */
export function delLink(name: string): NetlinkRequest {
  return { type: rtmDelLink, flags: 0, payload: Buffer.concat([linkHeader(), attributeString(ifla.ifName, name)]), what: `delete link ${name}` };
}

/**
 * Equivalent to: `ip link del group GROUP`. One grace period of the kernel for all of them, instead of one (10–40 ms) for
 * each. ENODEV where the group is empty.
 */
export function delLinkGroup(group: number): NetlinkRequest {
  return { type: rtmDelLink, flags: 0, payload: Buffer.concat([linkHeader(), attributeU32(ifla.group, group)]), what: `delete link group ${group}` };
}

/**
 * Whether a message says that a link is gone. Not every RTM_DELLINK does: one of the bridge's family says that a port left its
 * bridge, and the link may well be there.
 */
export function isLinkGone({ type, payload }: NetlinkMessage): boolean {
  const afBridge = 7;
  return type === rtmDelLink && payload[0] !== afBridge;
}

/** The link a RTM_NEWLINK or RTM_DELLINK message describes. */
export function decodeLink(message: NetlinkMessage): Link {
  const { payload } = message;
  const attributes = decodeAttributes(payload, infoMessageBytes);
  const info = attributes.get(ifla.linkInfo);
  const infoAttributes = info === undefined ? undefined : decodeAttributes(info);
  const kind = decodeString(infoAttributes?.get(infoKind));
  const mac = attributes.get(ifla.address);
  const master = attributes.get(ifla.master)?.readUInt32LE(0);
  const alias = decodeString(attributes.get(ifla.ifAlias));
  const data = infoAttributes?.get(infoData);
  const group = attributes.get(ifla.group)?.readUInt32LE(0);
  const lower = attributes.get(ifla.link)?.readUInt32LE(0);
  const linkNetnsid = attributes.get(ifla.linkNetnsid)?.readInt32LE(0);
  return {
    index: payload.readInt32LE(4),
    name: decodeString(attributes.get(ifla.ifName)) ?? '',
    isUp: (payload.readUInt32LE(8) & flagUp) !== 0,
    mtu: attributes.get(ifla.mtu)?.readUInt32LE(0) ?? 0,
    ...(mac?.length === 6 ? { mac: macFromBytes(mac) } : {}),
    ...(master === undefined ? {} : { master }),
    ...(kind === undefined ? {} : { kind }),
    ...(alias === undefined ? {} : { alias }),
    ...(group === undefined ? {} : { group }),
    ...(lower === undefined ? {} : { lower }),
    ...(linkNetnsid === undefined ? {} : { linkNetnsid }),
    ...(kind === 'vxlan' && data !== undefined ? { vxlan: decodeVxlan(data) } : {}),
    ...(kind === 'bridge' && data !== undefined ? { bridge: decodeBridgeOptions(data) } : {}),
    ...decodePortState(payload, { attributes, info: infoAttributes }),
  };
}

/** What is absent in most links is no property. */
function decodePortState(payload: Buffer, { attributes, info }: { attributes: Attributes; info: Attributes | undefined }): Pick<Link, 'isArpOff' | 'isArpIgnored' | 'hasLinkLocal' | 'port'> {
  const afSpec = attributes.get(ifla.afSpec);
  const inet = afSpec === undefined ? undefined : decodeAttributes(afSpec).get(afInet);
  // An array of 32-bit numbers, of which the first is number 1.
  const sysctls = inet === undefined ? undefined : decodeAttributes(inet).get(inetConf);
  const isArpIgnored = sysctls !== undefined && sysctls.length >= devconfArpIgnore * 4 && sysctls.readUInt32LE((devconfArpIgnore - 1) * 4) === arpIgnoreAll;
  const inet6 = afSpec === undefined ? undefined : decodeAttributes(afSpec).get(afInet6);
  const mode = inet6 === undefined ? undefined : decodeAttributes(inet6).get(inet6AddrGenMode);
  const slave = decodeString(info?.get(infoSlaveKind)) === 'bridge' ? info?.get(infoSlaveData) : payload[0] === afBridge ? attributes.get(ifla.protInfo) : undefined;
  return {
    ...((payload.readUInt32LE(8) & flagNoArp) === 0 ? {} : { isArpOff: true }),
    ...(isArpIgnored ? { isArpIgnored } : {}),
    ...(mode === undefined ? {} : { hasLinkLocal: mode[0] !== addrGenModeNone }),
    ...(slave === undefined ? {} : { port: decodePortOptions(slave) }),
  };
}

function decodeVxlan(data: Buffer): VxlanSettings {
  const attributes = decodeAttributes(data);
  const local = attributes.get(vxlan.local) ?? attributes.get(vxlan.local6);
  return {
    vni: attributes.get(vxlan.id)?.readUInt32LE(0) ?? 0,
    port: attributes.get(vxlan.port)?.readUInt16BE(0) ?? 0,
    learning: attributes.get(vxlan.learning)?.readUInt8(0) === 1,
    ...(local === undefined ? {} : { local: addressFromBytes(local) }),
  };
}

/** The name of the link that an event is about; cheaper than all of decodeLink(). */
export function decodeLinkName({ payload }: NetlinkMessage): string {
  return decodeString(decodeAttributes(payload, infoMessageBytes).get(ifla.ifName)) ?? '';
}

/** The index of the link that a message is about. */
export function linkIndexOf({ payload }: NetlinkMessage): number {
  return payload.readInt32LE(4);
}
