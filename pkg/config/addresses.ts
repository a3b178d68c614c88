/** Readers for addresses as configurations write them. */
import { isUnicastAddress, isUnicastMac, parseAddress, parseInterfaceAddress, parseMac, parsePrefix, prefixContains, type Address, type Mac, type Prefix } from '../netaddr/netaddr.ts';
import { spanOf, type AddressSpan } from '../ipam/ranges.ts';
import { malformed, text, type Reader } from './readers.ts';

const addressNoun = 'an IPv4 or IPv6 address';

export const address: Reader<Address> = text(addressNoun, parseAddress);
export const prefix: Reader<Prefix> = text('a subnet like 10.1.1.0/24', parsePrefix);

/** A subnet, or an address alone. */
export const addressSpan: Reader<AddressSpan> = text('an address or a subnet', (value, name) => {
  if (value.includes('/')) return spanOf(parsePrefix(value, name));
  const only = parseAddress(value, name);
  return { first: only, last: only };
});

/** The underlay address of a VTEP: unicast, and one that other nodes can reach without naming an interface. */
export const vtepAddress: Reader<Address> = text(addressNoun, (value, name) => {
  const parsed = parseAddress(value, name);
  if (isUnicastAddress(parsed) && !localPrefixes.some((local) => prefixContains(local, parsed))) return parsed;
  throw malformed(name, 'an address at which other nodes reach this one, no multicast, loopback or link-local one', value);
});

/** 127.0.0.0/8 and ::1 (RFC 6890), and fe80::/10, which means nothing without a zone (RFC 4007). */
const localPrefixes: readonly Prefix[] = ['127.0.0.0/8', '::1/128', 'fe80::/10'].map((local) => parsePrefix(local));

/**
 * An address that somebody asks for, with or without the length of its subnet, which the pool knows better.
 *
 * @throws SyntaxError
 */
export function parseRequestedAddress(value: string, name: string): Address {
  const parsed = value.includes('/') ? parseInterfaceAddress(value, name).address : parseAddress(value, name);
  if (isUnicastAddress(parsed)) return parsed;
  throw malformed(name, 'the address of one host', value);
}

/**
 * A MAC that an interface can have.
 *
 * @throws SyntaxError
 */
export function parseInterfaceMac(value: string, name: string): Mac {
  const parsed = parseMac(value, name);
  if (isUnicastMac(parsed)) return parsed;
  throw malformed(name, 'the MAC address of one interface, not multicast and not zero', value);
}
