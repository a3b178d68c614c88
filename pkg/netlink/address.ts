/** Interface addresses: the requests of `ip address`. Pure. */
import { addressBytes, addressFromBytes, formatInterfaceAddress, type Family, type InterfaceAddress } from '../netaddr/netaddr.ts';
import { attribute, attributeU32, decodeAttributes, type NetlinkMessage, type NetlinkRequest } from './codec.ts';
import { createExclusive } from './link.ts';

// include/uapi/linux/rtnetlink.h, if_addr.h
const rtmNewAddr = 20;
const rtmDelAddr = 21;
const rtmGetAddr = 22;
const ifa = { address: 1, local: 2, flags: 8 } as const;
const flagNoDad = 0x02;
const headerBytes = 8;
const scopeUniverse = 0;
const scopeLink = 253;
const scopeHost = 254;

/** Address families as the kernel numbers them. */
export const familyNumbers: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };

export interface LinkAddress {
  /** Index of the link. */
  readonly index: number;
  readonly address: InterfaceAddress;
  readonly scope: 'global' | 'link' | 'host' | 'other';
}

/** struct ifaddrmsg. */
function addressHeader(options: { family: number; index: number; length?: number }): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(options.family, 0);
  bytes.writeUInt8(options.length ?? 0, 1);
  bytes.writeUInt32LE(options.index, 4);
  return bytes;
}

function addressMessage(index: number, address: InterfaceAddress): Uint8Array {
  const bytes = addressBytes(address.address);
  return Buffer.concat([
    addressHeader({ family: familyNumbers[address.address.family], index, length: address.length }),
    attribute(ifa.local, bytes),
    attribute(ifa.address, bytes),
    // The allocator vouches for uniqueness; detection would keep an IPv6 address tentative for a second (RFC 4862 §5.4).
    attributeU32(ifa.flags, flagNoDad),
  ]);
}

/** Equivalent to: `ip address add ADDRESS/LENGTH dev LINK nodad`. */
export function addAddress(index: number, address: InterfaceAddress): NetlinkRequest {
  return { type: rtmNewAddr, flags: createExclusive, payload: addressMessage(index, address), what: `add address ${formatInterfaceAddress(address)}` };
}

/** Equivalent to: `ip address del ADDRESS/LENGTH dev LINK`. */
export function delAddress(index: number, address: InterfaceAddress): NetlinkRequest {
  return { type: rtmDelAddr, flags: 0, payload: addressMessage(index, address), what: `delete address ${formatInterfaceAddress(address)}` };
}

/** Equivalent to: `ip address show [dev LINK]`. A dump; without an index, of all links. */
export function listAddresses(index = 0): NetlinkRequest {
  return { type: rtmGetAddr, flags: 0, payload: addressHeader({ family: 0, index }), what: 'list addresses' };
}

/** The address a RTM_NEWADDR message describes; undefined for families other than IPv4 and IPv6. */
export function decodeAddress(message: NetlinkMessage): LinkAddress | undefined {
  const { payload } = message;
  const attributes = decodeAttributes(payload, headerBytes);
  // On a point-to-point link IFA_ADDRESS is the far end; IFA_LOCAL, where present, is always this one.
  const bytes = attributes.get(ifa.local) ?? attributes.get(ifa.address);
  if (bytes === undefined || (bytes.length !== 4 && bytes.length !== 16)) return undefined;
  return {
    index: payload.readUInt32LE(4),
    address: { address: addressFromBytes(bytes), length: payload.readUInt8(1) },
    scope: decodeScope(payload.readUInt8(3)),
  };
}

function decodeScope(scope: number): LinkAddress['scope'] {
  switch (scope) {
    case scopeUniverse:
      return 'global';
    case scopeLink:
      return 'link';
    case scopeHost:
      return 'host';
    default:
      return 'other';
  }
}
