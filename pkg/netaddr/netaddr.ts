/**
 * Value types of a network: addresses, prefixes, MACs, VNIs. Strict text in, canonical text out; no I/O, no policy.
 *
 * An address carries its family, so that nothing exists twice for IPv4 and IPv6, and its value is a bigint, so that
 * ranges are arithmetic. Every parser takes the name of what it reads as second argument; its message begins with it.
 *
 * The parsers are our own: a hostile or careless text must be refused, never read as another address, and libraries
 * that are lenient somewhere (zone ids, subnets inside addresses, leading zeros) cannot promise that.
 */
export {
  addAddress,
  addressBits,
  addressBytes,
  addressFromBytes,
  addressesEqual,
  compareAddresses,
  formatAddress,
  isUnicastAddress,
  parseAddress,
  type Address,
  type Family,
} from './address.ts';
export {
  firstAddress,
  formatInterfaceAddress,
  formatPrefix,
  lastAddress,
  parseInterfaceAddress,
  parsePrefix,
  prefixContains,
  prefixOf,
  prefixesOverlap,
  type InterfaceAddress,
  type Prefix,
} from './prefix.ts';
export { eui64LinkLocal, isUnicastMac, macBytes, macFromAddress, macFromBytes, parseMac, type Mac } from './mac.ts';
export { parseVni, vniMax, vniMin, type Vni } from './vni.ts';
