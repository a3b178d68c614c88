/** Routes: the requests of `ip route`. Pure. */
import { addressBits, addressBytes, addressFromBytes, formatAddress, formatPrefix, type Address, type Family, type Prefix } from '../netaddr/netaddr.ts';
import { familyNumbers } from './address.ts';
import { attribute, attributeNested, attributeU32, decodeAttributes, type Attributes, type NetlinkMessage, type NetlinkRequest } from './codec.ts';
import { createExclusive } from './link.ts';

// include/uapi/linux/rtnetlink.h
/** NLM_F_CREATE | NLM_F_REPLACE. */
const createReplace = 0x400 | 0x100;
const rtmNewRoute = 24;
const rtmGetRoute = 26;
const rta = { dst: 1, src: 2, inputIf: 3, oif: 4, gateway: 5, priority: 6, preferredSource: 7, metrics: 8, multipath: 9, table: 15 } as const;
/** RTM_F_FIB_MATCH: the answer is the route itself, and not what a packet would get by it. */
const fibMatch = 0x2000;
/** struct rtnexthop: length (16 bits), flags, hops, index of the link. */
const nextHopBytes = 8;
const metricMtu = 2;
const metricAdvmss = 8;
const headerBytes = 12;
export const tableMain = 254;
const protocolStatic = 4;
const scopeUniverse = 0;
const scopeLink = 253;
const typeUnicast = 1;

/** A route as weft gives it to the kernel. */
export interface RouteSettings {
  readonly dst: Prefix;
  readonly gateway?: Address;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}

/** A route as the kernel describes it. */
export interface KernelRoute {
  readonly dst: Prefix;
  readonly gateway?: Address;
  /** Index of the outgoing link; absent for routes that have none (blackhole) or several. */
  readonly index?: number;
  readonly table: number;
  readonly isUnicast: boolean;
  readonly priority: number;
  /** Indexes of the links of a route that has several next hops. */
  readonly nextHops?: readonly number[];
  /** Bytes; the route's own `mtu` metric. Absent: its link's MTU counts. */
  readonly mtu?: number;
}

/** struct rtmsg. */
function routeHeader(options: { family: Family; length?: number; sourceLength?: number; table?: number; scope?: number; protocol?: number; type?: number; flags?: number }): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(familyNumbers[options.family], 0);
  bytes.writeUInt8(options.length ?? 0, 1);
  bytes.writeUInt8(options.sourceLength ?? 0, 2);
  // One byte is too small for every table; RTA_TABLE carries the number that counts.
  bytes.writeUInt8((options.table ?? 0) <= 255 ? (options.table ?? 0) : 0, 4);
  bytes.writeUInt8(options.protocol ?? 0, 5);
  bytes.writeUInt8(options.scope ?? 0, 6);
  bytes.writeUInt8(options.type ?? 0, 7);
  bytes.writeUInt32LE(options.flags ?? 0, 8);
  return bytes;
}

/** Equivalent to: `ip route add DST [via GATEWAY] dev LINK [metric P] [mtu M] [advmss A] [table T] [scope S]`. */
export function addRoute(index: number, route: RouteSettings): NetlinkRequest {
  const { family, length, base } = route.dst;
  const table = route.table ?? tableMain;
  const scope = route.scope ?? (route.gateway === undefined ? scopeLink : scopeUniverse);
  const parts = [
    routeHeader({ family, length, table, scope, protocol: protocolStatic, type: typeUnicast }),
    attributeU32(rta.table, table),
    attributeU32(rta.oif, index),
  ];
  if (length > 0) parts.push(attribute(rta.dst, addressBytes({ family, value: base })));
  if (route.gateway !== undefined) parts.push(attribute(rta.gateway, addressBytes(route.gateway)));
  if (route.priority !== undefined) parts.push(attributeU32(rta.priority, route.priority));
  const metrics: Uint8Array[] = [];
  if (route.mtu !== undefined) metrics.push(attributeU32(metricMtu, route.mtu));
  if (route.advmss !== undefined) metrics.push(attributeU32(metricAdvmss, route.advmss));
  if (metrics.length > 0) parts.push(attributeNested(rta.metrics, metrics));
  return { type: rtmNewRoute, flags: createExclusive, payload: Buffer.concat(parts), what: `add route ${formatPrefix(route.dst)}` };
}

/** Equivalent to: `ip route replace …`, as addRoute(): in the place of another one to the same destination with the same priority. */
export function replaceRoute(index: number, route: RouteSettings): NetlinkRequest {
  return { ...addRoute(index, route), flags: createReplace };
}

/** Equivalent to: `ip -4|-6 route show table TABLE`. A dump. */
export function listRoutes(family: Family, table: number = tableMain): NetlinkRequest {
  const payload = Buffer.concat([routeHeader({ family }), attributeU32(rta.table, table)]);
  return { type: rtmGetRoute, flags: 0, payload, what: `list IPv${family} routes` };
}

/** Equivalent to: `ip route get ADDRESS`; ENETUNREACH where no route leads there. */
export function getRouteTo(address: Address): NetlinkRequest {
  const payload = Buffer.concat([routeHeader({ family: address.family, length: addressBits[address.family] }), attribute(rta.dst, addressBytes(address))]);
  return { type: rtmGetRoute, flags: 0, payload, what: `look up the route to ${formatAddress(address)}` };
}

/**
 * Equivalent to: `ip route get ADDRESS from SOURCE iif LINK`: what the kernel would do with a packet that came in by the link, and why it would
 * not forward it: EHOSTUNREACH (forwarding is off, or nobody is there), ENETUNREACH (no route), EXDEV or EINVAL (rp_filter; which of them depends on the kernel).
 */
export function getInputRoute(address: Address, { source, index }: { readonly source: Address; readonly index: number }): NetlinkRequest {
  const bits = addressBits[address.family];
  const header = routeHeader({ family: address.family, length: bits, sourceLength: bits });
  const payload = Buffer.concat([header, attribute(rta.dst, addressBytes(address)), attribute(rta.src, addressBytes(source)), attributeU32(rta.inputIf, index)]);
  return { type: rtmGetRoute, flags: 0, payload, what: `look up the route of packets from ${formatAddress(source)} to ${formatAddress(address)}` };
}

/** enum of rtm_type, include/uapi/linux/rtnetlink.h. */
const routeTypes = ['unspecified', 'unicast', 'local', 'broadcast', 'anycast', 'multicast', 'blackhole', 'unreachable', 'prohibit', 'throw', 'nat'] as const;
export type RouteType = (typeof routeTypes)[number];

/** What a packet would get: the answer to getRouteTo() and getInputRoute(). */
export interface RouteLookup {
  readonly route: KernelRoute;
  readonly type: RouteType;
  /** The source address that the kernel would choose. */
  readonly source?: Address;
}

/** The answer to a look-up; undefined for families other than IPv4 and IPv6. */
export function decodeRouteLookup(message: NetlinkMessage): RouteLookup | undefined {
  const route = decodeRoute(message);
  if (route === undefined) return undefined;
  const source = decodeAttributes(message.payload, headerBytes).get(rta.preferredSource);
  return { route, type: routeTypes[message.payload.readUInt8(7)] ?? 'unspecified', ...(source === undefined ? {} : { source: addressFromBytes(source) }) };
}

/**
 * Equivalent to: `ip route get fibmatch ADDRESS from SOURCE`; ENETUNREACH where no route leads there. The route as it is written down: of
 * several next hops all of them, and not what the kernel has learned of the path since (net/ipv4/route.c, inet_rtm_getroute).
 */
export function matchRouteTo(address: Address, source: Address): NetlinkRequest {
  const bits = addressBits[address.family];
  const header = routeHeader({ family: address.family, length: bits, sourceLength: bits, flags: fibMatch });
  return { type: rtmGetRoute, flags: 0, payload: Buffer.concat([header, attribute(rta.dst, addressBytes(address)), attribute(rta.src, addressBytes(source))]), what: `look up the route to ${formatAddress(address)}` };
}

/** The route a RTM_NEWROUTE message describes; undefined for families other than IPv4 and IPv6. */
export function decodeRoute(message: NetlinkMessage): KernelRoute | undefined {
  const { payload } = message;
  const family = payload.readUInt8(0) === familyNumbers[4] ? 4 : payload.readUInt8(0) === familyNumbers[6] ? 6 : undefined;
  if (family === undefined) return undefined;
  const attributes = decodeAttributes(payload, headerBytes);
  const dst = attributes.get(rta.dst);
  const gateway = attributes.get(rta.gateway);
  const index = attributes.get(rta.oif)?.readUInt32LE(0);
  return {
    dst: { family, base: dst === undefined ? 0n : addressFromBytes(dst).value, length: payload.readUInt8(1) },
    table: attributes.get(rta.table)?.readUInt32LE(0) ?? payload.readUInt8(4),
    isUnicast: payload.readUInt8(7) === typeUnicast,
    priority: attributes.get(rta.priority)?.readUInt32LE(0) ?? 0,
    ...(gateway === undefined ? {} : { gateway: addressFromBytes(gateway) }),
    ...(index === undefined ? {} : { index }),
    ...decodeWays(attributes),
  };
}

/** What most routes do not have. */
function decodeWays(attributes: Attributes): Pick<KernelRoute, 'nextHops' | 'mtu'> {
  const [multipath, metrics] = [attributes.get(rta.multipath), attributes.get(rta.metrics)];
  const mtu = metrics === undefined ? undefined : decodeAttributes(metrics).get(metricMtu)?.readUInt32LE(0);
  return { ...(multipath === undefined ? {} : { nextHops: decodeNextHops(multipath) }), ...(mtu === undefined || mtu === 0 ? {} : { mtu }) };
}

/** Their lengths are multiples of four (include/uapi/linux/rtnetlink.h, RTNH_ALIGN). */
function decodeNextHops(bytes: Buffer): number[] {
  const indexes: number[] = [];
  for (let at = 0; at + nextHopBytes <= bytes.length;) {
    indexes.push(bytes.readInt32LE(at + 4));
    at += Math.max(nextHopBytes, (bytes.readUInt16LE(at) + 3) & ~3);
  }
  return indexes;
}
