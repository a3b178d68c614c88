/**
 * The action that makes flows of packets (NXAST_LEARN, nicira-ext.h): without a controller, the switch itself adds a flow when a packet
 * matches. Pure.
 */
import type { FieldPart } from './action.ts';
import { decodeFieldHeader, encodeFieldHeader, fieldOfHeader } from './field.ts';

/** Where a part of the new flow comes from: the packet, or a constant of so many bits. */
export type LearnSource = FieldPart | { readonly value: bigint; readonly bits: number };

/** One part of the new flow. */
export type LearnSpec =
  /** What it matches. */
  | { readonly kind: 'match'; readonly source: LearnSource; readonly to: FieldPart }
  /** What it loads into a field. */
  | { readonly kind: 'load'; readonly source: LearnSource; readonly to: FieldPart }
  /** That it outputs to the port a field holds. */
  | { readonly kind: 'output'; readonly source: FieldPart };

/** Adds a flow to a table. Timeouts are in seconds, 0 for none. */
export interface LearnAction {
  readonly kind: 'learn';
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly idleTimeoutSeconds: number;
  readonly hardTimeoutSeconds: number;
  readonly specs: readonly LearnSpec[];
}

/** struct nx_action_learn without the header that all of Nicira's actions share. */
const fixedBytes = 22;
/** flow_mod_spec header: NX_LEARN_SRC_IMMEDIATE, NX_LEARN_DST_*, NX_LEARN_N_BITS_MASK. */
const sourceIsConstant = 1 << 13;
const targets = { match: 0, load: 1 << 11, output: 2 << 11 } as const;
const targetMask = 3 << 11;
const bitsMask = 0x3ff;

/** The action behind its header, without the padding. */
export function encodeLearn(action: LearnAction): Buffer {
  const bytes = Buffer.alloc(fixedBytes);
  bytes.writeUInt16BE(action.idleTimeoutSeconds, 0);
  bytes.writeUInt16BE(action.hardTimeoutSeconds, 2);
  bytes.writeUInt16BE(action.priority, 4);
  bytes.writeBigUInt64BE(action.cookie, 6);
  bytes.writeUInt8(action.table, 16);
  return Buffer.concat([bytes, ...action.specs.map(encodeSpec)]);
}

function encodeSpec(spec: LearnSpec): Buffer {
  const { source } = spec;
  const header = Buffer.alloc(2);
  header.writeUInt16BE(targets[spec.kind] | ('value' in source ? sourceIsConstant : 0) | source.bits);
  const from = 'value' in source ? encodeConstant(source) : encodePart(source);
  return Buffer.concat(spec.kind === 'output' ? [header, from] : [header, from, encodePart(spec.to)]);
}

/** A constant takes whole 16-bit words. */
function encodeConstant({ value, bits }: { value: bigint; bits: number }): Buffer {
  const words = Math.ceil(bits / 16);
  return Buffer.from(value.toString(16).padStart(words * 4, '0'), 'hex');
}

function encodePart({ field, offset }: FieldPart): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt32BE(encodeFieldHeader(field, { isOlder: true }), 0);
  bytes.writeUInt16BE(offset, 4);
  return bytes;
}

/** The action behind its header; undefined for one that weft cannot express, with flags or a field that it does not know. @throws RangeError when it ends early */
export function decodeLearn(bytes: Buffer): LearnAction | undefined {
  const flagsAndLimits = [bytes.readUInt16BE(14), bytes.readUInt32BE(18)];
  if (flagsAndLimits.some((number) => number !== 0)) return undefined;
  const specs: LearnSpec[] = [];
  // The padding at the end is a header of zeros: a match on no bits.
  for (let at = fixedBytes; at + 2 <= bytes.length && bytes.readUInt16BE(at) !== 0; ) {
    const decoded = decodeSpec(bytes, at);
    if (decoded === undefined) return undefined;
    specs.push(decoded.spec);
    at = decoded.end;
  }
  return {
    kind: 'learn',
    table: bytes.readUInt8(16),
    priority: bytes.readUInt16BE(4),
    cookie: bytes.readBigUInt64BE(6),
    idleTimeoutSeconds: bytes.readUInt16BE(0),
    hardTimeoutSeconds: bytes.readUInt16BE(2),
    specs,
  };
}

function decodeSpec(bytes: Buffer, offset: number): { readonly spec: LearnSpec; readonly end: number } | undefined {
  const header = bytes.readUInt16BE(offset);
  const bits = header & bitsMask;
  const isConstant = (header & sourceIsConstant) !== 0;
  const sourceBytes = isConstant ? Math.ceil(bits / 16) * 2 : 6;
  const target = offset + 2 + sourceBytes;
  const source = isConstant ? { value: BigInt(`0x${bytes.toString('hex', offset + 2, target) || '0'}`), bits } : decodePart(bytes, offset + 2, bits);
  if (source === undefined) return undefined;
  if ((header & targetMask) === targets.output) return 'value' in source ? undefined : { spec: { kind: 'output', source }, end: target };
  const to = decodePart(bytes, target, bits);
  if (to === undefined) return undefined;
  return { spec: { kind: (header & targetMask) === targets.load ? 'load' : 'match', source, to }, end: target + 6 };
}

function decodePart(bytes: Buffer, at: number, bits: number): FieldPart | undefined {
  const field = fieldOfHeader(decodeFieldHeader(bytes.readUInt32BE(at)));
  return field === undefined ? undefined : { field, offset: bytes.readUInt16BE(at + 4), bits };
}
