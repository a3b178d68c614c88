/** The classic capture file format that `tcpdump -w -` writes (libpcap, pcap-savefile(5)), read as a stream. Pure. */

const fileHeaderBytes = 24;
const recordHeaderBytes = 16;
/** Magic of microsecond stamps in the writer's byte order; both byte orders occur, as tcpdump writes the machine's. */
const magic = 0xa1b2c3d4;

/** Puts frames together from pieces of a capture file. */
export class PcapReader {
  #rest: Buffer = Buffer.alloc(0);
  #isLittleEndian: boolean | undefined;

  /** Takes the next piece and returns the frames that are complete with it. @throws Error where it is no capture file */
  push(bytes: Buffer): readonly Buffer[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (this.#isLittleEndian === undefined && !this.#takeFileHeader()) return [];
    const frames: Buffer[] = [];
    for (let frame = this.#takeFrame(); frame !== undefined; frame = this.#takeFrame()) frames.push(frame);
    return frames;
  }

  #takeFileHeader(): boolean {
    if (this.#rest.length < fileHeaderBytes) return false;
    if (this.#rest.readUInt32LE(0) === magic) this.#isLittleEndian = true;
    else if (this.#rest.readUInt32BE(0) === magic) this.#isLittleEndian = false;
    else throw new Error(`a capture file must begin with ${magic.toString(16)}: it begins with ${this.#rest.toString('hex', 0, 4)}`);
    this.#rest = this.#rest.subarray(fileHeaderBytes);
    return true;
  }

  #takeFrame(): Buffer | undefined {
    if (this.#rest.length < recordHeaderBytes) return undefined;
    const length = this.#isLittleEndian ? this.#rest.readUInt32LE(8) : this.#rest.readUInt32BE(8);
    const end = recordHeaderBytes + length;
    if (this.#rest.length < end) return undefined;
    const frame = Buffer.from(this.#rest.subarray(recordHeaderBytes, end));
    this.#rest = this.#rest.subarray(end);
    return frame;
  }
}
