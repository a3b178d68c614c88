/** UDP addresses as the kernel has them. */
import { addressBytes, addressFromBytes, type Address, type Family } from '../netaddr/netaddr.ts';

/** A UDP address. */
export interface UdpAddress {
  readonly address: Address;
  readonly port: number;
}

/** Protocol families of sockets: AF_INET, AF_INET6. */
export const domains: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
const bytes = { 4: 16, 6: 28 } as const;
const addressOffset = { 4: 4, 6: 8 } as const;

/** struct sockaddr_in, struct sockaddr_in6. */
export function encodeSocketAddress({ address, port }: UdpAddress): Uint8Array {
  const encoded = Buffer.alloc(bytes[address.family]);
  encoded.writeUInt16LE(domains[address.family], 0);
  encoded.writeUInt16BE(port, 2);
  encoded.set(addressBytes(address), addressOffset[address.family]);
  return encoded;
}

/** What a socket of this family says of an address; undefined where it says none. */
export function decodeSocketAddress(family: Family, encoded: Buffer): UdpAddress | undefined {
  if (encoded.length < bytes[family]) return undefined;
  const offset = addressOffset[family];
  return { address: addressFromBytes(encoded.subarray(offset, offset + (family === 4 ? 4 : 16))), port: encoded.readUInt16BE(2) };
}
