/** Messages made by hand for the tests of this folder. */
import type { NetlinkMessage } from './codec.ts';

/** A message as the kernel would send it: the family's header in hexadecimal, then attributes. */
export function craftMessage(header: string, ...attributes: readonly Uint8Array[]): NetlinkMessage {
  return { type: 0, flags: 0, sequence: 1, portId: 1, payload: Buffer.concat([Buffer.from(header.replaceAll(' ', ''), 'hex'), ...attributes]) };
}
