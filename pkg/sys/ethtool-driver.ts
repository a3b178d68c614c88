/** Whose driver a network interface has. */
import { controlDevice } from './ethtool-ioctl.ts';
import { SystemCallError } from './libc.ts';

/** ETHTOOL_GDRVINFO, include/uapi/linux/ethtool.h. */
const ethtoolGetDriver = 0x3;
/** struct ethtool_drvinfo: cmd, the driver's name of 32 bytes, and what is not needed here. */
const driverInfoBytes = 196;
const nameAt = 4;
const nameBytes = 32;

/**
 * The name of the driver of an interface of the calling thread's namespace, such as `virtio_net`; undefined where it says none. Equivalent to: `ethtool -i NAME`.
 * @throws SystemCallError ENODEV where there is no such interface
 */
export function readDriver(link: string): string | undefined {
  const answer = new ArrayBuffer(driverInfoBytes);
  new Uint32Array(answer, 0, 1).set([ethtoolGetDriver]);
  try {
    controlDevice(link, answer);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'EOPNOTSUPP') return undefined;
    throw error;
  }
  const bytes = Buffer.from(answer, nameAt, nameBytes);
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? nameBytes : end) || undefined;
}
