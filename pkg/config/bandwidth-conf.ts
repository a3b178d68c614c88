/**
 * Limits in the node configuration: of a tenant's containers together, and of each. The keys are those of the capability `bandwidth` (CNI CONVENTIONS.md):
 * bits per second and bits, ingress towards the container. A number may be text with k, M or G, which are powers of ten: `100M`.
 */
import type { Bandwidth, RateLimit } from '../overlay/model.ts';
import { formatPath, report, siteWithin, type Site } from './faults.ts';
import { key, malformed, objectOf, readerOf, scalar, withoutAbsent, type Key, type Reader } from './readers.ts';

/** A tenant's `bandwidth`: its own limits, and those that each of its containers has. */
export interface TenantBandwidth {
  /** Of all its containers on a node together. */
  readonly together?: Bandwidth;
  /** Of each, unless its own are smaller. */
  readonly each?: Bandwidth;
}

interface Fields {
  readonly ingressRate: number;
  readonly ingressBurst: number;
  readonly egressRate: number;
  readonly egressBurst: number;
}

const factors: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };
/** Below it one packet of 1500 bytes lasts longer than 120 ms. */
const rateMin = 100_000;
const rateMax = 1e12;
/** Two Ethernet frames of 1518 bytes, in bits. */
const burstMin = 24_288;
/** The kernel counts a bucket's bytes in 32 bits (struct tc_tbf_qopt). */
const burstMax = 8 * 0xffffffff;
/** Seconds that a machine may be late by in sending: what the bucket does not hold by then is lost to the rate. */
const latenessSeconds = 0.001;

/** Bits, or bits a second. */
function bits(min: number, max: number): Reader<number> {
  const number = { kind: 'integer', min, max } as const;
  return scalar({ kind: 'either', shapes: [number, { kind: 'text', noun: 'a number with `k`, `M` or `G` behind it', pattern: '^[0-9]{1,15}(\\.[0-9]{1,9})?[kMG]?$' }] }, (value, name) => {
    const [, digits, factor = ''] = typeof value === 'string' ? /^(\d{1,15}(?:\.\d{1,9})?)([kMG]?)$/.exec(value) ?? [] : [];
    const number = digits === undefined ? value : Math.round(Number(digits) * (factors[factor] ?? 1));
    if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number;
    throw malformed(name, `bits from ${min} to ${max}, as a whole number or with k, M or G behind it ("100M")`, value);
  });
}

const [rate, burst] = [bits(rateMin, rateMax), bits(burstMin, burstMax)];
const rateOf = (who: string): Key<number> => key(rate, `What ${who}, on average.`, { unit: 'bits per second', otherwise: 'no limit in this direction' });
const burstOf = (which: string): Key<number> => key(burst, `What may pass at once after a while of quiet; at least a millisecond of ${which}.`, { unit: 'bits', otherwise: '25 ms of the rate, and at least 32 KiB' });
const keysOf = (who: string) => ({ ingressRate: rateOf(`${who} may receive`), ingressBurst: burstOf('ingressRate'), egressRate: rateOf(`${who} may send`), egressBurst: burstOf('egressRate') });
const readEach = objectOf<Fields>(keysOf('each container'));
const limitsOfEach: Reader<Bandwidth> = readerOf(readEach.shape, (value, site) => {
  const fields = readEach(value, site);
  return fields === undefined ? undefined : limitsOf(fields, site);
});

const readTenant = objectOf<Fields & { readonly each: Bandwidth }>({
  ...keysOf('all of the tenant\'s containers on a node together'),
  each: key(limitsOfEach, 'The same of each container; of this and what the runtime asks for it the smaller counts.', { otherwise: 'what the runtime asks' }),
});

/** Reads a tenant's `bandwidth`. */
export const tenantBandwidth: Reader<TenantBandwidth> = readerOf(readTenant.shape, (value, site) => {
  const fields = readTenant(value, site);
  if (fields === undefined) return undefined;
  const { each, ...together } = fields;
  if (each !== undefined && Object.keys(together).length === 0) return { each };
  return withoutAbsent({ together: limitsOf(together, site), each });
});

function limitsOf(fields: Partial<Fields>, site: Site): Bandwidth | undefined {
  const { ingressRate, ingressBurst, egressRate, egressBurst } = fields;
  const limits = withoutAbsent({ ingress: limitOf({ rate: ingressRate, burst: ingressBurst, key: 'ingress' }, site), egress: limitOf({ rate: egressRate, burst: egressBurst, key: 'egress' }, site) });
  if (Object.keys(limits).length > 0) return limits;
  if (site.faults.length === 0) report(site, `${formatPath(site.path)} must have ingressRate or egressRate`);
  return undefined;
}

function limitOf({ rate: rateBits, burst: burstBits, key }: { readonly rate: number | undefined; readonly burst: number | undefined; readonly key: 'ingress' | 'egress' }, site: Site): RateLimit | undefined {
  const at = siteWithin(site, `${key}Burst`);
  if (rateBits === undefined) {
    if (burstBits !== undefined && site.faults.length === 0) report(at, `${formatPath(at.path)} needs ${key}Rate: a burst alone is no limit`);
    return undefined;
  }
  if (burstBits === undefined) return { rateBits };
  const least = Math.ceil(rateBits * latenessSeconds);
  if (burstBits >= least) return { rateBits, burstBits };
  report(at, `${formatPath(at.path)} must be at least ${least}, which is a millisecond of ${key}Rate, or the rate is not reached: current value is ${burstBits}`);
  return undefined;
}

/** The limits that count of a container: in each direction the smaller rate. */
export function smallerOf(own: Bandwidth | undefined, each: Bandwidth | undefined): Bandwidth | undefined {
  const limits = withoutAbsent({ ingress: smaller(own?.ingress, each?.ingress), egress: smaller(own?.egress, each?.egress) });
  return Object.keys(limits).length === 0 ? undefined : limits;
}

function smaller(one: RateLimit | undefined, other: RateLimit | undefined): RateLimit | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.rateBits <= other.rateBits ? one : other;
}
