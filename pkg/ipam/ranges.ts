/** Arithmetic of address ranges: which addresses endpoints can have, and what is left of a range set. */
import { addressBits, compareAddresses, firstAddress, formatAddress, lastAddress, type Address, type Prefix } from '../netaddr/netaddr.ts';

/** All addresses from first to last, both included and of one family. */
export interface AddressSpan {
  readonly first: Address;
  readonly last: Address;
}

/** Addresses of one subnet that may be given to endpoints; the gateway and what is excluded are never given. */
export interface AddressRange extends AddressSpan {
  readonly subnet: Prefix;
  readonly gateway?: Address;
}

/** Ranges of one family, in the order they are used up. An endpoint gets one address from each set. */
export type RangeSet = readonly AddressRange[];

/** A part of a range that is free of the gateway and of excluded addresses. */
export interface FreeSpan extends AddressSpan {
  readonly range: AddressRange;
}

/** The span as messages show it: `10.1.1.10-10.1.1.99`, or the address alone. */
export function formatSpan({ first, last }: AddressSpan): string {
  return first.value === last.value ? formatAddress(first) : `${formatAddress(first)}-${formatAddress(last)}`;
}

/** True if the address is one of the span's. */
export function spanContains(span: AddressSpan, address: Address): boolean {
  return span.first.family === address.family && span.first.value <= address.value && address.value <= span.last.value;
}

/** True if any address is in both. */
export function spansOverlap(a: AddressSpan, b: AddressSpan): boolean {
  return a.first.family === b.first.family && a.first.value <= b.last.value && b.first.value <= a.last.value;
}

/** Every address of the subnet. */
export function spanOf(subnet: Prefix): AddressSpan {
  return { first: firstAddress(subnet), last: lastAddress(subnet) };
}

/**
 * The addresses that hosts of a subnet can have: without IPv4's network and broadcast address, without IPv6's
 * subnet-router anycast address (RFC 4291 §2.6.1). Subnets of one or two addresses have neither (RFC 3021, RFC 6164).
 */
export function usableSpan(subnet: Prefix): AddressSpan {
  const { first, last } = spanOf(subnet);
  if (isPointToPoint(subnet)) return { first, last };
  const broadcast = subnet.family === 4 ? 1n : 0n;
  return { first: { ...first, value: first.value + 1n }, last: { ...last, value: last.value - broadcast } };
}

/** The gateway of a subnet that names none, as in host-local; of one or two addresses none is taken away for it. */
export function defaultGateway(subnet: Prefix): Address | undefined {
  return isPointToPoint(subnet) ? undefined : usableSpan(subnet).first;
}

/** Order for sorting: by family, then by the first address. */
export function compareSpans(a: AddressSpan, b: AddressSpan): number {
  return compareAddresses(a.first, b.first);
}

/** What may be given of a set, in the set's order. Its length depends on how much is excluded, not on the ranges' sizes. */
export function freeSpans(set: RangeSet, exclude: readonly AddressSpan[]): readonly FreeSpan[] {
  return set.flatMap((range) => freeSpansOf(range, exclude));
}

/** How many addresses a set can give. */
export function poolSize(set: RangeSet, exclude: readonly AddressSpan[]): bigint {
  return freeSpans(set, exclude).reduce((size, { first, last }) => size + last.value - first.value + 1n, 0n);
}

function isPointToPoint({ family, length }: Prefix): boolean {
  return length >= addressBits[family] - 1;
}

function freeSpansOf(range: AddressRange, exclude: readonly AddressSpan[]): readonly FreeSpan[] {
  const { gateway } = range;
  const ofGateway = gateway === undefined ? [] : [{ first: gateway, last: gateway }];
  const holes = [...exclude, ...ofGateway].filter((hole) => spansOverlap(hole, range)).sort(compareSpans);
  const spans: FreeSpan[] = [];
  let next = range.first.value;
  const keepUntil = (last: bigint): void => {
    if (next <= last) spans.push({ range, first: { ...range.first, value: next }, last: { ...range.last, value: last } });
  };
  for (const hole of holes) {
    keepUntil(hole.first.value - 1n);
    if (hole.last.value >= next) next = hole.last.value + 1n;
  }
  keepUntil(range.last.value);
  return spans;
}
