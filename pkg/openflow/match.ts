/**
 * What a flow matches (OpenFlow 1.3.5 §7.2.3). Pure.
 *
 * Two matches are the same when their bytes are: fields are sorted, bits outside of a mask are zero, a mask of ones is no mask and a field
 * under a mask of zeros is not there. Open vSwitch lists flows in an order and a form of its own, so that a match is put into this form
 * when it is encoded, wherever it comes from.
 */
import { addressBits, firstAddress, type Address, type Prefix } from '../netaddr/netaddr.ts';
import { decodeFieldHeader, decodeFieldValue, encodeFieldHeader, encodeFieldValue, fieldOfHeader, fields, type FieldName, type FieldValue } from './field.ts';

/** A value of which only the bits of the mask count. */
export interface Masked<T> {
  readonly value: T;
  readonly mask: T;
}

/** A field that is not in the table of fields, as it is on the wire: header, value, mask. */
export interface UnknownField {
  readonly header: number;
  /** Hexadecimal digits. */
  readonly bytes: string;
}

/** Fields and the values they must have. What depends on another (addresses on ethType, ports on ipProto) needs that one too. */
export type Match = { readonly [F in FieldName]?: FieldValue<F> | Masked<FieldValue<F>> } & {
  /** Decoded, not to be made up. */
  readonly unknown?: readonly UnknownField[];
};

/** Ethernet types that flows of an overlay match (IEEE 802 numbers). */
export const etherTypes = { ipv4: 0x0800, arp: 0x0806, rarp: 0x8035, ipv6: 0x86dd } as const;
/** Protocols over IP that flows of an overlay match (IANA protocol numbers). */
export const ipProtocols = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

/** The match of vlanVid for a frame without a tag: OFPVID_PRESENT is not set (OpenFlow 1.3.5 table 13). */
export const untagged: Masked<number> = { value: 0, mask: 0x1000 };

/** The match of an address field for a whole prefix. */
export function withinPrefix(prefix: Prefix): Masked<Address> {
  const { family } = prefix;
  const hostBits = BigInt(addressBits[family] - prefix.length);
  const all = (1n << BigInt(addressBits[family])) - 1n;
  return { value: firstAddress(prefix), mask: { family, value: (all >> hostBits) << hostBits } };
}

/** Whether what a match says of a field has a mask. */
export function isMasked<T extends FieldValue>(value: T | Masked<T>): value is Masked<T> {
  return typeof value === 'object' && 'mask' in value;
}

/** struct ofp_match: type OFPMT_OXM, length without the padding, fields, padding to 8 bytes. @throws RangeError when a value does not fit its field */
export function encodeMatch(match: Match): Buffer {
  const oxms = encodeMatchFields(match);
  const length = 4 + oxms.length;
  const bytes = Buffer.alloc((length + 7) & ~7);
  bytes.writeUInt16BE(1, 0);
  bytes.writeUInt16BE(length, 2);
  bytes.set(oxms, 4);
  return bytes;
}

/** The fields of a match, in the one form that is compared. */
function encodeMatchFields(match: Match): Buffer {
  const encoded: Buffer[] = [];
  for (const [name, value] of Object.entries(withoutTci(match)) as [FieldName | 'unknown', never][]) {
    if (name === 'unknown') encoded.push(...(value as readonly UnknownField[]).map(encodeUnknown));
    else if (value !== undefined) encoded.push(...encodeField(name, value));
  }
  return Buffer.concat(encoded.sort((a, b) => orderOf(a) - orderOf(b) || Buffer.compare(a, b)));
}

/** Standard fields go first, by number: so each stands behind what it depends on, as §7.2.3.8 demands. */
function orderOf(encoded: Buffer): number {
  const header = encoded.readUInt32BE(0);
  return header >= 0x80000000 ? header - 0x80000000 : header + 0x80000000;
}

function encodeField(name: FieldName, value: FieldValue | Masked<FieldValue>): Buffer[] {
  if (!isMasked(value)) return [oxm(encodeFieldHeader(name), encodeFieldValue(name, value))];
  const mask = encodeFieldValue(name, value.mask);
  const bits = encodeFieldValue(name, value.value).map((byte, index) => byte & (mask[index] as number));
  if (mask.every((byte) => byte === 0)) return [];
  if (Buffer.compare(mask, allOnes(name)) === 0) return [oxm(encodeFieldHeader(name), bits)];
  return [oxm(encodeFieldHeader(name, { hasMask: true }), Buffer.concat([bits, mask]))];
}

/** The mask that leaves out nothing; fields are not always whole bytes wide. */
function allOnes(name: FieldName): Uint8Array {
  const { bits } = fields[name];
  return Uint8Array.from({ length: Math.ceil(bits / 8) }, (_, index) => (index === 0 && bits % 8 !== 0 ? (1 << (bits % 8)) - 1 : 0xff));
}

function encodeUnknown({ header, bytes }: UnknownField): Buffer {
  return oxm(header, Buffer.from(bytes, 'hex'));
}

/** A header and what stands behind it. */
export function oxm(header: number, rest: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + rest.length);
  bytes.writeUInt32BE(header, 0);
  bytes.set(rest, 4);
  return bytes;
}

/** Open vSwitch keeps one tag and lists it in the two fields of the standard, the priority only where there is a tag. */
function withoutTci(match: Match): Match {
  if (match.vlanTci === undefined) return match;
  const { vlanTci, ...rest } = match;
  const { value, mask } = isMasked(vlanTci) ? vlanTci : { value: vlanTci, mask: 0xffff };
  const vlanVid = { value: value & mask & 0x1fff, mask: mask & 0x1fff };
  return vlanVid.value === 0 ? { ...rest, vlanVid } : { ...rest, vlanVid, vlanPcp: { value: value >> 13, mask: mask >> 13 } };
}

/** A match and where it ends, padding included. @throws RangeError when a length does not fit */
export function decodeMatch(bytes: Buffer, offset = 0): { readonly match: Match; readonly end: number } {
  const type = bytes.readUInt16BE(offset);
  const length = bytes.readUInt16BE(offset + 2);
  const end = offset + ((length + 7) & ~7);
  if (type !== 1 || length < 4 || end > bytes.length) throw new RangeError(`A match must be of type 1 and fit its message: current type is ${type}, length ${length}`);
  const match: Record<string, FieldValue | Masked<FieldValue>> = {};
  const unknown: UnknownField[] = [];
  for (let at = offset + 4; at < offset + length; ) {
    const field = decodeField(bytes.subarray(at, offset + length));
    if (field.name === undefined) unknown.push({ header: field.header, bytes: field.rest.toString('hex') });
    else match[field.name] = field.value;
    at += 4 + field.rest.length;
  }
  return { match: unknown.length === 0 ? match : { ...match, unknown }, end };
}

type DecodedField = { readonly header: number; readonly rest: Buffer } & (
  | { readonly name: undefined }
  | { readonly name: FieldName; readonly value: FieldValue | Masked<FieldValue> }
);

/** The first field in the bytes. @throws RangeError when it reaches beyond them */
export function decodeField(bytes: Buffer): DecodedField {
  const header = decodeFieldHeader(bytes.readUInt32BE(0));
  const rest = bytes.subarray(4, 4 + header.length);
  if (rest.length !== header.length) throw new RangeError(`A field must fit its message: current length is ${header.length}`);
  const name = fieldOfHeader(header);
  if (name === undefined) return { header: header.bits, rest, name };
  if (!header.hasMask) return { header: header.bits, rest, name, value: decodeFieldValue(name, rest) };
  const half = header.length / 2;
  return { header: header.bits, rest, name, value: { value: decodeFieldValue(name, rest.subarray(0, half)), mask: decodeFieldValue(name, rest.subarray(half)) } };
}
