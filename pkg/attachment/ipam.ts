/** Where an attachment's addresses come from: weft's own pools, another plugin, or nowhere (layer 2). */
import { delegateAdd, delegateDel, type DelegateRequest } from '../cni/delegate.ts';
import type { CniRequest } from '../cni/dispatch.ts';
import { isIdentifier } from '../cni/identifier.ts';
import { isJsonObject, type JsonObject } from '../cni/json-value.ts';
import type { CniResult, CniRoute } from '../cni/result.ts';
import type { NetConf } from '../config/net-conf.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerTransaction } from '../ledger/ledger.ts';
import { parseAddress, parseInterfaceAddress, parsePrefix, type Address, type InterfaceAddress } from '../netaddr/netaddr.ts';
import type { AttachmentKey, Route } from '../overlay/model.ts';
import { choosePoolAddresses, type PoolAddress } from './addressing.ts';
import type { EngineParts } from './engine-parts.ts';

/** An address with the gateway that belongs to it. */
export interface AssignedAddress {
  readonly address: InterfaceAddress;
  readonly gateway?: Address;
  /** Index of the pool's range set; 0 for a delegate's. */
  readonly rangeSet: number;
}

/** What an attachment was given. */
export interface Assignment {
  readonly addresses: readonly AssignedAddress[];
  readonly routes: readonly Route[];
  readonly dns: CniResult['dns'];
}

const noAssignment: Assignment = { addresses: [], routes: [], dns: {} };

/** Asks the delegated plugin, where there is one. After this the caller owes it a DEL. */
export async function askDelegate(parts: EngineParts, request: CniRequest, conf: NetConf): Promise<Assignment | undefined> {
  if (conf.ipam.type !== 'delegate') return undefined;
  const result = await delegateAdd(conf.ipam.plugin, { ...request, conf: delegateConf(request.conf, conf) }, { executor: parts.executor });
  try {
    return readDelegateResult(result);
  } catch (error) {
    throw new WeftError('delegateFailed', `The IPAM plugin ${conf.ipam.plugin} must answer with valid addresses: ${describeError(error)}`, { cause: error });
  }
}

/** What the delegated plugin gets on stdin: the plugin's own configuration, with `ipam` also where the node configuration has it. */
export function delegateConf(json: JsonObject, { ipam }: NetConf): JsonObject {
  return ipam.type === 'delegate' ? { ...json, ipam: ipam.conf } : json;
}

/** The delegated plugin a configuration names, sound or not; for DEL and GC, which must work with a broken one. */
export function delegatedIpamOf(json: JsonObject): string | undefined {
  const ipam = json['ipam'];
  const type = isJsonObject(ipam) ? ipam['type'] : undefined;
  return typeof type === 'string' && isIdentifier(type) && isDelegated(type) ? type : undefined;
}

function readDelegateResult(result: CniResult): Assignment {
  // Without an address the port would be a layer 2 attachment's, whose addresses nobody guards.
  if (result.ips.length === 0) throw new RangeError('ips must have at least one address: current value is empty');
  const addresses = result.ips.map((ip) => ({
    address: parseInterfaceAddress(ip.address),
    rangeSet: 0,
    ...(ip.gateway === undefined ? {} : { gateway: parseAddress(ip.gateway) }),
  }));
  return { addresses, routes: completeRoutes(result.routes.map(readRoute), addresses), dns: result.dns };
}

function readRoute(route: CniRoute): Route {
  const { dst, gw, mtu, advmss, priority, table, scope } = route;
  const numbers = Object.fromEntries(Object.entries({ mtu, advmss, priority, table, scope }).filter(([, value]) => value !== undefined));
  return { dst: parsePrefix(dst), ...(gw === undefined ? {} : { gateway: parseAddress(gw) }), ...numbers };
}

/** Takes the addresses from the tenant's own pool, inside the ledger's transaction. */
export function assignFromPool(tx: LedgerTransaction, conf: NetConf): Assignment {
  if (conf.ipam.type !== 'weft') return noAssignment;
  const { pool } = conf.ipam;
  const chosen = choosePoolAddresses(tx, {
    vni: conf.vni,
    tenant: conf.tenant,
    pool,
    requested: conf.requestedAddresses,
    ...(conf.endpoint === undefined ? {} : { endpoint: conf.endpoint }),
  });
  return assignedFrom(pool.routes, chosen.map(assigned), conf);
}

/** The addresses with the pool's routes through their gateways. */
export function assignedFrom(routes: readonly Route[], addresses: readonly AssignedAddress[], { dns = {} }: Pick<NetConf, 'dns'>): Assignment {
  return { addresses, routes: completeRoutes(routes, addresses), dns };
}

function assigned({ address, setIndex, range }: PoolAddress): AssignedAddress {
  return { address, rangeSet: setIndex, ...(range.gateway === undefined ? {} : { gateway: range.gateway }) };
}

/** A route without a gateway goes through that of its family; without one of the family it is on-link (as the reference's ipam package). */
function completeRoutes(routes: readonly Route[], addresses: readonly AssignedAddress[]): Route[] {
  return routes.flatMap((route) => {
    const ofFamily = addresses.filter(({ address }) => address.address.family === route.dst.family);
    // A route of a family the container has no address of could not be used, and the kernel would refuse it.
    if (ofFamily.length === 0) return [];
    const gateway = route.gateway ?? (isOnLink(route) ? undefined : ofFamily.find((entry) => entry.gateway !== undefined)?.gateway);
    return [gateway === undefined ? route : { ...route, gateway }];
  });
}

/** RT_SCOPE_LINK, include/uapi/linux/rtnetlink.h: the configuration says that there is no gateway. */
const scopeLink = 253;

function isOnLink(route: Route): boolean {
  return route.scope === scopeLink;
}

/** The name under which the ledger remembers who gave the addresses. */
export function ipamName(conf: NetConf): string {
  return conf.ipam.type === 'delegate' ? conf.ipam.plugin : conf.ipam.type;
}

/** Whether the ledger's name is a delegated plugin's. */
export function isDelegated(ipam: string): boolean {
  return ipam !== 'weft' && ipam !== 'none';
}

/** Tells the plugin that gave an attachment's addresses that they are free. @throws WeftError delegateFailed */
export async function releaseDelegate(parts: EngineParts, record: Pick<AttachmentRecord, 'key' | 'netns' | 'ipam' | 'conf'>, request: Pick<CniRequest, 'env' | 'path'>): Promise<void> {
  if (!isDelegated(record.ipam)) return;
  await delegateDel(record.ipam, { ...callOf(record.key, record.netns, request), conf: parseConf(record.conf) }, { executor: parts.executor });
}

/** The call as the attachment's own DEL would have been: another call's environment names another container, or none. */
export function callOf(key: AttachmentKey, netns: string, { env, path }: Pick<CniRequest, 'env' | 'path'>): Omit<DelegateRequest, 'conf'> {
  const call = { CNI_CONTAINERID: key.containerId, CNI_IFNAME: key.ifName, CNI_NETNS: netns };
  return { env: { ...env, ...call }, path, cniVersion: '1.0.0' };
}

/** A configuration that was written down; empty where it is no object, or no JSON: the launcher writes down what it is given. */
export function parseConf(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
