/**
 * What is kept of a tenant's remote endpoints: what BGP announces, and for a while what it has ceased to announce. Pure; one for each tenant.
 *
 * FRR takes everything out of the kernel when one of its programs ends, here or on the other node, although the containers go on. So what
 * is not announced any more is told apart:
 * - Nothing can be heard (FRR is away, or has no session): everything stays.
 * - The VTEP is not announced either: its node's FRR is away, or the node. All of it stays for `retainMs`, counted while others can be heard.
 * - The VTEP is announced, the endpoint is not: it was withdrawn. It goes after `withdrawMs`, since of a session that ends FRR
 *   takes back one route after the other.
 */
import { compareAddresses, formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import type { RemoteEndpoint } from '../overlay/model.ts';

/** What BGP says of one tenant at one moment. */
export interface Announced {
  /** Whether FRR runs and has a session: otherwise what is not announced may just not be heard. */
  readonly isHearing: boolean;
  /** Of the other nodes that have the tenant (RFC 7432 §7.3, type 3). */
  readonly vteps: readonly Address[];
  /** Endpoints on other nodes (RFC 7432 §7.2, type 2), each MAC once. */
  readonly endpoints: readonly RemoteEndpoint[];
}

/** When nothing can be heard. */
export const unheard: Announced = { isHearing: false, vteps: [], endpoints: [] };

/** What the node should have of the tenant's other nodes. */
export interface Retained {
  /** In order: the same set is the same list. */
  readonly vteps: readonly Address[];
  readonly endpoints: readonly RemoteEndpoint[];
  /** Those of `vteps` that are not announced. */
  readonly lost: readonly Address[];
  /** Milliseconds until something is to go, if nothing changes; absent: never. */
  readonly dueMs?: number;
}

/** What is kept, and how long. */
export interface RetentionOptions {
  /** Whether the MAC is an endpoint's of this node: it is kept of no other. */
  readonly isLocal: (mac: Mac) => boolean;
  /** How long what a lost VTEP had announced is kept, milliseconds. */
  readonly retainMs: number;
  /** How long an endpoint that was withdrawn is kept. */
  readonly withdrawMs: number;
}

interface Known<T> {
  value: T;
  /** When it was missed first, milliseconds; undefined while it is announced, or nothing can be heard. */
  missingAt: number | undefined;
}

/** The memory of one tenant. */
export class Retention {
  readonly #vteps = new Map<string, Known<Address>>();
  readonly #endpoints = new Map<Mac, Known<RemoteEndpoint>>();

  /** @param present what the node has, from before the daemon's start */
  constructor(present: Pick<Retained, 'vteps' | 'endpoints'>) {
    for (const vtep of present.vteps) this.#vteps.set(formatAddress(vtep), { value: vtep, missingAt: undefined });
    for (const endpoint of present.endpoints) this.#endpoints.set(endpoint.mac, { value: endpoint, missingAt: undefined });
  }

  /** A VTEP that has just been heard of: what was asked for before knows nothing of it. */
  meet(vtep: Address): void {
    const text = formatAddress(vtep);
    if (!this.#vteps.has(text)) this.#vteps.set(text, { value: vtep, missingAt: undefined });
  }

  /**
   * Takes in what is announced now.
   *
   * @param now milliseconds of a clock that never goes back
   */
  look(now: number, announced: Announced, { retainMs, withdrawMs, isLocal }: RetentionOptions): Retained {
    for (const vtep of announced.vteps) this.#vteps.set(formatAddress(vtep), { value: vtep, missingAt: undefined });
    for (const endpoint of announced.endpoints) this.#endpoints.set(endpoint.mac, { value: endpoint, missingAt: undefined });
    this.#passOn(announced);
    const heard = new Set(announced.vteps.map(formatAddress));
    const due: number[] = [];
    const lost = new Set([...this.#vteps.keys()].filter((text) => !heard.has(text)));
    for (const text of lost) {
      if (!isKept(this.#vteps.get(text), { now, keepMs: announced.isHearing ? retainMs : Infinity, due })) this.#vteps.delete(text);
    }
    const macs = new Set(announced.endpoints.map(({ mac }) => mac));
    for (const [mac, known] of this.#endpoints) {
      const vtep = formatAddress(known.value.vtep);
      const isWithdrawn = announced.isHearing && heard.has(vtep) && !macs.has(mac);
      const isGone = isLocal(mac) || (!macs.has(mac) && !this.#vteps.has(vtep)) || !isKept(known, { now, keepMs: isWithdrawn ? withdrawMs : Infinity, due });
      if (isGone) this.#endpoints.delete(mac);
    }
    return {
      vteps: [...this.#vteps.values()].map(({ value }) => value).toSorted(compareAddresses),
      endpoints: [...this.#endpoints.values()].map(({ value }) => value),
      lost: [...lost].flatMap((text) => this.#vteps.get(text)?.value ?? []),
      ...(due.length === 0 ? {} : { dueMs: Math.min(...due) }),
    };
  }

  /** An address is at one MAC: of one that is only kept goes what another is announced with. */
  #passOn({ endpoints }: Announced): void {
    const owners = new Map(endpoints.flatMap(({ mac, addresses }) => addresses.map((address) => [formatAddress(address), mac] as const)));
    for (const known of this.#endpoints.values()) {
      const { mac, addresses } = known.value;
      const own = addresses.filter((address) => (owners.get(formatAddress(address)) ?? mac) === mac);
      if (own.length < addresses.length) known.value = { ...known.value, addresses: own };
    }
  }
}

/** Whether something that is missed stays, and when it will not. */
function isKept(known: Known<unknown> | undefined, { now, keepMs, due }: { readonly now: number; readonly keepMs: number; readonly due: number[] }): boolean {
  if (known === undefined) return false;
  if (keepMs === Infinity) {
    known.missingAt = undefined;
    return true;
  }
  known.missingAt ??= now;
  const leftMs = known.missingAt + keepMs - now;
  if (leftMs <= 0) return false;
  due.push(leftMs);
  return true;
}
