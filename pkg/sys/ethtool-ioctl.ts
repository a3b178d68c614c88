/** The ioctl by which a network interface is asked about its hardware: what ethtool(8) spoke before netlink. */
import { closeSocket, controlSocket, memoryAddress, openSocket } from './libc.ts';

/** include/uapi/linux/sockios.h. */
const siocEthtool = 0x8946;
// include/uapi/linux/if.h: IFNAMSIZ, and sizeof(struct ifreq).
const nameBytes = 16;
const ifreqBytes = 40;

/**
 * Hands a command of include/uapi/linux/ethtool.h to an interface of the calling thread's namespace. The kernel writes its answer over it.
 * @throws SystemCallError EOPNOTSUPP where the device knows no such command, ENODEV where there is no such interface
 */
export function controlDevice(name: string, command: ArrayBuffer): void {
  const [inet, datagram] = [2, 2];
  // struct ifreq: the name, and where the command is.
  const request = Buffer.alloc(ifreqBytes);
  request.write(name, 0, nameBytes - 1);
  request.writeBigUInt64LE(memoryAddress(command), nameBytes);
  const fd = openSocket(inet, datagram, 0);
  try {
    controlSocket(fd, siocEthtool, request);
  } finally {
    closeSocket(fd);
  }
}
