import { addressBits, formatAddress, parseAddress, type Address, type Family } from './address.ts';
import { currentValue } from './current-value.ts';

/** A subnet, such as 10.1.1.0/24. */
export interface Prefix {
  readonly family: Family;
  /** The first address's value; its host bits are zero. */
  readonly base: bigint;
  /** Bits: at most 32 or 128. */
  readonly length: number;
}

/** An address with the length of the subnet it is in, such as 10.1.1.5/24. */
export interface InterfaceAddress {
  readonly address: Address;
  /** Bits: at most 32 or 128. */
  readonly length: number;
}

/**
 * Reads a subnet such as 10.1.1.0/24 or 2001:db8::/64. The length must be written; host bits must be zero.
 *
 * @throws SyntaxError naming the value
 * @throws RangeError for host bits, naming the subnet that was probably meant
 */
export function parsePrefix(text: string, name = 'subnet'): Prefix {
  const read = readSlashed(text);
  if (read === undefined) throw new SyntaxError(`${name} must be a subnet like 10.1.1.0/24 or 2001:db8::/64: ${currentValue(text)}`);
  const prefix = prefixOf(read);
  if (prefix.base !== read.address.value) throw new RangeError(`${name} must be a subnet without host bits, such as ${formatPrefix(prefix)}: ${currentValue(text)}`);
  return prefix;
}

/** The canonical text, such as 10.1.1.0/24. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(firstAddress(prefix))}/${prefix.length}`;
}

/**
 * Reads an address with the length of its subnet, such as 10.1.1.5/24.
 *
 * @throws SyntaxError naming the value
 */
export function parseInterfaceAddress(text: string, name = 'address'): InterfaceAddress {
  const read = readSlashed(text);
  if (read === undefined) throw new SyntaxError(`${name} must be an address with the length of its subnet, like 10.1.1.5/24 or 2001:db8::5/64: ${currentValue(text)}`);
  return read;
}

/** The canonical text, such as 10.1.1.5/24. */
export function formatInterfaceAddress({ address, length }: InterfaceAddress): string {
  return `${formatAddress(address)}/${length}`;
}

/** The subnet the address is in. */
export function prefixOf({ address, length }: InterfaceAddress): Prefix {
  const hostBits = hostBitsOf(address.family, length);
  return { family: address.family, base: (address.value >> hostBits) << hostBits, length };
}

/** True if the address is in the subnet; never across families. */
export function prefixContains(prefix: Prefix, address: Address): boolean {
  return prefix.family === address.family && (address.value ^ prefix.base) >> hostBitsOf(prefix.family, prefix.length) === 0n;
}

/** True if any address is in both. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? prefixContains(a, firstAddress(b)) : prefixContains(b, firstAddress(a));
}

/** The subnet's lowest address: the network address of IPv4. */
export function firstAddress(prefix: Prefix): Address {
  return { family: prefix.family, value: prefix.base };
}

/** The subnet's highest address: the broadcast address of IPv4. */
export function lastAddress(prefix: Prefix): Address {
  return { family: prefix.family, value: prefix.base + (1n << hostBitsOf(prefix.family, prefix.length)) - 1n };
}

function hostBitsOf(family: Family, length: number): bigint {
  return BigInt(addressBits[family] - length);
}

const lengthPattern = /^(?:0|[1-9]\d{0,2})$/;

function readSlashed(text: string): InterfaceAddress | undefined {
  const slash = text.indexOf('/');
  const lengthText = text.slice(slash + 1);
  if (slash === -1 || !lengthPattern.test(lengthText)) return undefined;
  const address = tryParseAddress(text.slice(0, slash));
  const length = Number(lengthText);
  return address === undefined || length > addressBits[address.family] ? undefined : { address, length };
}

function tryParseAddress(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch {
    return undefined;
  }
}
