/** Whether a link has a carrier. Pure. */
import type { NetlinkMessage } from './codec.ts';

/** IFF_LOWER_UP, include/uapi/linux/if.h; struct ifinfomsg has the flags at byte 8. */
const flagLowerUp = 0x10000;
const flagsAt = 8;

/** Whether the link that a RTM_NEWLINK message describes has a carrier: nothing leaves by one that has none. */
export function hasCarrier({ payload }: Pick<NetlinkMessage, 'payload'>): boolean {
  return (payload.readUInt32LE(flagsAt) & flagLowerUp) !== 0;
}
