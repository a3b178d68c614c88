/**
 * Which addresses and MAC an attachment gets. Runs inside the ledger's write transaction, so that what was found free stays free.
 *
 * Precedence: what the call asks for, then what the endpoint's identity keeps, then the next free address of each range set.
 */
import { WeftError } from '../errors/weft-error.ts';
import { checkRequested, chooseAddress, placeRequested, type Placement } from '../ipam/allocator.ts';
import type { AddressRange, Pool, RangeSet } from '../ipam/pool.ts';
import type { Identity, LedgerReader, LedgerTransaction } from '../ledger/ledger.ts';
import { addressesEqual, formatAddress, formatPrefix, macFromAddress, type Address, type InterfaceAddress, type Mac, type Vni } from '../netaddr/netaddr.ts';
import { gatewayMac } from '../overlay/gateway-mac.ts';

/** An address of a pool, and the range it is from. */
export interface PoolAddress {
  readonly address: InterfaceAddress;
  readonly setIndex: number;
  readonly range: AddressRange;
}

/** Whose addresses are wanted, and what is asked for. */
export interface AddressQuestion {
  readonly vni: Vni;
  readonly tenant: string;
  readonly pool: Pool;
  readonly requested: readonly Address[];
  readonly endpoint?: string;
}

/**
 * One address from each range set, or those that were asked for.
 * @throws WeftError addressTaken, invalidConfiguration (outside every range), rangeExhausted
 */
export function choosePoolAddresses(tx: LedgerTransaction, question: AddressQuestion): PoolAddress[] {
  const { pool, vni, requested } = question;
  const identity = question.endpoint === undefined ? undefined : tx.findIdentity(vni, question.endpoint);
  const given = placeRequested(pool, requested).map(poolAddress);
  const kept = given.length === 0 ? keptAddresses(pool, identity) : [];
  const wanted = [...given, ...kept];
  for (const { address } of wanted) requireFree(tx, question, address.address);
  const rest = pool.sets.flatMap((set, setIndex) => (wanted.some((found) => found.setIndex === setIndex) ? [] : [chooseFree(tx, question, { set, setIndex })]));
  return [...wanted, ...rest].sort((a, b) => a.setIndex - b.setIndex);
}

function poolAddress({ address, range, setIndex }: Placement): PoolAddress {
  return { address: { address, length: range.subnet.length }, setIndex, range };
}

/** The identity's addresses that the pool still has; the configuration may have changed since. */
function keptAddresses(pool: Pool, identity: Identity | undefined): PoolAddress[] {
  return (identity?.addresses ?? []).flatMap(({ address }) => {
    try {
      return [poolAddress(checkRequested(pool, address))];
    } catch (error) {
      if (error instanceof WeftError) return [];
      throw error;
    }
  });
}

/** Who has an address, in words; undefined when nobody but the endpoint itself does. */
export function describeHolder(tx: LedgerReader, { vni, endpoint }: Pick<AddressQuestion, 'vni' | 'endpoint'>, address: Address): string | undefined {
  const allocation = tx.findAllocation(vni, address);
  if (allocation !== undefined) {
    const holder = tx.findAttachmentBySeq(allocation.seq)?.key;
    return `container ${holder?.containerId ?? 'unknown'}, ${holder?.ifName ?? 'unknown'}`;
  }
  const identity = tx.findIdentityByAddress(vni, address);
  return identity === undefined || identity.endpoint === endpoint ? undefined : `endpoint ${identity.endpoint}, for which it is kept`;
}

function requireFree(tx: LedgerTransaction, question: AddressQuestion, address: Address): void {
  const holder = describeHolder(tx, question, address);
  if (holder !== undefined) throw new WeftError('addressTaken', `The address ${formatAddress(address)} of tenant ${question.tenant} belongs to ${holder}: ask for another one`);
}

function chooseFree(tx: LedgerTransaction, question: AddressQuestion, { set, setIndex }: { set: RangeSet; setIndex: number }): PoolAddress {
  const { vni, pool } = question;
  const cursor = rangeSetKey(set);
  const after = tx.readCursor(vni, cursor);
  const found = chooseAddress(set, {
    exclude: pool.exclude,
    isTaken: (address) => describeHolder(tx, question, address) !== undefined,
    ...(after === undefined ? {} : { after }),
  });
  if (found === undefined) throw exhausted(tx, question, set);
  tx.writeCursor(vni, cursor, found.address);
  return { address: { address: found.address, length: found.range.subnet.length }, setIndex, range: found.range };
}

/** Names a range set for its cursor: its subnets, so that the cursor survives a change of rangeEnd. */
export function rangeSetKey(set: RangeSet): string {
  return set.map((range) => formatPrefix(range.subnet)).join(' ');
}

function exhausted(tx: LedgerTransaction, { vni, tenant }: AddressQuestion, set: RangeSet): WeftError {
  const ranges = set.map((range) => `${formatAddress(range.first)}–${formatAddress(range.last)}`).join(', ');
  const idle = tx.listIdentities(vni).filter((identity) => tx.findAttachmentByMac(vni, identity.mac) === undefined).length;
  const kept = idle === 0 ? '' : `; ${idle} endpoints that are not attached keep theirs`;
  return new WeftError('rangeExhausted', `No address is free in ${ranges} of tenant ${tenant}`, { details: `enlarge the range or remove containers${kept}` });
}

/** Each attempt that fails is one chance in millions. */
const macAttemptsMax = 8;

export interface MacQuestion {
  readonly vni: Vni;
  readonly tenant: string;
  readonly addresses: readonly InterfaceAddress[];
  readonly requested?: Mac;
  readonly endpoint?: string;
  /** MACs for an attachment without addresses, or whose derived one is taken; another one for each attempt. */
  readonly fallback: (attempt: number) => Mac;
}

/**
 * The MAC: as asked, as the identity keeps it, or made from the first address, so that an address that is used again has
 * the MAC that neighbours remember for it. @throws WeftError addressTaken
 */
export function chooseMac(tx: LedgerTransaction, question: MacQuestion): Mac {
  const { vni, requested, endpoint } = question;
  const kept = endpoint === undefined ? undefined : tx.findIdentity(vni, endpoint)?.mac;
  const wanted = requested ?? kept;
  if (wanted !== undefined) {
    if (isMacTaken(tx, question, wanted)) throw new WeftError('addressTaken', `The MAC ${wanted} is in use in tenant ${question.tenant}: ask for another one`);
    return wanted;
  }
  const first = question.addresses[0];
  const derived = first === undefined ? question.fallback(0) : macFromAddress(first.address);
  const candidates = [derived, ...Array.from({ length: macAttemptsMax }, (_, attempt) => question.fallback(attempt + 1))];
  const free = candidates.find((candidate) => !isMacTaken(tx, question, candidate));
  if (free === undefined) throw new WeftError('tryAgainLater', `No MAC could be found for a container of tenant ${question.tenant}: ask for one`);
  return free;
}

function isMacTaken(tx: LedgerTransaction, { vni, endpoint }: MacQuestion, mac: Mac): boolean {
  const identity = tx.findIdentityByMac(vni, mac);
  const isKeptForOther = identity !== undefined && identity.endpoint !== endpoint;
  return mac === gatewayMac(vni) || isKeptForOther || tx.findAttachmentByMac(vni, mac) !== undefined;
}

/** Whether an identity already says what the attachment has. */
export function identityMatches(identity: Identity | undefined, mac: Mac, addresses: readonly InterfaceAddress[]): boolean {
  if (identity?.mac !== mac || identity.addresses.length !== addresses.length) return false;
  return identity.addresses.every((kept, index) => {
    const other = addresses[index];
    return other !== undefined && addressesEqual(kept.address, other.address) && kept.length === other.length;
  });
}
