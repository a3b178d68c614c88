/** Offloads of a network interface, by the ioctl that ethtool(8) uses for these. */
import { closeSocket, controlSocket, memoryAddress, openSocket } from './libc.ts';

// include/uapi/linux/sockios.h, include/uapi/linux/ethtool.h
const siocEthtool = 0x8946;
const ethtoolSetTxChecksum = 0x17;
const nameBytes = 16;
const ifreqBytes = 40;

/**
 * Whether the interface of the calling thread's namespace leaves the checksums of what it sends to whoever receives it, and with them
 * segmentation. Equivalent to: `ethtool -K NAME tx on|off`.
 * @throws SystemCallError
 */
export function setTxChecksum(name: string, isOffloaded: boolean): void {
  const [inet, datagram] = [2, 2];
  // struct ethtool_value.
  const value = new ArrayBuffer(8);
  new Uint32Array(value).set([ethtoolSetTxChecksum, isOffloaded ? 1 : 0]);
  // struct ifreq: the name, and where the value is.
  const request = Buffer.alloc(ifreqBytes);
  request.write(name, 0, nameBytes - 1);
  request.writeBigUInt64LE(memoryAddress(value), nameBytes);
  const fd = openSocket(inet, datagram, 0);
  try {
    controlSocket(fd, siocEthtool, request);
  } finally {
    closeSocket(fd);
  }
}

