/** What is on the wire: a length of four bytes, the most significant first, and so many bytes of JSON. */

/** Bytes of JSON in one frame. */
export const frameBytesMax = 65_536;
const lengthBytes = 4;

/** One frame. @throws RangeError where the JSON is too long */
export function encodeFrame(value: unknown): Buffer {
  const json = JSON.stringify(value);
  const bytes = Buffer.byteLength(json);
  if (bytes > frameBytesMax) throw new RangeError(`a message must have at most ${frameBytesMax} bytes: current value is ${bytes}`);
  const frame = Buffer.allocUnsafe(lengthBytes + bytes);
  frame.writeUInt32BE(bytes, 0);
  frame.write(json, lengthBytes);
  return frame;
}

/** Finds the frames in what arrives. */
export class FrameDecoder {
  readonly #text = new TextDecoder('utf-8', { fatal: true });
  /** What has arrived and is no whole frame yet; joined only when it is, for who sends single bytes would have it copied again and again. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the frame that has begun; undefined until its length is known. */
  #frameBytes: number | undefined;

  /** @returns what was complete with this chunk @throws SyntaxError, RangeError or TypeError for what is no frame; there is no going on then */
  push(chunk: Buffer): readonly unknown[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const values: unknown[] = [];
    for (let json = this.#next(); json !== undefined; json = this.#next()) values.push(JSON.parse(this.#text.decode(json)));
    return values;
  }

  #next(): Buffer | undefined {
    if (this.#frameBytes === undefined && this.#bytes >= lengthBytes) this.#frameBytes = this.#readLength();
    if (this.#frameBytes === undefined || this.#bytes < lengthBytes + this.#frameBytes) return undefined;
    const all = this.#join();
    const end = lengthBytes + this.#frameBytes;
    this.#chunks = all.length === end ? [] : [all.subarray(end)];
    this.#bytes -= end;
    this.#frameBytes = undefined;
    return all.subarray(lengthBytes, end);
  }

  #readLength(): number {
    const bytes = this.#join().readUInt32BE(0);
    if (bytes > frameBytesMax) throw new RangeError(`a message must have at most ${frameBytesMax} bytes: current value is ${bytes}`);
    return bytes;
  }

  #join(): Buffer {
    const [first] = this.#chunks;
    const all = first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [all];
    return all;
  }
}
