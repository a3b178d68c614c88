/** Actions on the wire (OpenFlow 1.3.5 §7.2.5, nicira-ext.h). Pure. */
import { ports, type Action, type FieldPart } from './action.ts';
import { decodeFieldHeader, encodeFieldHeader, encodeFieldValue, fieldOfHeader } from './field.ts';
import { decodeLearn, encodeLearn } from './learn.ts';
import { decodeField, isMasked, oxm } from './match.ts';

/** enum ofp_action_type. */
const types = { output: 0, group: 22, setField: 25, experimenter: 0xffff } as const;
/** NX_VENDOR_ID, and the subtypes of nicira-ext.h. */
const nicira = 0x2320;
const subtypes = { move: 6, load: 7, resubmitTable: 14, learn: 16 } as const;
/** Type, length, experimenter and subtype. */
const niciraHeaderBytes = 10;

/** Actions one behind the other. @throws RangeError when a value does not fit its field */
export function encodeActions(actions: readonly Action[]): Buffer {
  return Buffer.concat(actions.map(encodeAction));
}

function encodeAction(action: Action): Buffer {
  switch (action.kind) {
    case 'output': {
      const body = Buffer.alloc(12);
      body.writeUInt32BE(action.port, 0);
      body.writeUInt16BE(action.maxBytes, 4);
      return standard(types.output, body);
    }
    case 'group': {
      const body = Buffer.alloc(4);
      body.writeUInt32BE(action.group, 0);
      return standard(types.group, body);
    }
    case 'setField':
      return standard(types.setField, oxm(encodeFieldHeader(action.field), encodeFieldValue(action.field, action.value)));
    case 'move':
      return encodeMove(action.from, action.to);
    case 'load':
      return encodeLoad(action.value, action.to);
    case 'resubmit': {
      const body = Buffer.alloc(6);
      // Ports are 16 bits wide here; the reserved ones keep their lower half.
      body.writeUInt16BE(action.port & 0xffff, 0);
      body.writeUInt8(action.table, 2);
      return extended(subtypes.resubmitTable, body);
    }
    case 'learn':
      return extended(subtypes.learn, encodeLearn(action));
    case 'unknown':
      return Buffer.from(action.bytes, 'hex');
  }
}

function standard(type: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc((4 + body.length + 7) & ~7);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.set(body, 4);
  return bytes;
}

function extended(subtype: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(niciraHeaderBytes - 4);
  header.writeUInt32BE(nicira, 0);
  header.writeUInt16BE(subtype, 4);
  return standard(types.experimenter, Buffer.concat([header, body]));
}

/** struct nx_action_reg_move. */
function encodeMove(from: FieldPart, to: FieldPart): Buffer {
  if (from.bits !== to.bits) throw new RangeError(`A field must be moved into one as wide: current widths are ${from.bits} and ${to.bits} bits`);
  const body = Buffer.alloc(14);
  body.writeUInt16BE(from.bits, 0);
  body.writeUInt16BE(from.offset, 2);
  body.writeUInt16BE(to.offset, 4);
  body.writeUInt32BE(encodeFieldHeader(from.field), 6);
  body.writeUInt32BE(encodeFieldHeader(to.field), 10);
  return extended(subtypes.move, body);
}

/** struct nx_action_reg_load: Open vSwitch lists its field under the older header. */
function encodeLoad(value: bigint, { field, offset, bits }: FieldPart): Buffer {
  const body = Buffer.alloc(14);
  body.writeUInt16BE((offset << 6) | (bits - 1), 0);
  body.writeUInt32BE(encodeFieldHeader(field, { isOlder: true }), 2);
  body.writeBigUInt64BE(value, 6);
  return extended(subtypes.load, body);
}

/** Actions one behind the other, those weft does not know as bytes. @throws RangeError when a length does not fit */
export function decodeActions(bytes: Buffer): readonly Action[] {
  const actions: Action[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    if (length < 8 || at + length > bytes.length) throw new RangeError(`An action must fit its message: current length is ${length}`);
    const action = bytes.subarray(at, at + length);
    actions.push(decodeAction(action) ?? { kind: 'unknown', bytes: action.toString('hex') });
    at += length;
  }
  return actions;
}

function decodeAction(bytes: Buffer): Action | undefined {
  switch (bytes.readUInt16BE(0)) {
    case types.output:
      return { kind: 'output', port: bytes.readUInt32BE(4), maxBytes: bytes.readUInt16BE(8) };
    case types.group:
      return { kind: 'group', group: bytes.readUInt32BE(4) };
    case types.setField:
      return decodeSetField(bytes);
    case types.experimenter:
      return bytes.readUInt32BE(4) === nicira ? decodeExtended(bytes) : undefined;
    default:
      return undefined;
  }
}

function decodeSetField(bytes: Buffer): Action | undefined {
  const field = decodeField(bytes.subarray(4));
  if (field.name === undefined || isMasked(field.value)) return undefined;
  return { kind: 'setField', field: field.name, value: field.value };
}

function decodeExtended(bytes: Buffer): Action | undefined {
  const body = bytes.subarray(niciraHeaderBytes);
  switch (bytes.readUInt16BE(8)) {
    case subtypes.move:
      return decodeMove(body);
    case subtypes.load:
      return decodeLoad(body);
    case subtypes.resubmitTable: {
      const port = body.readUInt16BE(0);
      return { kind: 'resubmit', table: body.readUInt8(2), port: port >= (ports.inPort & 0xffff) ? 0xffff0000 + port : port };
    }
    case subtypes.learn:
      return decodeLearn(body);
    default:
      return undefined;
  }
}

function decodeMove(body: Buffer): Action | undefined {
  const bits = body.readUInt16BE(0);
  const [from, to] = [6, 10].map((at) => fieldOfHeader(decodeFieldHeader(body.readUInt32BE(at))));
  if (from === undefined || to === undefined) return undefined;
  return { kind: 'move', from: { field: from, offset: body.readUInt16BE(2), bits }, to: { field: to, offset: body.readUInt16BE(4), bits } };
}

function decodeLoad(body: Buffer): Action | undefined {
  const place = body.readUInt16BE(0);
  const field = fieldOfHeader(decodeFieldHeader(body.readUInt32BE(2)));
  if (field === undefined) return undefined;
  return { kind: 'load', to: { field, offset: place >> 6, bits: (place & 0x3f) + 1 }, value: body.readBigUInt64BE(6) };
}
