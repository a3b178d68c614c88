/**
 * Names of the kernel objects weft makes. Every name begins with `weft-`: the guard's rules match on these prefixes,
 * so that an interface which is weft's and has no entry in the guard is closed, not open.
 */
import { createHash } from 'node:crypto';
import type { Vni } from '../netaddr/netaddr.ts';
import type { AttachmentKey } from './model.ts';

/** A container's host interface: prefix and nine characters of digest, 15 in all (IFNAMSIZ − 1). */
export const portPrefix = 'weft-p';
export const bridgePrefix = 'weft-br';
export const vxlanPrefix = 'weft-vx';

/** The tenant's bridge; the longest VNI, 16777215, fills the 15 characters exactly. */
export function bridgeName(vni: Vni): string {
  return `${bridgePrefix}${vni}`;
}

/** The tenant's VXLAN device. */
export function vxlanName(vni: Vni): string {
  return `${vxlanPrefix}${vni}`;
}

/** Lower-case base 32 without padding (RFC 4648 §6's alphabet). */
const digits = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * The host interface of an attachment, the same for every call with the same key, so that DEL finds it without a ledger.
 * Nine base-32 digits are 45 bits: with 100,000 attachments on a node the chance of any collision is 1 in 7000, and the
 * ledger refuses one.
 */
export function portName(key: AttachmentKey): string {
  const digest = createHash('sha256').update(JSON.stringify([key.network, key.containerId, key.ifName])).digest();
  let name = portPrefix;
  for (const byte of digest.subarray(0, 9)) name += digits[byte & 31];
  return name;
}

const aliasBytesMax = 255;

/** The description of a host interface, for the person who reads `ip link`. */
export function portAlias(key: AttachmentKey, tenant: string, pod?: string): string {
  const who = pod === undefined ? '' : ` pod ${pod}`;
  return truncateBytes(`weft tenant ${tenant} network ${key.network}${who} container ${key.containerId} ${key.ifName}`, aliasBytesMax);
}

function truncateBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  return bytes.length <= bytesMax ? text : new TextDecoder().decode(bytes.subarray(0, bytesMax)).replace(/\uFFFD+$/, '');
}
