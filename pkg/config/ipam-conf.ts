/** `ipam` of a configuration: host-local's schema (CNI plugins, plugins/ipam/host-local) and `exclude`. */
import { isIdentifier } from '../cni/identifier.ts';
import { isJsonObject, type JsonObject } from '../cni/json-value.ts';
import { WeftError } from '../errors/weft-error.ts';
import { buildPool, type Pool, type RangeConf } from '../ipam/pool.ts';
import type { AddressSpan } from '../ipam/ranges.ts';
import type { Address, Prefix } from '../netaddr/netaddr.ts';
import type { Route } from '../overlay/model.ts';
import { address, addressSpan, prefix } from './addresses.ts';
import { formatPath, report, siteWithin, type Site } from './faults.ts';
import { key, listOf, malformed, objectOf, readerOf, scalar, wholeNumber, withoutAbsent, type Keys, type Reader } from './readers.ts';

export type IpamConf =
  | { readonly type: 'weft'; readonly pool: Pool }
  /** Another IPAM plugin's business; `conf` is `ipam` as it was written, and it is the plugin's to check. */
  | { readonly type: 'delegate'; readonly plugin: string; readonly conf: JsonObject }
  /** Layer 2 only: weft gives no addresses. */
  | { readonly type: 'none' };

/** host-local's keys that would be read without effect. */
function refused(reason: string): Reader<never> {
  return scalar({ kind: 'refused' }, (_value, name) => {
    throw new WeftError('unsupportedField', `${name} is not supported: ${reason}`);
  });
}

interface RangeFields {
  readonly subnet: Prefix;
  readonly rangeStart: Address;
  readonly rangeEnd: Address;
  readonly gateway: Address;
}

const rangeKeys: Keys<RangeFields> = {
  subnet: key(prefix, 'The subnet of the range; those of two tenants may be equal.', { otherwise: 'no range here' }),
  rangeStart: key(address, 'The first address that is given.', { otherwise: 'the first of the subnet that a host can have' }),
  rangeEnd: key(address, 'The last address that is given.', { otherwise: 'the last of the subnet that a host can have' }),
  gateway: key(address, 'The address that routes without `gw` lead to, and the one that the node has with `isGateway`; given to no container.', { otherwise: "the subnet's first address" }),
};
const rangeFields = objectOf<RangeFields, 'subnet'>(rangeKeys, { required: ['subnet'] });

const range: Reader<RangeConf> = readerOf(rangeFields.shape, (value, site) => {
  const fields = rangeFields(value, site);
  return fields && { path: formatPath(site.path), ...fields };
});

interface RouteFields {
  readonly dst: Prefix;
  readonly gw: Address;
  readonly mtu: number;
  readonly advmss: number;
  readonly priority: number;
  readonly table: number;
  readonly scope: number;
}

/** rtnetlink's 32-bit attributes (include/uapi/linux/rtnetlink.h). */
const uint32Max = 2 ** 32 - 1;

const routeFields = objectOf<RouteFields, 'dst'>(
  {
    dst: key(prefix, 'Where it leads; `0.0.0.0/0` and `::/0` are the default routes.'),
    gw: key(address, 'The next hop, of the same family.', { otherwise: 'the gateway of the container’s range; without one it is reached directly' }),
    mtu: key(wholeNumber(1, uint32Max), 'Of the route.', { unit: 'bytes', otherwise: "the interface's" }),
    advmss: key(wholeNumber(1, uint32Max), 'The segment size that TCP announces.', { unit: 'bytes', otherwise: "the kernel's" }),
    priority: key(wholeNumber(0, uint32Max), "The route's metric.", { otherwise: "the kernel's" }),
    table: key(wholeNumber(0, uint32Max), 'The routing table.', { otherwise: 'main' }),
    scope: key(wholeNumber(0, 255), "The route's scope, as in ip-route(8).", { otherwise: "the kernel's" }),
  },
  { required: ['dst'] },
);

const route: Reader<Route> = readerOf(routeFields.shape, (value, site) => {
  const fields = routeFields(value, site);
  if (fields === undefined) return undefined;
  const { gw: gateway, ...others } = fields;
  if (gateway === undefined || gateway.family === fields.dst.family) return { ...others, ...withoutAbsent({ gateway }) };
  report(siteWithin(site, 'gw'), `${formatPath(site.path)}.gw must be of the family of dst`);
  return undefined;
});

interface PoolFields extends RangeFields {
  readonly type: unknown;
  readonly ranges: readonly (readonly RangeConf[])[];
  readonly exclude: readonly AddressSpan[];
  readonly routes: readonly Route[];
  readonly dataDir: never;
  readonly resolvConf: never;
}

const poolFields = objectOf<PoolFields>({
  type: key(readerOf({ kind: 'text', noun: '`weft`, or the name of an IPAM plugin' }, (value: unknown) => value), '`weft` for the keys below. Any other type is the name of an IPAM plugin in CNI_PATH, which does the work and reads its own keys.', { otherwise: 'an empty `ipam` is layer 2 only: no addresses' }),
  ...rangeKeys,
  ranges: key(listOf('sets of ranges, one for each family', listOf('ranges', range)), 'A container gets one address from each set.', { otherwise: 'the one range that is written in `ipam` itself, as host-local has it' }),
  exclude: key(listOf('addresses and subnets', addressSpan), 'What is given to nobody.', { default: [] }),
  routes: key(listOf('routes', route), "The containers' routes beside that to their own subnet.", { default: [] }),
  dataDir: key(refused('weft keeps what it has given in its own state directory'), "Host-local's; weft keeps what it has given in its own state directory.", { otherwise: 'as it should be' }),
  resolvConf: key(refused('write the name servers into dns'), "Host-local's; write the name servers into `dns`.", { otherwise: 'as it should be' }),
});

/** Reads `ipam`; an empty object is the reference plugins' way to say "layer 2 only". */
export const ipam: Reader<IpamConf> = readerOf({ ...poolFields.shape, onlyOf: { key: 'type', word: 'weft' } }, (value, site) => {
  if (!isJsonObject(value)) {
    report(site, malformed(formatPath(site.path), 'an object', value).message);
    return undefined;
  }
  if (Object.keys(value).length === 0) return { type: 'none' };
  const { type } = value;
  if (type === 'weft') return readPool(value, site);
  // The specification has the type name a file in a directory of CNI_PATH: no slash may get in.
  if (typeof type === 'string' && isIdentifier(type)) return { type: 'delegate', plugin: type, conf: value };
  report(siteWithin(site, 'type'), malformed(formatPath([...site.path, 'type']), '"weft" or the name of an IPAM plugin', type).message);
  return undefined;
});

function readPool(value: JsonObject, site: Site): IpamConf | undefined {
  const faultsBefore = site.faults.length;
  const { ranges = [], exclude = [], routes = [], type: _, ...flat } = poolFields(value, site) ?? {};
  const flatSet = readFlatRange(flat, site);
  // What is missing because it was wrong must not be reported as missing.
  if (site.faults.length > faultsBefore) return undefined;
  return scalar(poolFields.shape, (): IpamConf => ({ type: 'weft', pool: buildPool({ ranges: [...flatSet, ...ranges], exclude, routes }) }))(value, site);
}

/** host-local's older form, a single range in `ipam` itself; as there, its set comes before those of `ranges`. */
function readFlatRange({ subnet, ...others }: Partial<RangeFields>, site: Site): readonly (readonly RangeConf[])[] {
  const path = formatPath(site.path);
  if (subnet !== undefined) return [[{ path, subnet, ...others }]];
  const [stray] = Object.keys(others);
  if (stray !== undefined) report(siteWithin(site, stray), `${path}.${stray} must stand beside a subnet, in ${path} or in a range of ${path}.ranges`);
  return [];
}
