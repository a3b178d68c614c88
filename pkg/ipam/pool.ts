/**
 * A tenant's addresses: the configuration of `ipam` turned into ranges that are sound. Pure.
 *
 * The schema and its meaning are host-local's (containernetworking/plugins, plugins/ipam/host-local): one address from
 * each set of `ranges`; a range without bounds is its whole subnet, one without a gateway has the subnet's first
 * address. Where host-local is silent, this is strict: what contradicts itself or does nothing is refused.
 */
import { WeftError } from '../errors/weft-error.ts';
import { addressesEqual, formatAddress, formatPrefix, prefixesOverlap, type Address, type Prefix } from '../netaddr/netaddr.ts';
import type { Route } from '../overlay/model.ts';
import { compareSpans, defaultGateway, formatSpan, poolSize, spanContains, spanOf, spansOverlap, usableSpan, type AddressRange, type AddressSpan, type RangeSet } from './ranges.ts';

export type { AddressRange, AddressSpan, RangeSet } from './ranges.ts';

/** The addresses and routes for a tenant's endpoints. buildPool() guarantees that no two ranges share an address. */
export interface Pool {
  /** At least one; none is empty. */
  readonly sets: readonly RangeSet[];
  /** Never given, whoever asks. */
  readonly exclude: readonly AddressSpan[];
  /** As configured: a route without a gateway is still to get the one of the chosen range. */
  readonly routes: readonly Route[];
}

/** A range as it is written. */
export interface RangeConf {
  /** Where it is written, for messages: `ipam.ranges[0][1]`. */
  readonly path: string;
  readonly subnet: Prefix;
  readonly rangeStart?: Address;
  readonly rangeEnd?: Address;
  readonly gateway?: Address;
}

/** `ipam` as it is written. */
export interface PoolConf {
  readonly ranges: readonly (readonly RangeConf[])[];
  readonly exclude?: readonly AddressSpan[];
  readonly routes?: readonly Route[];
}

interface PlacedRange {
  readonly path: string;
  readonly range: AddressRange;
}

/**
 * Completes and checks a pool.
 *
 * @throws WeftError invalidConfiguration, one message with every fault
 */
export function buildPool({ ranges, exclude = [], routes = [] }: PoolConf): Pool {
  const gateways = gatewaysOf(ranges.flat());
  const faults: string[] = [];
  const sets = ranges.map((set) => set.map((conf) => placeRange(conf, gateways.get(formatPrefix(conf.subnet)), faults)));
  const placed = sets.flat();
  if (ranges.length === 0) faults.push('ipam.ranges must have at least one set of ranges: current value is empty');
  faults.push(...sets.flatMap(findSetFaults), ...findSubnetFaults(placed), ...findRangeFaults(placed), ...findExcludeFaults(exclude, placed));
  const pool = { sets: sets.map((set) => set.map(({ range }) => range)), exclude, routes };
  if (faults.length === 0) faults.push(...findExhaustedSets(pool));
  if (faults.length > 0) throw new WeftError('invalidConfiguration', faults.join('; '));
  return pool;
}

/** The gateway of each subnet, by the subnet's text: the first one written for it, else the subnet's first address. */
function gatewaysOf(confs: readonly RangeConf[]): ReadonlyMap<string, Address | undefined> {
  const gateways = new Map<string, Address | undefined>();
  for (const { subnet, gateway } of confs) {
    const key = formatPrefix(subnet);
    if (gateway !== undefined && !gateways.has(key)) gateways.set(key, gateway);
  }
  for (const { subnet } of confs) {
    const key = formatPrefix(subnet);
    if (!gateways.has(key)) gateways.set(key, defaultGateway(subnet));
  }
  return gateways;
}

/** The range with its defaults; a bound that is wrong is reported and replaced by the default, so that the other checks go on. */
function placeRange(conf: RangeConf, gateway: Address | undefined, faults: string[]): PlacedRange {
  const { path, subnet } = conf;
  const usable = usableSpan(subnet);
  const usableOr = (key: 'rangeStart' | 'rangeEnd' | 'gateway', fallback: Address): Address => {
    const address = conf[key];
    if (address === undefined || spanContains(usable, address)) return address ?? fallback;
    faults.push(`${path}.${key} must be an address that hosts of ${formatPrefix(subnet)} can have (${formatSpan(usable)}): current value is ${formatAddress(address)}`);
    return fallback;
  };
  const first = usableOr('rangeStart', usable.first);
  const last = usableOr('rangeEnd', usable.last);
  usableOr('gateway', usable.first);
  if (first.value > last.value) faults.push(`${path}.rangeStart must not be after rangeEnd: current values are ${formatAddress(first)} and ${formatAddress(last)}`);
  if (conf.gateway !== undefined && gateway !== undefined && !addressesEqual(conf.gateway, gateway)) {
    faults.push(`${path}.gateway must be the same for every range of ${formatPrefix(subnet)}: current values are ${formatAddress(gateway)} and ${formatAddress(conf.gateway)}`);
  }
  const range = { subnet, first, last };
  return { path, range: gateway === undefined ? range : { ...range, gateway } };
}

function findSetFaults(set: readonly PlacedRange[], index: number): readonly string[] {
  const [first] = set;
  if (first === undefined) return [`ipam.ranges[${index}] must have at least one range: current value is empty`];
  const stranger = set.find(({ range }) => range.subnet.family !== first.range.subnet.family);
  if (stranger === undefined) return [];
  return [`${stranger.path} must be of the family of its set: ${describe(stranger)} stands beside ${describe(first)}; give each family a set of its own`];
}

/** Sorted, so that whatever overlaps has an overlapping neighbour: a configuration of thousands of ranges stays cheap. */
function findSubnetFaults(placed: readonly PlacedRange[]): readonly string[] {
  const sorted = placed.toSorted((a, b) => compareSpans(spanOf(a.range.subnet), spanOf(b.range.subnet)) || a.range.subnet.length - b.range.subnet.length);
  return findNeighbours(sorted, (a, b) => a.range.subnet.length !== b.range.subnet.length && prefixesOverlap(a.range.subnet, b.range.subnet)).map(
    ([a, b]) => `${b.path}.subnet must not overlap another subnet: ${formatPrefix(b.range.subnet)} overlaps ${formatPrefix(a.range.subnet)} of ${a.path}`,
  );
}

function findRangeFaults(placed: readonly PlacedRange[]): readonly string[] {
  const sorted = placed.toSorted((a, b) => compareSpans(a.range, b.range));
  // Of different subnets that overlap, findSubnetFaults() speaks.
  return findNeighbours(sorted, (a, b) => a.range.subnet.length === b.range.subnet.length && spansOverlap(a.range, b.range)).map(
    ([a, b]) => `${b.path} must not overlap another range: ${describe(b)} overlaps ${describe(a)} of ${a.path}`,
  );
}

function findNeighbours(
  sorted: readonly PlacedRange[],
  isFault: (earlier: PlacedRange, later: PlacedRange) => boolean,
): readonly (readonly [PlacedRange, PlacedRange])[] {
  return sorted.flatMap((later, index) => {
    const earlier = sorted[index - 1];
    return earlier !== undefined && isFault(earlier, later) ? [[earlier, later] as const] : [];
  });
}

function findExcludeFaults(exclude: readonly AddressSpan[], placed: readonly PlacedRange[]): readonly string[] {
  const isUseless = (span: AddressSpan): boolean => !placed.some(({ range }) => spansOverlap(spanOf(range.subnet), span));
  return exclude.flatMap((span, index) =>
    isUseless(span) ? [`ipam.exclude[${index}] must be inside a subnet of ipam.ranges, else it does nothing: current value is ${formatSpan(span)}`] : [],
  );
}

function findExhaustedSets({ sets, exclude }: Pool): readonly string[] {
  return sets.flatMap((set, index) =>
    poolSize(set, exclude) === 0n ? [`ipam.ranges[${index}] must leave at least one address: the gateway and ipam.exclude take all of ${set.map(formatSpan).join(', ')}`] : [],
  );
}

function describe({ range }: PlacedRange): string {
  return `${formatSpan(range)} of ${formatPrefix(range.subnet)}`;
}
