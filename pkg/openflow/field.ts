/**
 * The fields of packets and of their way through the switch: what flows match, and what actions set, move and load. Pure.
 *
 * A field has a header of 32 bits in front of its value (OXM, OpenFlow 1.3.5 §7.2.3.2): 16 bits class, 7 bits number, 1 bit "a mask
 * follows", 8 bits length. Open vSwitch knows most standard fields by a second, older header as well (NXM, nicira-ext.h and meta-flow.h),
 * under which it lists them in some actions. A field that is not in the table is carried along as bytes.
 */
import { addressBytes, addressFromBytes, macBytes, macFromBytes, type Address, type Mac } from '../netaddr/netaddr.ts';

/** OXM classes: OFPXMC_OPENFLOW_BASIC, Nicira's two, and Ericsson's, in which Open vSwitch keeps two fields of neighbour discovery. */
const classes = { basic: 0x8000, nxmOf: 0x0000, nxmNx: 0x0001, ericsson: 0x1000 } as const;

interface FieldShape {
  readonly kind: keyof Values;
  /** Width of the value; on the wire it is rounded up to bytes. */
  readonly bits: number;
  /** The class and number it is matched and set by. */
  readonly oxm: readonly [keyof typeof classes, number];
  /** The class and number of the older header, where there is another. */
  readonly nxm?: readonly [keyof typeof classes, number];
  /** The name ovs-ofctl(8) has for it in matches. */
  readonly text: string;
  /** The name in actions, where that differs. */
  readonly actionText?: string;
  /** How ovs-ofctl(8) prints a number. */
  readonly base?: 10 | 16;
}

/** What the value of a field is in memory. `wide` has 64 bits. */
interface Values {
  readonly number: number;
  readonly wide: bigint;
  readonly mac: Mac;
  readonly address: Address;
}

/** In the order in which ovs-ofctl(8) prints them. Numbers: OpenFlow 1.3.5 §7.2.3.7 (basic), nicira-ext.h and meta-flow.h of Open vSwitch 3.1. */
export const fields = {
  reg0: { kind: 'number', bits: 32, oxm: ['nxmNx', 0], text: 'reg0', base: 16 },
  reg1: { kind: 'number', bits: 32, oxm: ['nxmNx', 1], text: 'reg1', base: 16 },
  reg2: { kind: 'number', bits: 32, oxm: ['nxmNx', 2], text: 'reg2', base: 16 },
  reg3: { kind: 'number', bits: 32, oxm: ['nxmNx', 3], text: 'reg3', base: 16 },
  reg4: { kind: 'number', bits: 32, oxm: ['nxmNx', 4], text: 'reg4', base: 16 },
  reg5: { kind: 'number', bits: 32, oxm: ['nxmNx', 5], text: 'reg5', base: 16 },
  reg6: { kind: 'number', bits: 32, oxm: ['nxmNx', 6], text: 'reg6', base: 16 },
  reg7: { kind: 'number', bits: 32, oxm: ['nxmNx', 7], text: 'reg7', base: 16 },
  /** The VNI of a packet that came, or is to leave, through a tunnel. */
  tunnelId: { kind: 'wide', bits: 64, oxm: ['basic', 38], nxm: ['nxmNx', 16], text: 'tun_id', base: 16 },
  tunnelIpv4Src: { kind: 'address', bits: 32, oxm: ['nxmNx', 31], text: 'tun_src' },
  tunnelIpv4Dst: { kind: 'address', bits: 32, oxm: ['nxmNx', 32], text: 'tun_dst' },
  tunnelIpv6Src: { kind: 'address', bits: 128, oxm: ['nxmNx', 109], text: 'tun_ipv6_src' },
  tunnelIpv6Dst: { kind: 'address', bits: 128, oxm: ['nxmNx', 110], text: 'tun_ipv6_dst' },
  metadata: { kind: 'wide', bits: 64, oxm: ['basic', 2], text: 'metadata', base: 16 },
  inPort: { kind: 'number', bits: 32, oxm: ['basic', 0], text: 'in_port', actionText: 'in_port_oxm', base: 10 },
  /** The whole tag, where bit 12 says that there is one. A match on it travels as vlanVid and vlanPcp. */
  vlanTci: { kind: 'number', bits: 16, oxm: ['nxmOf', 4], text: 'vlan_tci', base: 16 },
  /** Bit 12, OFPVID_PRESENT, says that there is a tag; {value: 0, mask: 0x1000} is no tag. */
  vlanVid: { kind: 'number', bits: 13, oxm: ['basic', 6], text: 'vlan_vid', base: 16 },
  vlanPcp: { kind: 'number', bits: 3, oxm: ['basic', 7], text: 'dl_vlan_pcp', actionText: 'vlan_pcp', base: 10 },
  ethSrc: { kind: 'mac', bits: 48, oxm: ['basic', 4], nxm: ['nxmOf', 2], text: 'dl_src', actionText: 'eth_src' },
  ethDst: { kind: 'mac', bits: 48, oxm: ['basic', 3], nxm: ['nxmOf', 1], text: 'dl_dst', actionText: 'eth_dst' },
  ethType: { kind: 'number', bits: 16, oxm: ['basic', 5], nxm: ['nxmOf', 3], text: 'dl_type', actionText: 'eth_type', base: 16 },
  ipv4Src: { kind: 'address', bits: 32, oxm: ['basic', 11], nxm: ['nxmOf', 7], text: 'nw_src', actionText: 'ip_src' },
  ipv4Dst: { kind: 'address', bits: 32, oxm: ['basic', 12], nxm: ['nxmOf', 8], text: 'nw_dst', actionText: 'ip_dst' },
  ipv6Src: { kind: 'address', bits: 128, oxm: ['basic', 26], nxm: ['nxmNx', 19], text: 'ipv6_src' },
  ipv6Dst: { kind: 'address', bits: 128, oxm: ['basic', 27], nxm: ['nxmNx', 20], text: 'ipv6_dst' },
  arpSpa: { kind: 'address', bits: 32, oxm: ['basic', 22], nxm: ['nxmOf', 16], text: 'arp_spa' },
  arpTpa: { kind: 'address', bits: 32, oxm: ['basic', 23], nxm: ['nxmOf', 17], text: 'arp_tpa' },
  ipProto: { kind: 'number', bits: 8, oxm: ['basic', 10], nxm: ['nxmOf', 6], text: 'nw_proto', base: 10 },
  arpOp: { kind: 'number', bits: 16, oxm: ['basic', 21], nxm: ['nxmOf', 15], text: 'arp_op', base: 10 },
  arpSha: { kind: 'mac', bits: 48, oxm: ['basic', 24], nxm: ['nxmNx', 17], text: 'arp_sha' },
  arpTha: { kind: 'mac', bits: 48, oxm: ['basic', 25], nxm: ['nxmNx', 18], text: 'arp_tha' },
  tcpSrc: { kind: 'number', bits: 16, oxm: ['basic', 13], nxm: ['nxmOf', 9], text: 'tp_src', actionText: 'tcp_src', base: 10 },
  tcpDst: { kind: 'number', bits: 16, oxm: ['basic', 14], nxm: ['nxmOf', 10], text: 'tp_dst', actionText: 'tcp_dst', base: 10 },
  udpSrc: { kind: 'number', bits: 16, oxm: ['basic', 15], nxm: ['nxmOf', 11], text: 'tp_src', actionText: 'udp_src', base: 10 },
  udpDst: { kind: 'number', bits: 16, oxm: ['basic', 16], nxm: ['nxmOf', 12], text: 'tp_dst', actionText: 'udp_dst', base: 10 },
  icmpv6Type: { kind: 'number', bits: 8, oxm: ['basic', 29], nxm: ['nxmNx', 21], text: 'icmp_type', actionText: 'icmpv6_type', base: 10 },
  icmpv6Code: { kind: 'number', bits: 8, oxm: ['basic', 30], nxm: ['nxmNx', 22], text: 'icmp_code', actionText: 'icmpv6_code', base: 10 },
  ndTarget: { kind: 'address', bits: 128, oxm: ['basic', 31], nxm: ['nxmNx', 23], text: 'nd_target' },
  ndSll: { kind: 'mac', bits: 48, oxm: ['basic', 32], nxm: ['nxmNx', 24], text: 'nd_sll' },
  ndTll: { kind: 'mac', bits: 48, oxm: ['basic', 33], nxm: ['nxmNx', 25], text: 'nd_tll' },
  /** The 32 bits behind the checksum: the R, S and O flags of an advertisement. Userspace datapath only. */
  ndReserved: { kind: 'number', bits: 32, oxm: ['ericsson', 1], text: 'nd_reserved', base: 16 },
  /** The type of the first option. Userspace datapath only. */
  ndOptionsType: { kind: 'number', bits: 8, oxm: ['ericsson', 2], text: 'nd_options_type', base: 10 },
} as const;

/** The name of a field in weft. */
export type FieldName = keyof typeof fields;

/** What the value of a field is in memory. */
export type FieldValue<F extends FieldName = FieldName> = Values[(typeof fields)[F]['kind']];

/** The table by name, for code that does not know which field it has. */
export const fieldShapes: Readonly<Record<FieldName, FieldShape>> = fields;

/** The header of a field; `length` is that of value and mask together. */
export interface FieldHeader {
  readonly bits: number;
  readonly hasMask: boolean;
  readonly length: number;
}

/** Bytes of a field's value on the wire. */
export function fieldBytes(name: FieldName): number {
  return Math.ceil(fieldShapes[name].bits / 8);
}

/** The 32 bits in front of a value. `isOlder` asks for the NXM header where the field has one. */
export function encodeFieldHeader(name: FieldName, { hasMask = false, isOlder = false }: { readonly hasMask?: boolean; readonly isOlder?: boolean } = {}): number {
  const { oxm, nxm } = fieldShapes[name];
  const [classOf, number] = isOlder ? (nxm ?? oxm) : oxm;
  const bytes = fieldBytes(name);
  return ((classes[classOf] << 16) | (number << 9) | (hasMask ? 0x100 | (bytes * 2) : bytes)) >>> 0;
}

/** What the 32 bits in front of a value say. */
export function decodeFieldHeader(bits: number): FieldHeader {
  return { bits, hasMask: (bits & 0x100) !== 0, length: bits & 0xff };
}

/** Class and number, by which a field is known whether or not it has a mask. */
const identityMask = 0xfffffe00;
const byIdentity: ReadonlyMap<number, FieldName> = new Map((Object.keys(fields) as FieldName[]).flatMap((name) => [
  [(encodeFieldHeader(name) & identityMask) >>> 0, name],
  [(encodeFieldHeader(name, { isOlder: true }) & identityMask) >>> 0, name],
]));

/** The field a header names, by either of its headers; undefined for one that is not in the table, or whose length is another. */
export function fieldOfHeader(header: FieldHeader): FieldName | undefined {
  const name = byIdentity.get((header.bits & identityMask) >>> 0);
  if (name === undefined || header.length !== fieldBytes(name) * (header.hasMask ? 2 : 1)) return undefined;
  return name;
}

/** The value in network byte order. @throws RangeError when it does not fit the field */
export function encodeFieldValue(name: FieldName, value: FieldValue): Uint8Array {
  const { kind } = fieldShapes[name];
  const bytes = fieldBytes(name);
  if (kind === 'mac' && typeof value === 'string') return macBytes(value);
  if (kind === 'address' && typeof value === 'object' && addressBytes(value).length === bytes) return addressBytes(value);
  if (kind === 'wide' && typeof value === 'bigint') return encodeWide(name, value);
  if (kind === 'number' && typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** fieldShapes[name].bits) {
    const encoded = Buffer.alloc(bytes);
    encoded.writeUIntBE(value, 0, bytes);
    return encoded;
  }
  throw valueError(name, value);
}

function encodeWide(name: FieldName, value: bigint): Uint8Array {
  if (value < 0n || value >= 1n << 64n) throw valueError(name, value);
  const encoded = Buffer.alloc(8);
  encoded.writeBigUInt64BE(value);
  return encoded;
}

function valueError(name: FieldName, value: FieldValue): RangeError {
  const shown = typeof value === 'object' ? `an address of IPv${value.family}` : String(value);
  return new RangeError(`${name} must be a value of ${fieldShapes[name].bits} bits, of kind ${fieldShapes[name].kind}: current value is ${shown}`);
}

/** The value that bytes of the field's length spell. */
export function decodeFieldValue(name: FieldName, bytes: Uint8Array): FieldValue {
  switch (fieldShapes[name].kind) {
    case 'mac':
      return macFromBytes(bytes);
    case 'address':
      return addressFromBytes(bytes);
    case 'wide':
      return Buffer.from(bytes).readBigUInt64BE();
    case 'number':
      return Buffer.from(bytes).readUIntBE(0, bytes.length);
  }
}
