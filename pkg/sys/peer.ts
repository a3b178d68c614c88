/** The other end of a unix stream socket: who it is, and whether it is still there. */
import { getSocketOption, pollNow } from './libc.ts';

/** The process that connected (unix(7), SO_PEERCRED), as it was then. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Reads the credentials of a connected socket's other end. @throws SystemCallError */
export function readPeerCredentials(fd: number): PeerCredentials {
  const [solSocket, soPeerCred, ucredBytes] = [1, 17, 12];
  const value = Buffer.alloc(ucredBytes);
  getSocketOption(fd, { level: solSocket, name: soPeerCred, value });
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}

// include/uapi/asm-generic/poll.h
const pollErr = 0x8;
const pollHup = 0x10;
const pollRdHup = 0x2000;

/** Whether the other end has closed the connection or stopped sending, also where what it sent is still unread. poll(2), POLLRDHUP. */
export function hasHungUp(fd: number): boolean {
  return (pollNow(fd, pollRdHup) & (pollRdHup | pollHup | pollErr)) !== 0;
}
