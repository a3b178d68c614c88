import { currentValue } from './current-value.ts';

/** The IP version. */
export type Family = 4 | 6;

/** An IPv4 or IPv6 address. */
export interface Address {
  readonly family: Family;
  /** Below 2^32 for IPv4, below 2^128 for IPv6. */
  readonly value: bigint;
}

/** Length of an address in bits. */
export const addressBits: Readonly<Record<Family, 32 | 128>> = { 4: 32, 6: 128 };

/** RFC 4291 §2.2: eight groups of 16 bits. */
const groupCount = 8;

/**
 * Reads an IPv4 address of four decimal numbers without leading zeros, or an IPv6 address (RFC 4291 §2.2, the form with
 * an IPv4 tail included). Nothing else is taken: no spaces, zone ids, prefix lengths, hexadecimal or octal numbers.
 *
 * @throws SyntaxError naming the value
 */
export function parseAddress(text: string, name = 'address'): Address {
  const value4 = readIpv4(text);
  if (value4 !== undefined) return { family: 4, value: value4 };
  const value6 = readIpv6(text);
  if (value6 !== undefined) return { family: 6, value: value6 };
  throw new SyntaxError(`${name} must be an IPv4 address like 192.0.2.1 or an IPv6 address like 2001:db8::1: ${currentValue(text)}`);
}

/** The canonical text: dotted decimal, or RFC 5952 with the IPv4 tail of its section 5 for IPv4-mapped addresses. */
export function formatAddress(address: Address): string {
  if (address.family === 4) return addressBytes(address).join('.');
  if (address.value >> 32n === 0xffffn) return `::ffff:${formatAddress({ family: 4, value: address.value & 0xffffffffn })}`;
  const groups = groupsOf(address.value);
  const zeros = longestZeroRun(groups);
  // RFC 5952 §4.2.2: a single group of zeros is not shortened.
  if (zeros.length < 2) return joinGroups(groups);
  return `${joinGroups(groups.slice(0, zeros.start))}::${joinGroups(groups.slice(zeros.start + zeros.length))}`;
}

/** The address in network byte order: 4 or 16 bytes. */
export function addressBytes(address: Address): Uint8Array {
  const bytes = new Uint8Array(addressBits[address.family] / 8);
  let rest = address.value;
  for (let index = bytes.length - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/**
 * The address that 4 or 16 bytes in network byte order spell.
 *
 * @throws RangeError for any other number of bytes
 */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length !== 4 && bytes.length !== 16) throw new RangeError(`address must be 4 or 16 bytes long: current value is ${bytes.length}`);
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/** Order for sorting: IPv4 before IPv6, then by value. Negative, zero or positive. */
export function compareAddresses(a: Address, b: Address): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.value === b.value) return 0;
  return a.value < b.value ? -1 : 1;
}

/** True for the same address of the same family; 1.2.3.4 and ::ffff:1.2.3.4 are two. */
export function addressesEqual(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

/**
 * The address `count` after this one; a negative count goes back.
 *
 * @throws RangeError when that leaves the family's addresses
 */
export function addAddress(address: Address, count: bigint): Address {
  const value = address.value + count;
  if (value >= 0n && value < 1n << BigInt(addressBits[address.family])) return { family: address.family, value };
  throw new RangeError(`address must stay among the addresses of IPv${address.family}: current value is ${formatAddress(address)} and ${count}`);
}

/** False for what can name no single host: the unspecified address, multicast, IPv4's 0.0.0.0/8 and 240.0.0.0/4 (RFC 6890). */
export function isUnicastAddress(address: Address): boolean {
  if (address.family === 6) return address.value !== 0n && address.value >> 120n !== 0xffn;
  const firstByte = address.value >> 24n;
  return firstByte > 0n && firstByte < 224n;
}

const ipv4Pattern = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

function readIpv4(text: string): bigint | undefined {
  const numbers = ipv4Pattern.exec(text)?.slice(1).map(Number);
  if (numbers === undefined || numbers.some((number) => number > 255)) return undefined;
  return addressFromBytes(Uint8Array.from(numbers)).value;
}

function readIpv6(text: string): bigint | undefined {
  const [head, tail, ...more] = withoutIpv4Tail(text)?.split('::') ?? [];
  if (head === undefined || more.length > 0) return undefined;
  const before = splitGroups(head);
  const after = tail === undefined ? [] : splitGroups(tail);
  const missing = groupCount - before.length - after.length;
  // "::" stands for at least one group (RFC 4291 §2.2).
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...before, ...Array<string>(missing).fill('0'), ...after];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

/** The text with a dotted tail written as two groups; undefined if the tail is no IPv4 address. */
function withoutIpv4Tail(text: string): string | undefined {
  const tailStart = text.lastIndexOf(':') + 1;
  const tail = text.slice(tailStart);
  if (tailStart === 0 || !tail.includes('.')) return text;
  const value = readIpv4(tail);
  return value === undefined ? undefined : `${text.slice(0, tailStart)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}

function splitGroups(text: string): readonly string[] {
  return text === '' ? [] : text.split(':');
}

function groupsOf(value: bigint): readonly number[] {
  return Array.from({ length: groupCount }, (_, index) => Number((value >> BigInt(16 * (groupCount - 1 - index))) & 0xffffn));
}

function joinGroups(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

/** The longest run of zero groups, the first of equal ones (RFC 5952 §4.2.3). */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: index + 1 - length, length };
  }
  return best;
}
