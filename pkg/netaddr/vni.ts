import { currentValue } from './current-value.ts';

/** A VXLAN network identifier: a whole number from vniMin to vniMax. */
export type Vni = number & { readonly __vni: unique symbol };

/** The kernel's VXLAN device takes 0 for "not set" (drivers/net/vxlan/vxlan_core.c, collect metadata); no tenant can have it. */
export const vniMin = 1;
/** RFC 7348 §5: 24 bits. */
export const vniMax: number = 2 ** 24 - 1;

/**
 * Reads a VNI; text is not taken for a number.
 *
 * @throws RangeError naming the value
 */
export function parseVni(value: unknown, name = 'vni'): Vni {
  if (typeof value === 'number' && Number.isInteger(value) && value >= vniMin && value <= vniMax) return value as Vni;
  throw new RangeError(`${name} must be a whole number from ${vniMin} to ${vniMax}: ${currentValue(value)}`);
}
