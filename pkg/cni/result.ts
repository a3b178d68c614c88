/**
 * The result of ADD (SPEC.md 1.1.0, "Success"), held in the 1.1.0 shape and rendered in the version the runtime asked for.
 *
 * One table for each kind of object says its fields, what they may hold and since which version they exist; reading
 * and rendering both follow it. Fields that no table names are dropped on reading, as the reference library does.
 */
import { WeftError } from '../errors/weft-error.ts';
import { isAbsent, isJsonObject, showValue } from './json-value.ts';
import type { CniVersion } from './versions.ts';

export interface CniInterface {
  readonly name: string;
  /** Absent where layer 2 addresses have no meaning. */
  readonly mac?: string;
  /** Bytes. */
  readonly mtu?: number;
  /** CNI_NETNS of an interface inside the container; absent for the host's interfaces. */
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}

export interface CniIp {
  /** Address and prefix length: `10.1.1.10/24`. */
  readonly address: string;
  readonly gateway?: string;
  /** Index into the result's `interfaces`. */
  readonly interface?: number;
}

export interface CniRoute {
  /** Prefix: `0.0.0.0/0`. */
  readonly dst: string;
  readonly gw?: string;
  /** Bytes. */
  readonly mtu?: number;
  /** Bytes of TCP MSS. */
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  /** rtnetlink scope number: 0 global, 253 link. */
  readonly scope?: number;
}

/** Name servers and search domains, as resolv.conf(5) has them. */
export interface CniDns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** What ADD answers. */
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns;
}

interface Kind {
  readonly noun: string;
  readonly accepts: (value: unknown) => boolean;
}

interface Field {
  readonly kind: Kind;
  readonly isRequired?: true;
  /** The version that introduced the field; absent: all that weft speaks have it. */
  readonly since?: '1.1.0';
}

type Fields<Item> = { readonly [Name in keyof Required<Item>]: Field };

const isText = (value: unknown): value is string => typeof value === 'string';

/** Addresses are matched by their alphabet only: the layers above parse them strictly, by family. */
const kinds = {
  text: { noun: 'a string', accepts: isText },
  texts: { noun: 'an array of strings', accepts: (value) => Array.isArray(value) && value.every(isText) },
  address: { noun: 'an IP address', accepts: (value) => isText(value) && /^[0-9A-Fa-f.:]+$/.test(value) },
  prefix: { noun: 'an IP address and prefix length such as 10.1.1.10/24', accepts: (value) => isText(value) && /^[0-9A-Fa-f.:]+\/[0-9]{1,3}$/.test(value) },
  whole: { noun: 'a whole number from 0 to 4294967295', accepts: (value) => typeof value === 'number' && value === value >>> 0 },
} as const satisfies Record<string, Kind>;

const interfaceFields: Fields<CniInterface> = {
  name: { kind: kinds.text, isRequired: true },
  mac: { kind: kinds.text },
  mtu: { kind: kinds.whole, since: '1.1.0' },
  sandbox: { kind: kinds.text },
  socketPath: { kind: kinds.text, since: '1.1.0' },
  pciID: { kind: kinds.text, since: '1.1.0' },
};

const ipFields: Fields<CniIp> = {
  address: { kind: kinds.prefix, isRequired: true },
  gateway: { kind: kinds.address },
  interface: { kind: kinds.whole },
};

const routeFields: Fields<CniRoute> = {
  dst: { kind: kinds.prefix, isRequired: true },
  gw: { kind: kinds.address },
  mtu: { kind: kinds.whole, since: '1.1.0' },
  advmss: { kind: kinds.whole, since: '1.1.0' },
  priority: { kind: kinds.whole, since: '1.1.0' },
  table: { kind: kinds.whole, since: '1.1.0' },
  scope: { kind: kinds.whole, since: '1.1.0' },
};

const dnsFields: Fields<CniDns> = {
  nameservers: { kind: kinds.texts },
  domain: { kind: kinds.text },
  search: { kind: kinds.texts },
  options: { kind: kinds.texts },
};

/** The result as the JSON object that ADD prints, in the form of the given version of the specification. */
export function renderResult(result: CniResult, version: CniVersion): Readonly<Record<string, unknown>> {
  return {
    cniVersion: version,
    interfaces: result.interfaces.map((item) => renderItem(item, interfaceFields, version)),
    ips: result.ips.map((ip) => ({ ...ipVersion(ip, version), ...renderItem(ip, ipFields, version) })),
    routes: result.routes.map((route) => renderItem(route, routeFields, version)),
    dns: renderItem(result.dns, dnsFields, version),
  };
}

/**
 * Reads a result of CNI 0.3.0 or newer: a runtime's `prevResult`, or what a delegated plugin printed (SPEC.md, "Success"
 * and the abbreviated form of IPAM plugins).
 *
 * @param subject what the value is called in messages
 * @throws WeftError invalidConfiguration (code 7) naming the field that is wrong
 */
export function parseResult(value: unknown, subject = 'prevResult'): CniResult {
  if (!isJsonObject(value)) throw malformed(subject, 'a JSON object', value);
  if (!isAbsent(value['ip4']) || !isAbsent(value['ip6'])) {
    throw new WeftError('invalidConfiguration', `${subject} must have the form of CNI 0.3.0 or newer (ips): current form is 0.2.0's (ip4, ip6)`);
  }
  const interfaces = readList(value['interfaces'], `${subject}.interfaces`, interfaceFields);
  const listed = readList(value['ips'], `${subject}.ips`, ipFields);
  // An IPAM plugin's result lists no interfaces; an index in it points at nothing, and the reference plugins ignore it.
  const ips = interfaces.length === 0 ? listed.map(withoutInterface) : listed;
  requireKnownInterfaces(ips, interfaces.length, subject);
  const routes = readList(value['routes'], `${subject}.routes`, routeFields);
  const dns = isAbsent(value['dns']) ? {} : readItem(value['dns'], `${subject}.dns`, dnsFields);
  return { interfaces, ips, routes, dns };
}

/**
 * The result of a plugin that runs later in a chain: what the plugins before it returned, then its own, whose interface
 * indices move behind theirs. Of `dns`, the earlier plugins' fields stand.
 */
export function appendResult(previous: CniResult, own: CniResult): CniResult {
  const offset = previous.interfaces.length;
  const shifted = own.ips.map((ip) => (ip.interface === undefined ? ip : { ...ip, interface: ip.interface + offset }));
  return {
    interfaces: [...previous.interfaces, ...own.interfaces],
    ips: [...previous.ips, ...shifted],
    routes: [...previous.routes, ...own.routes],
    dns: { ...own.dns, ...previous.dns },
  };
}

/** Before 1.0.0 every address names its family beside it (SPEC.md 0.4.0, "Result"). */
function ipVersion(ip: CniIp, version: CniVersion): { readonly version?: '4' | '6' } {
  if (version !== '0.4.0') return {};
  return { version: ip.address.includes(':') ? '6' : '4' };
}

function renderItem<Item extends object>(item: Item, fields: Fields<Item>, version: CniVersion): Partial<Item> {
  const rendered: Partial<Item> = {};
  for (const name of fieldNames(fields)) {
    const { since } = fields[name];
    if (item[name] !== undefined && (since === undefined || since === version)) rendered[name] = item[name];
  }
  return rendered;
}

function readList<Item extends object>(value: unknown, path: string, fields: Fields<Item>): readonly Item[] {
  if (isAbsent(value)) return [];
  if (!Array.isArray(value)) throw malformed(path, 'an array', value);
  return value.map((item: unknown, index) => readItem(item, `${path}[${index}]`, fields));
}

function readItem<Item extends object>(value: unknown, path: string, fields: Fields<Item>): Item {
  if (!isJsonObject(value)) throw malformed(path, 'a JSON object', value);
  const item: Record<PropertyKey, unknown> = {};
  for (const name of fieldNames(fields)) {
    const { kind, isRequired = false } = fields[name];
    const field = value[String(name)];
    // Go's zero value: an optional string that says nothing is one that was left out.
    if (!isRequired && (isAbsent(field) || field === '')) continue;
    if (!kind.accepts(field) || field === '') throw malformed(`${path}.${String(name)}`, kind.noun, field);
    item[name] = field;
  }
  // The table has a row for every field of Item, and each was checked above.
  return item as Item;
}

function fieldNames<Item>(fields: Fields<Item>): readonly (keyof Item)[] {
  return Object.keys(fields) as (keyof Item)[];
}

function withoutInterface({ interface: _, ...ip }: CniIp): CniIp {
  return ip;
}

/** An index past the end would come to mean the interface that the next plugin of the chain appends. */
function requireKnownInterfaces(ips: readonly CniIp[], count: number, subject: string): void {
  for (const [position, ip] of ips.entries()) {
    if (ip.interface === undefined || ip.interface < count) continue;
    throw malformed(`${subject}.ips[${position}].interface`, `an index into ${subject}.interfaces, which has ${count} entries`, ip.interface);
  }
}

function malformed(path: string, noun: string, value: unknown): WeftError {
  return new WeftError('invalidConfiguration', `${path} must be ${noun}: current value is ${showValue(value)}`);
}
