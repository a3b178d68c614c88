/**
 * Names of the kernel objects weft makes. Every name begins with `weft-`: the guard's rules match on these prefixes,
 * so that an interface which is weft's and has no entry in the guard is closed, not open.
 */
import { fnv1a64 } from '../digest/fnv.ts';
import { addressBytes, type Address, type Vni } from '../netaddr/netaddr.ts';
import type { AttachmentKey, Segment } from './model.ts';

/** A container's host interface: prefix and nine characters of digest, 15 in all (IFNAMSIZ − 1). */
export const portPrefix = 'weft-p';
export const bridgePrefix = 'weft-br';
export const vxlanPrefix = 'weft-vx';
/** What the names of links begin with out of which nothing may come into the host: of spare tunnels and stand-ins (spare.ts), of relays, of probe tunnels (probe.ts) and of detours (datapath/ovs/detour.ts), and of nothing else. */
export const sparesPrefix = 'weft-s';
export const sparePrefix = 'weft-sp';
export const sparePortPrefix = 'weft-sf';
/** The VXLAN device of frames that are relayed for endpoints on their way to another node. */
export const relayPrefix = 'weft-sr';
/** The VXLAN device by which the daemons of two nodes ask each other what reaches the other (probe.ts). */
export const probePrefix = 'weft-st';
/** The veth pair by which Open vSwitch sends what a tenant's containers send through its limit: what goes in here comes out there. */
export const detourPrefixes = { into: 'weft-sl', outOf: 'weft-so' } as const;
export const standInBridgePrefix = 'weft-sb';
export const standInVxlanPrefix = 'weft-sx';
export const standInPortPrefix = 'weft-se';

/** The device that limits what a container sends; the rest of the name is its host interface's. */
export const shaperPrefix = 'weft-i';

/** The devices that limit what all containers of a tenant on the node receive, and what they send. A VNI's digits are not those of a container's shaper, or fewer. */
export const tenantShaperPrefixes = { ingress: 'weft-it', egress: 'weft-if' } as const;

/** A tenant's shaper of a direction, as containers see it. */
export function tenantShaperName(vni: Vni, direction: keyof typeof tenantShaperPrefixes): string {
  return `${tenantShaperPrefixes[direction]}${vni}`;
}

/** The shaper of a host interface. */
export function shaperName(hostIf: string): string {
  return `${shaperPrefix}${hostIf.slice(portPrefix.length)}`;
}

/** The tenant's bridge; the longest VNI, 16777215, fills the 15 characters exactly. */
export function bridgeName(vni: Vni): string {
  return `${bridgePrefix}${vni}`;
}

/** The tenant's VXLAN device. */
export function vxlanName(vni: Vni): string {
  return `${vxlanPrefix}${vni}`;
}

/** The VXLAN device that takes over when the control plane's entries are gone; it is in no bridge. */
export function spareName(vni: Vni): string {
  return `${sparePrefix}${vni}`;
}

/** The bridge's port in front of the spare tunnel. */
export function sparePortName(vni: Vni): string {
  return `${sparePortPrefix}${vni}`;
}

/** The VXLAN device by which a tenant's relayed frames go and come; it is in no bridge. */
export function relayName(vni: Vni): string {
  return `${relayPrefix}${vni}`;
}

/** The ends of a tenant's detour. */
export function detourNames(vni: Vni): Readonly<Record<keyof typeof detourPrefixes, string>> {
  return { into: `${detourPrefixes.into}${vni}`, outOf: `${detourPrefixes.outOf}${vni}` };
}

/** The bridge that stands in for a tenant on Open vSwitch where BGP looks. */
export function standInBridgeName(vni: Vni): string {
  return `${standInBridgePrefix}${vni}`;
}

/** The VXLAN device that stands in for a tenant on Open vSwitch. */
export function standInVxlanName(vni: Vni): string {
  return `${standInVxlanPrefix}${vni}`;
}

/** The port of the stand-in's bridge at which the tenant's local endpoints seem to be. */
export function standInPortName(vni: Vni): string {
  return `${standInPortPrefix}${vni}`;
}

/** Digits of base 32, in lower case (RFC 4648 §6's alphabet). */
const digits = 'abcdefghijklmnopqrstuvwxyz234567';
const digitCount = 9;
const probeDigitCount = 8;

/**
 * The host interface of an attachment, the same for every call with the same key, so that DEL finds it without a ledger.
 * Nine base-32 digits are 45 bits: with 100,000 attachments on a node the chance of any collision is 1 in 7000, and the
 * ledger refuses one.
 */
export function portName(key: AttachmentKey): string {
  return portPrefix + digitsOf(keyDigest(key), digitCount);
}

/** The least significant digit first. */
function digitsOf(value: bigint, count: number): string {
  return Array.from({ length: count }, (_, index) => digits[Number((value >> BigInt(5 * index)) & 31n)]).join('');
}

/** The probe tunnel of a VTEP and UDP port. Of two with one name, at a chance of 2^-40, the second is refused as somebody else's. */
export function probeName(address: Address, port: number): string {
  return probePrefix + digitsOf(fnv1a64(Buffer.from([...addressBytes(address), port >> 8, port & 0xff])), probeDigitCount);
}

/** Whether a name is one that probeName() makes. */
export function isProbeName(name: string): boolean {
  return hasDigits(name, probePrefix, probeDigitCount);
}

function hasDigits(name: string, prefix: string, count: number): boolean {
  return name.length === prefix.length + count && name.startsWith(prefix) && [...name.slice(prefix.length)].every((digit) => digits.includes(digit));
}

/** Whether a name is one that portName(), or with shaperPrefix shaperName(), makes. */
export function isPortName(name: string, prefix: string = portPrefix): boolean {
  return hasDigits(name, prefix, digitCount);
}

/** Whether a name is one that bridgeName(), vxlanName(), spareName(), sparePortName(), relayName() or detourNames() makes, or one of a stand-in's, with their prefix. */
export function isSegmentName(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && /^[1-9][0-9]{0,7}$/.test(name.slice(prefix.length));
}

/** 64 bits that stand for an attachment; no two keys have the same text. */
export function keyDigest({ network, containerId, ifName }: AttachmentKey): bigint {
  return fnv1a64(Buffer.from(JSON.stringify([network, containerId, ifName])));
}

/** The description of a tenant's links that are no container's. */
export function segmentAlias({ tenant, vni }: Pick<Segment, 'tenant' | 'vni'>): string {
  return `weft tenant ${tenant} VNI ${vni}`;
}

const aliasBytesMax = 255;

/** The description of a host interface, for the person who reads `ip link`. */
export function portAlias(key: AttachmentKey, tenant: string, pod?: string): string {
  const who = pod === undefined ? '' : ` pod ${pod}`;
  // CNI_ARGS are the caller's: nothing in them may write on somebody's terminal.
  return truncateBytes(printable(`weft tenant ${tenant} network ${key.network}${who} container ${key.containerId} ${key.ifName}`), aliasBytesMax);
}

function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function truncateBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  return bytes.length <= bytesMax ? text : new TextDecoder().decode(bytes.subarray(0, bytesMax)).replace(/\uFFFD+$/, '');
}
