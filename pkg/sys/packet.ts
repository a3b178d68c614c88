/** Sending frames out of a link, as they are: packet(7). */
import { closeSocket, openSocket, sendTo } from './libc.ts';

const afPacket = 17;
const sockRaw = 3;
/** struct sockaddr_ll: family, protocol, index, and what only a receiver fills in. */
const addressBytes = 20;

/** A socket that only sends. */
export interface PacketSender {
  /** Sends a frame, from its destination MAC on, out of the link with the index. @throws SystemCallError, such as ENETDOWN */
  send(index: number, frame: Uint8Array): void;
  close(): void;
}

/** Opens a sender in the thread's network namespace. With protocol 0 nothing is received. @throws SystemCallError */
export function openPacketSender(): PacketSender {
  const fd = openSocket(afPacket, sockRaw, 0);
  return {
    send(index, frame) {
      const address = Buffer.alloc(addressBytes);
      address.writeUInt16LE(afPacket, 0);
      address.writeInt32LE(index, 4);
      sendTo(fd, frame, address);
    },
    close: () => closeSocket(fd),
  };
}
