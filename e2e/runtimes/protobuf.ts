/**
 * As much of the protobuf encoding (protobuf.dev, "Encoding") as the CRI's messages need: strings, small numbers and
 * messages inside messages. Pure.
 */

/** A message to encode: field numbers with their values, more than one for a repeated field. */
export type Fields = readonly (readonly [field: number, value: string | number | Fields])[];

/** A decoded message: what each field number came with. Numbers are left out, for nothing here reads one. */
export type Decoded = ReadonlyMap<number, readonly Buffer[]>;

const wireVarint = 0;
const wireFixed64 = 1;
const wireBytes = 2;
const wireFixed32 = 5;

/** Encodes a message. Numbers must be whole and from 0 to 2^31 - 1. */
export function encodeMessage(fields: Fields): Buffer {
  return Buffer.concat(
    fields.map(([field, value]) => {
      if (typeof value === 'number') return Buffer.concat([encodeVarint((field << 3) | wireVarint), encodeVarint(value)]);
      const bytes = typeof value === 'string' ? Buffer.from(value) : encodeMessage(value);
      return Buffer.concat([encodeVarint((field << 3) | wireBytes), encodeVarint(bytes.length), bytes]);
    }),
  );
}

/** Decodes a message one level deep. @throws RangeError where it is cut short or of another encoding */
export function decodeMessage(message: Buffer): Decoded {
  const fields = new Map<number, Buffer[]>();
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message.readUInt8(at);
      at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = readVarint();
    const wire = tag & 7;
    if (wire === wireVarint) readVarint();
    else if (wire === wireFixed64) at += 8;
    else if (wire === wireFixed32) at += 4;
    else if (wire === wireBytes) {
      const length = readVarint();
      if (at + length > message.length) throw new RangeError(`a field of ${length} bytes is cut short at byte ${at}`);
      const field = tag >>> 3;
      fields.set(field, [...(fields.get(field) ?? []), message.subarray(at, at + length)]);
      at += length;
    } else throw new RangeError(`wire type must be 0, 1, 2 or 5: current value is ${wire}`);
  }
  return fields;
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
