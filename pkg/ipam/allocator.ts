/** Which address an endpoint gets. Decides only; what is taken, the caller knows, and remembering is the ledger's. Pure. */
import { WeftError } from '../errors/weft-error.ts';
import { addressesEqual, formatAddress, formatPrefix, type Address } from '../netaddr/netaddr.ts';
import type { Pool } from './pool.ts';
import { formatSpan, freeSpans, spanContains, type AddressRange, type AddressSpan, type FreeSpan, type RangeSet } from './ranges.ts';

export { poolSize } from './ranges.ts';

/** What the choice of an address depends on besides the set. */
export interface ChoiceOptions {
  readonly exclude: readonly AddressSpan[];
  /** The address that was given last from this set. */
  readonly after?: Address;
  /** Asked for one address after the other until one is free. */
  readonly isTaken: (address: Address) => boolean;
}

/** An address and the range it is of. */
export interface Choice {
  readonly address: Address;
  readonly range: AddressRange;
}

/** A requested address and the range set whose address it is. */
export interface Placement extends Choice {
  readonly setIndex: number;
}

/**
 * The next free address of a set, or undefined when there is none. Goes round: from the address after the last one
 * given, through all ranges in their order, back to that one. An address that was freed is so the last to be given again.
 */
export function chooseAddress(set: RangeSet, { exclude, after, isTaken }: ChoiceOptions): Choice | undefined {
  for (const { range, first, last } of startingAfter(freeSpans(set, exclude), set, after)) {
    for (let { value } = first; value <= last.value; value++) {
      const address: Address = { family: first.family, value };
      if (!isTaken(address)) return { address, range };
    }
  }
  return undefined;
}

/**
 * Checks an address that somebody asks for; whether it is taken is not known here.
 *
 * @throws WeftError invalidConfiguration for an address that is in no range or is excluded
 * @throws WeftError addressTaken for a gateway
 */
export function checkRequested(pool: Pool, address: Address): Placement {
  const ranges = pool.sets.flat();
  const ofGateway = ranges.find(({ gateway }) => gateway !== undefined && addressesEqual(gateway, address));
  const text = formatAddress(address);
  if (ofGateway !== undefined) throw new WeftError('addressTaken', `the requested address must not be the gateway of ${formatPrefix(ofGateway.subnet)}: current value is ${text}`);
  const setIndex = pool.sets.findIndex((set) => set.some((range) => spanContains(range, address)));
  const range = pool.sets[setIndex]?.find((candidate) => spanContains(candidate, address));
  if (range === undefined) throw new WeftError('invalidConfiguration', `the requested address must be in a range of ipam (${ranges.map(formatSpan).join(', ')}): current value is ${text}`);
  const hole = pool.exclude.find((span) => spanContains(span, address));
  if (hole !== undefined) throw new WeftError('invalidConfiguration', `the requested address must not be in ipam.exclude (${formatSpan(hole)}): current value is ${text}`);
  return { address, range, setIndex };
}

/**
 * Checks all addresses that an endpoint asks for: each as checkRequested() does, and at most one of each set.
 *
 * @throws WeftError invalidConfiguration, addressTaken
 */
export function placeRequested(pool: Pool, addresses: readonly Address[]): readonly Placement[] {
  const placements = addresses.map((address) => checkRequested(pool, address));
  for (const [index, placement] of placements.entries()) {
    const rival = placements.slice(0, index).find(({ setIndex }) => setIndex === placement.setIndex);
    if (rival === undefined) continue;
    const both = `${formatAddress(rival.address)} and ${formatAddress(placement.address)}`;
    throw new WeftError('invalidConfiguration', `an endpoint must request at most one address of each set of ranges: ${both} are both of ipam.ranges[${placement.setIndex}]`);
  }
  return placements;
}

/** The spans turned so that they begin behind the given address and end with it. */
function startingAfter(spans: readonly FreeSpan[], set: RangeSet, after: Address | undefined): readonly FreeSpan[] {
  const current = after === undefined ? -1 : set.findIndex((range) => spanContains(range, after));
  // Nothing was given yet, or it was before somebody changed the ranges.
  if (after === undefined || current === -1) return spans;
  const pieces = spans.flatMap((span) => splitAfter(span, after));
  const isLater = ({ range, first }: FreeSpan): boolean => {
    const index = set.indexOf(range);
    return index > current || (index === current && first.value > after.value);
  };
  return [...pieces.filter(isLater), ...pieces.filter((piece) => !isLater(piece))];
}

function splitAfter(span: FreeSpan, address: Address): readonly FreeSpan[] {
  if (!spanContains(span, address) || span.last.value === address.value) return [span];
  return [
    { ...span, last: address },
    { ...span, first: { ...address, value: address.value + 1n } },
  ];
}
