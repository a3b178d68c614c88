/** Sending frames out of a link, as they are: packet(7). */
import { closeSocket, int32, openSocket, sendTo, setSocketOption } from './libc.ts';

const afPacket = 17;
const sockRaw = 3;
/** struct sockaddr_ll: family, protocol, index, and what only a receiver fills in. */
const addressBytes = 20;

// include/uapi/asm-generic/socket.h
const solSocket = 1;
const soSendBufferForce = 32;
// include/linux/socket.h
const messageDontWait = 0x40;

/**
 * A frame counts against its socket until it has left the node. Out of a VXLAN device with a VTEP that answers no ARP it stays for
 * seconds, with up to 208 KiB of others (net.ipv4.neigh.*.unres_qlen_bytes): room for some tens of such VTEPs, so that the frames for
 * the living ones are still taken.
 */
const sendBufferBytes = 8 * 1024 * 1024;

/** A socket that only sends. */
export interface PacketSender {
  /**
   * Sends a frame, from its destination MAC on, out of the link with the index. It never waits.
   * @throws SystemCallError, such as ENETDOWN; EAGAIN when too many frames wait to leave the node
   */
  send(index: number, frame: Uint8Array): void;
  close(): void;
}

/** Opens a sender in the thread's network namespace. With protocol 0 nothing is received. @throws SystemCallError */
export function openPacketSender(): PacketSender {
  const fd = openSocket(afPacket, sockRaw, 0);
  // It is doubled by the kernel, and beyond net.core.wmem_max for CAP_NET_ADMIN alone, which sending needs anyway (socket(7)).
  setSocketOption(fd, { level: solSocket, name: soSendBufferForce, value: int32(sendBufferBytes / 2) });
  return {
    send(index, frame) {
      const address = Buffer.alloc(addressBytes);
      address.writeUInt16LE(afPacket, 0);
      address.writeInt32LE(index, 4);
      sendTo(fd, frame, address, messageDontWait);
    },
    close: () => closeSocket(fd),
  };
}
