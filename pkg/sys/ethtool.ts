/** Offloads of a network interface, by the ioctl that ethtool(8) uses for these. */
import { controlDevice } from './ethtool-ioctl.ts';

/** ETHTOOL_STXCSUM, include/uapi/linux/ethtool.h. */
const ethtoolSetTxChecksum = 0x17;

/**
 * Whether the interface of the calling thread's namespace leaves the checksums of what it sends to whoever receives it, and with them
 * segmentation. Equivalent to: `ethtool -K NAME tx on|off`.
 * @throws SystemCallError
 */
export function setTxChecksum(name: string, isOffloaded: boolean): void {
  // struct ethtool_value.
  const value = new ArrayBuffer(8);
  new Uint32Array(value).set([ethtoolSetTxChecksum, isOffloaded ? 1 : 0]);
  controlDevice(name, value);
}
