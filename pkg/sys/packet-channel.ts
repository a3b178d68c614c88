/**
 * A packet socket on one link that sends and receives, with what stands between a frame and the wire: checksums that are left to the kernel or
 * the device, and segmentation. packet(7), PACKET_VNET_HDR.
 */
import { constants } from 'node:os';
import { createDatagramReader, type Datagram } from './datagram.ts';
import { bindSocket, closeSocket, int32, openSocket, sendTo, setReceiveBuffer, setSocketOption, SystemCallError } from './libc.ts';
import { watchReadable, type Watch } from './wait.ts';

const afPacket = 17;
const sockRaw = 3;
// include/uapi/linux/if_packet.h
const solPacket = 263;
const packetVnetHeader = 15;
const addressBytes = 20;
const packetHost = 0;
// include/linux/socket.h
const messageDontWait = 0x40;
/** struct virtio_net_hdr of include/uapi/linux/virtio_net.h, in the machine's byte order: flags, kind of segments, length of headers, of a segment's payload, where the checksum begins, and where it is from there. */
const headerBytes = 10;
const flagNeedsChecksum = 1;
const flagDataValid = 2;
const segmentKinds = { tcp4: 1 } as const;
/** What a device merges is as long as an IP packet can be, and an Ethernet header. */
const frameBytesMax = 65_535 + 14;
const framesAtOnce = 8;
/** More than a burst of probes; the rest is lost, as on the wire. */
const receiveBufferBytes = 1024 * 1024;

/** What of a frame is left to be done below. Offsets in bytes from the start of the frame. */
export interface LeftToDo {
  readonly checksumStart: number;
  /** From checksumStart on; there the frame has the sum of the pseudo header. */
  readonly checksumOffset: number;
  /** The frame is to be cut. */
  readonly segments?: { readonly kind: keyof typeof segmentKinds; readonly headerBytes: number; readonly payloadBytes: number };
}

/** A frame that has come. Its bytes are overwritten by the next. */
export interface ReceivedFrame {
  readonly data: Buffer;
  /** Nobody has finished its checksum: it has not left memory on its way (CHECKSUM_PARTIAL). */
  readonly isUnfinished: boolean;
  /** The kernel takes its checksum for right without another look (CHECKSUM_UNNECESSARY). */
  readonly isTrusted: boolean;
}

export interface PacketChannel {
  /** Sends a frame, from its destination MAC on. It never waits. @throws SystemCallError, such as EMSGSIZE, ENETDOWN */
  send(frame: Uint8Array, left?: LeftToDo): void;
  /** Ends it; may be repeated. */
  close(): void;
}

export interface ChannelOptions {
  /** Of the link. */
  readonly index: number;
  /** The type of the frames that are received; frames that are sent by this node are not. */
  readonly etherType: number;
  readonly onFrame: (frame: ReceivedFrame) => void;
  /** Nothing is received any more: the link is down, or gone. Once. */
  readonly onFailure: (error: unknown) => void;
}

/** Opens a channel in the thread's network namespace. Keeps the process alive until it is closed. @throws SystemCallError */
export function openPacketChannel(options: ChannelOptions): PacketChannel {
  return new SocketChannel(options);
}

class SocketChannel implements PacketChannel {
  readonly #options: ChannelOptions;
  readonly #address: Buffer;
  readonly #fd: number;
  readonly #read = createDatagramReader({ dataBytes: headerBytes + frameBytesMax, count: framesAtOnce });
  #watch: Watch | undefined;
  #isClosed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#address = linkAddress(options.index, options.etherType);
    // With protocol 0 nothing comes before it is bound.
    this.#fd = openSocket(afPacket, sockRaw, 0);
    try {
      setSocketOption(this.#fd, { level: solPacket, name: packetVnetHeader, value: int32(1) });
      setReceiveBuffer(this.#fd, receiveBufferBytes);
      bindSocket(this.#fd, this.#address);
      this.#watch = watchReadable(this.#fd, () => this.#receive());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  send(frame: Uint8Array, left?: LeftToDo): void {
    // The number may be another descriptor's by now.
    if (this.#isClosed) throw new SystemCallError('sendto', constants.errno.EBADF);
    sendTo(this.#fd, Buffer.concat([encodeHeader(left), frame]), this.#address, messageDontWait);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch?.close();
    closeSocket(this.#fd);
  }

  #receive(): void {
    try {
      for (const datagram of this.#read(this.#fd)) {
        const frame = decode(datagram);
        if (frame !== undefined && !this.#isClosed) this.#options.onFrame(frame);
      }
    } catch (error) {
      if (this.#isClosed) return;
      this.close();
      this.#options.onFailure(error);
    }
  }
}

/** struct sockaddr_ll. */
function linkAddress(index: number, etherType: number): Buffer {
  const address = Buffer.alloc(addressBytes);
  address.writeUInt16LE(afPacket, 0);
  address.writeUInt16BE(etherType, 2);
  address.writeInt32LE(index, 4);
  return address;
}

function encodeHeader(left: LeftToDo | undefined): Buffer {
  const header = Buffer.alloc(headerBytes);
  if (left === undefined) return header;
  header.writeUInt8(flagNeedsChecksum, 0);
  header.writeUInt16LE(left.checksumStart, 6);
  header.writeUInt16LE(left.checksumOffset, 8);
  if (left.segments === undefined) return header;
  header.writeUInt8(segmentKinds[left.segments.kind], 1);
  header.writeUInt16LE(left.segments.headerBytes, 2);
  header.writeUInt16LE(left.segments.payloadBytes, 4);
  return header;
}

/** Undefined for one that is for somebody else, or too long to be read whole. */
function decode({ data, sender, isCut }: Datagram): ReceivedFrame | undefined {
  if (isCut || data.length < headerBytes || sender.readUInt8(10) !== packetHost) return undefined;
  const flags = data.readUInt8(0);
  return { data: data.subarray(headerBytes), isUnfinished: (flags & flagNeedsChecksum) !== 0, isTrusted: (flags & flagDataValid) !== 0 };
}
