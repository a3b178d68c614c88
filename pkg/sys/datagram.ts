/** Datagrams with all that the kernel says of them: who sent them, whether they were cut, and control messages. */
import { memoryAddress, receiveMessage } from './libc.ts';

/** A datagram. Its bytes are overwritten by the next one. */
export interface Datagram {
  readonly data: Buffer;
  /** The sender's address (struct sockaddr_*). */
  readonly sender: Buffer;
  readonly control: readonly ControlMessage[];
  /** It was longer than the memory for it. */
  readonly isCut: boolean;
}

/** struct cmsghdr, and what follows it. */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Buffer;
}

/** Reads the next datagram of a socket; undefined when there is none. @throws SystemCallError */
export type DatagramReader = (fd: number) => Datagram | undefined;

// struct msghdr on 64-bit machines: pointers and size_t have 8 bytes. Then its one struct iovec.
const header = { name: 0, nameLength: 8, iov: 16, iovCount: 24, control: 32, controlLength: 40, flags: 48, bytes: 56 } as const;
const iov = { base: 0, length: 8, bytes: 16 } as const;
/** struct cmsghdr: its length (size_t), level and type (int). */
const controlHeaderBytes = 16;
const addressBytes = 128; // sizeof(struct sockaddr_storage)
const controlBytes = 256;
/** Control messages begin at multiples of 8 (CMSG_ALIGN). */
const controlAlignment = 8;

/** A reader with memory of its own for datagrams of at most `dataBytes`, used again for every one. */
export function createDatagramReader(dataBytes: number): DatagramReader {
  // One piece of memory, so that the struct's pointers cannot outlive what they point to.
  const offsets = { iov: header.bytes, address: header.bytes + iov.bytes, control: header.bytes + iov.bytes + addressBytes, data: header.bytes + iov.bytes + addressBytes + controlBytes };
  const memory = new ArrayBuffer(offsets.data + dataBytes);
  const base = memoryAddress(memory);
  const bytes = Buffer.from(memory);
  bytes.writeBigUInt64LE(base + BigInt(offsets.address), header.name);
  bytes.writeBigUInt64LE(base + BigInt(offsets.iov), header.iov);
  bytes.writeBigUInt64LE(1n, header.iovCount);
  bytes.writeBigUInt64LE(base + BigInt(offsets.control), header.control);
  bytes.writeBigUInt64LE(base + BigInt(offsets.data), offsets.iov + iov.base);
  bytes.writeBigUInt64LE(BigInt(dataBytes), offsets.iov + iov.length);
  const part = (offset: number, length: number): Buffer => bytes.subarray(offset, offset + length);
  return (fd) => {
    // The kernel writes here how much it used of each.
    bytes.writeUInt32LE(addressBytes, header.nameLength);
    bytes.writeUInt32LE(controlBytes, header.controlLength);
    const length = receiveMessage(fd, bytes);
    if (length === undefined) return undefined;
    return {
      data: part(offsets.data, Math.min(length, dataBytes)),
      sender: part(offsets.address, Math.min(bytes.readUInt32LE(header.nameLength), addressBytes)),
      control: decodeControl(part(offsets.control, bytes.readUInt32LE(header.controlLength))),
      isCut: length > dataBytes,
    };
  };
}

/** The control messages in the memory that recvmsg(2) filled. Stops at a malformed length. */
export function decodeControl(bytes: Buffer): readonly ControlMessage[] {
  const messages: ControlMessage[] = [];
  let at = 0;
  while (at + controlHeaderBytes <= bytes.length) {
    const length = Number(bytes.readBigUInt64LE(at));
    if (length < controlHeaderBytes || at + length > bytes.length) break;
    messages.push({ level: bytes.readInt32LE(at + 8), type: bytes.readInt32LE(at + 12), data: bytes.subarray(at + controlHeaderBytes, at + length) });
    at += Math.ceil(length / controlAlignment) * controlAlignment;
  }
  return messages;
}
