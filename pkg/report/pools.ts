/** How many addresses a tenant's ranges have left on this node. */
import { isJsonObject, type JsonObject } from '../cni/json-value.ts';
import type { IpamConf } from '../config/ipam-conf.ts';
import type { NodeConf } from '../config/node-model.ts';
import { readPluginConf } from '../config/plugin-conf.ts';
import type { Pool } from '../ipam/pool.ts';
import { formatSpan, freeSpans, poolSize, spanContains } from '../ipam/ranges.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { formatAddress, type Address, type Vni } from '../netaddr/netaddr.ts';
import type { LedgerContent } from './node-state.ts';

/** A set of ranges, from which each endpoint gets one address. */
export interface PoolReport {
  /** `10.1.1.10-10.1.1.99`, in the order in which they are used up. */
  readonly ranges: readonly string[];
  /** How many addresses it can give. Beyond 2⁵³ the nearest number that JSON has. */
  readonly size: number;
  /** How many of them nobody holds, and no endpoint keeps. */
  readonly free: number;
}

/** Whose pools are asked for. */
export interface PoolQuestion {
  readonly tenant: string;
  /** Undefined: the node configuration leaves it to the plugin's. */
  readonly vni: Vni | undefined;
  /** Undefined: there is none, or it cannot be read. */
  readonly node: NodeConf | undefined;
}

/**
 * The pools of a tenant: those of the configurations that its endpoints were attached with, the latest of each network; without
 * endpoints that of the node configuration. Empty where another IPAM plugin gives the addresses, or nobody does.
 */
export function reportPools(content: LedgerContent, { tenant, vni, node }: PoolQuestion): readonly PoolReport[] {
  const configured = node?.tenants.find(({ name }) => name === tenant)?.ipam;
  const attachments = content.attachments.filter((record) => record.tenant === tenant);
  const latest = new Map(attachments.map((record) => [record.key.network, record]));
  const ipams = latest.size === 0 ? [configured] : [...latest.values()].map((record) => ipamOf(record) ?? configured);
  const taken = vni === undefined ? [] : takenAddresses(content, vni);
  const reports = ipams.flatMap((ipam) => (ipam?.type === 'weft' ? reportPool(ipam.pool, taken) : []));
  // Two networks of a tenant usually have the same ranges.
  return [...new Map(reports.map((report) => [report.ranges.join(), report])).values()];
}

/** What the plugin's own configuration says of IPAM; a configuration that this weft would refuse says nothing. */
function ipamOf({ conf }: AttachmentRecord): IpamConf | undefined {
  try {
    return readPluginConf(parseObject(conf)).ipam;
  } catch {
    return undefined;
  }
}

function parseObject(json: string): JsonObject {
  const value: unknown = JSON.parse(json);
  return isJsonObject(value) ? value : {};
}

/** Held by an attachment or kept for an endpoint; each once. */
function takenAddresses({ allocations, identities }: LedgerContent, vni: Vni): readonly Address[] {
  const held = allocations.filter((allocation) => allocation.vni === vni).map(({ address }) => address);
  const kept = identities.filter((identity) => identity.vni === vni).flatMap(({ addresses }) => addresses.map(({ address }) => address));
  return [...new Map([...held, ...kept].map((address) => [formatAddress(address), address])).values()];
}

function reportPool({ sets, exclude }: Pool, taken: readonly Address[]): readonly PoolReport[] {
  return sets.map((set) => {
    const spans = freeSpans(set, exclude);
    const used = taken.filter((address) => spans.some((span) => spanContains(span, address))).length;
    const size = poolSize(set, exclude);
    return { ranges: set.map(formatSpan), size: Number(size), free: Number(size - BigInt(used)) };
  });
}
