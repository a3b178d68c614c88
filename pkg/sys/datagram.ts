/** Datagrams with all that the kernel says of them: who sent them, whether they were cut, and control messages. */
import { memoryAddress, receiveMessages } from './libc.ts';

/** A datagram. Its bytes are overwritten by the next reading. */
export interface Datagram {
  readonly data: Buffer;
  /** The sender's address (struct sockaddr_*). */
  readonly sender: Buffer;
  readonly control: readonly ControlMessage[];
  /** Its whole length, also where it was cut. */
  readonly wholeBytes: number;
  /** It was longer than the memory for it. */
  readonly isCut: boolean;
}

/** struct cmsghdr, and what follows it. */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Buffer;
}

/**
 * Reads the next datagrams of a socket, without waiting; fewer than there is memory for when its queue is empty then. With
 * MSG_ERRQUEUE in `flags` from the queue of errors, where a socket has one (ip(7), IP_RECVERR). @throws SystemCallError
 */
export type DatagramReader = (fd: number, flags?: number) => readonly Datagram[];

// struct mmsghdr on 64-bit machines, where pointers and size_t have 8 bytes: a struct msghdr, and the length of what came. Then one struct iovec for each.
const header = { name: 0, nameLength: 8, iov: 16, iovCount: 24, control: 32, controlLength: 40, flags: 48, length: 56, bytes: 64 } as const;
const iov = { base: 0, length: 8, bytes: 16 } as const;
/** struct cmsghdr: its length (size_t), level and type (int). */
const controlHeaderBytes = 16;
const addressBytes = 128; // sizeof(struct sockaddr_storage)
const controlBytes = 256;
/** Control messages begin at multiples of 8 (CMSG_ALIGN). */
const controlAlignment = 8;

/** A reader with memory of its own for `count` datagrams of at most `dataBytes`, used again for every reading. */
export function createDatagramReader({ dataBytes, count }: { readonly dataBytes: number; readonly count: number }): DatagramReader {
  // One piece of memory, so that the structs' pointers cannot outlive what they point to; the headers first, in a row.
  const partBytes = iov.bytes + addressBytes + controlBytes + dataBytes;
  const memory = new ArrayBuffer(count * (header.bytes + partBytes));
  const base = memoryAddress(memory);
  const slots = Array.from({ length: count }, (_, index) => {
    const at = count * header.bytes + index * partBytes;
    return prepareSlot(Buffer.from(memory), { base, dataBytes, header: index * header.bytes, iov: at, address: at + iov.bytes, control: at + iov.bytes + addressBytes, data: at + iov.bytes + addressBytes + controlBytes });
  });
  const headers = Buffer.from(memory, 0, count * header.bytes);
  return (fd, flags) => {
    for (const { reset } of slots) reset();
    return slots.slice(0, receiveMessages(fd, headers, count, flags)).map(({ read }) => read());
  };
}

/** Where the parts of one datagram are, counted from the start of the memory, which is at `base`. */
interface SlotLayout extends Readonly<Record<'header' | 'iov' | 'address' | 'control' | 'data' | 'dataBytes', number>> {
  readonly base: bigint;
}

interface Slot {
  /** To be called before each reading: the kernel writes over how much room there was. */
  reset(): void;
  read(): Datagram;
}

function prepareSlot(bytes: Buffer, at: SlotLayout): Slot {
  const pointer = (offset: number, target: number): unknown => bytes.writeBigUInt64LE(at.base + BigInt(target), offset);
  pointer(at.header + header.name, at.address);
  pointer(at.header + header.iov, at.iov);
  bytes.writeBigUInt64LE(1n, at.header + header.iovCount);
  pointer(at.header + header.control, at.control);
  pointer(at.iov + iov.base, at.data);
  bytes.writeBigUInt64LE(BigInt(at.dataBytes), at.iov + iov.length);
  const part = (offset: number, length: number): Buffer => bytes.subarray(offset, offset + length);
  return {
    reset() {
      bytes.writeUInt32LE(addressBytes, at.header + header.nameLength);
      bytes.writeUInt32LE(controlBytes, at.header + header.controlLength);
    },
    read() {
      const length = bytes.readUInt32LE(at.header + header.length);
      return {
        data: part(at.data, Math.min(length, at.dataBytes)),
        sender: part(at.address, Math.min(bytes.readUInt32LE(at.header + header.nameLength), addressBytes)),
        control: decodeControl(part(at.control, bytes.readUInt32LE(at.header + header.controlLength))),
        wholeBytes: length,
        isCut: length > at.dataBytes,
      };
    },
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
