/** What a flow has a table do (OpenFlow 1.3.5 §7.2.4). Pure. */
import type { Action } from './action.ts';
import { decodeActions, encodeActions } from './action-codec.ts';
import type { Masked } from './match.ts';

/** At most one of each; they are carried out in this order. With none of them, or with actions that send the packet nowhere, it is dropped. */
export interface Instructions {
  /** The meter, which may drop the packet. */
  readonly meter?: number;
  /** Carried out at once. */
  readonly apply?: readonly Action[];
  /** Empties the packet's action set. */
  readonly clear?: true;
  /** Put into the packet's action set, which is carried out where no further table follows. */
  readonly write?: readonly Action[];
  readonly writeMetadata?: bigint | Masked<bigint>;
  readonly gotoTable?: number;
  /** Decoded, not to be made up: instructions weft does not know, as hexadecimal digits. */
  readonly unknown?: readonly string[];
}

/** enum ofp_instruction_type. */
const types = { gotoTable: 1, writeMetadata: 2, write: 3, apply: 4, clear: 5, meter: 6 } as const;
const allBits = (1n << 64n) - 1n;

/** The instructions one behind the other, in the order in which Open vSwitch lists them. @throws RangeError when a value does not fit */
export function encodeInstructions(instructions: Instructions): Buffer {
  const { meter, apply = [], clear, write = [], writeMetadata, gotoTable, unknown = [] } = instructions;
  const parts: Buffer[] = [];
  if (meter !== undefined) parts.push(instruction(types.meter, unsigned32(meter)));
  if (apply.length > 0) parts.push(instruction(types.apply, Buffer.concat([Buffer.alloc(4), encodeActions(apply)])));
  if (clear === true) parts.push(instruction(types.clear, Buffer.alloc(4)));
  if (write.length > 0) parts.push(instruction(types.write, Buffer.concat([Buffer.alloc(4), encodeActions(write)])));
  if (writeMetadata !== undefined) parts.push(encodeWriteMetadata(writeMetadata));
  if (gotoTable !== undefined) parts.push(encodeGotoTable(gotoTable));
  return Buffer.concat([...parts, ...unknown.map((bytes) => Buffer.from(bytes, 'hex'))]);
}

function encodeWriteMetadata(written: bigint | Masked<bigint>): Buffer {
  const { value, mask } = typeof written === 'bigint' ? { value: written, mask: allBits } : written;
  const body = Buffer.alloc(20);
  body.writeBigUInt64BE(value & mask, 4);
  body.writeBigUInt64BE(mask, 12);
  return instruction(types.writeMetadata, body);
}

function encodeGotoTable(table: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt8(table, 0);
  return instruction(types.gotoTable, body);
}

function instruction(type: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + body.length);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.set(body, 4);
  return bytes;
}

function unsigned32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Instructions one behind the other. @throws RangeError when a length does not fit */
export function decodeInstructions(bytes: Buffer): Instructions {
  let instructions: Instructions = {};
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    if (length < 8 || at + length > bytes.length) throw new RangeError(`An instruction must fit its message: current length is ${length}`);
    const one = bytes.subarray(at, at + length);
    instructions = { ...instructions, ...(decodeInstruction(one) ?? { unknown: [...(instructions.unknown ?? []), one.toString('hex')] }) };
    at += length;
  }
  return instructions;
}

function decodeInstruction(bytes: Buffer): Instructions | undefined {
  switch (bytes.readUInt16BE(0)) {
    case types.meter:
      return { meter: bytes.readUInt32BE(4) };
    case types.apply:
      return { apply: decodeActions(bytes.subarray(8)) };
    case types.clear:
      return { clear: true };
    case types.write:
      return { write: decodeActions(bytes.subarray(8)) };
    case types.writeMetadata: {
      const [value, mask] = [bytes.readBigUInt64BE(8), bytes.readBigUInt64BE(16)];
      return { writeMetadata: mask === allBits ? value : { value, mask } };
    }
    case types.gotoTable:
      return { gotoTable: bytes.readUInt8(4) };
    default:
      return undefined;
  }
}
