/** How many packets may wait to be sent by a network interface. */
import { closeSocket, controlSocket, openSocket } from './libc.ts';

// include/uapi/linux/sockios.h
const getQueueLength = 0x8942;
const setQueueLengthRequest = 0x8943;
/** struct ifreq: the name, and ifr_qlen, an int. */
const [nameBytes, ifreqBytes] = [16, 40] as const;

/** `txqueuelen` of an interface of the calling thread's namespace, packets. @throws SystemCallError ENODEV */
export function readQueueLength(link: string): number {
  return control(link, getQueueLength, 0);
}

/** Equivalent to: `ip link set dev NAME txqueuelen PACKETS`. @throws SystemCallError */
export function setQueueLength(link: string, packets: number): void {
  control(link, setQueueLengthRequest, packets);
}

function control(link: string, request: number, packets: number): number {
  const [inet, datagram] = [2, 2];
  const argument = Buffer.alloc(ifreqBytes);
  argument.write(link, 0, nameBytes - 1);
  argument.writeInt32LE(packets, nameBytes);
  const fd = openSocket(inet, datagram, 0);
  try {
    controlSocket(fd, request, argument);
    return argument.readInt32LE(nameBytes);
  } finally {
    closeSocket(fd);
  }
}
