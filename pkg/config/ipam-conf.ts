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
import { anything, listOf, malformed, objectOf, scalar, wholeNumber, withoutAbsent, type Reader } from './readers.ts';

export type IpamConf =
  | { readonly type: 'weft'; readonly pool: Pool }
  /** Another IPAM plugin's business; `conf` is `ipam` as it was written, and it is the plugin's to check. */
  | { readonly type: 'delegate'; readonly plugin: string; readonly conf: JsonObject }
  /** Layer 2 only: weft gives no addresses. */
  | { readonly type: 'none' };

/** Reads `ipam`; an empty object is the reference plugins' way to say "layer 2 only". */
export const ipam: Reader<IpamConf> = (value, site) => {
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
};

/** host-local's keys that would be read without effect. */
function refused(reason: string): Reader<never> {
  return scalar((_value, name) => {
    throw new WeftError('unsupportedField', `${name} is not supported: ${reason}`);
  });
}

interface RangeFields {
  readonly subnet: Prefix;
  readonly rangeStart: Address;
  readonly rangeEnd: Address;
  readonly gateway: Address;
}

const rangeReaders = { subnet: prefix, rangeStart: address, rangeEnd: address, gateway: address };
const rangeFields = objectOf<RangeFields, 'subnet'>(rangeReaders, { required: ['subnet'] });

const range: Reader<RangeConf> = (value, site) => {
  const fields = rangeFields(value, site);
  return fields && { path: formatPath(site.path), ...fields };
};

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
    dst: prefix,
    gw: address,
    mtu: wholeNumber(1, uint32Max),
    advmss: wholeNumber(1, uint32Max),
    priority: wholeNumber(0, uint32Max),
    table: wholeNumber(0, uint32Max),
    scope: wholeNumber(0, 255),
  },
  { required: ['dst'] },
);

const route: Reader<Route> = (value, site) => {
  const fields = routeFields(value, site);
  if (fields === undefined) return undefined;
  const { gw: gateway, ...others } = fields;
  if (gateway === undefined || gateway.family === fields.dst.family) return { ...others, ...withoutAbsent({ gateway }) };
  report(siteWithin(site, 'gw'), `${formatPath(site.path)}.gw must be of the family of dst`);
  return undefined;
};

interface PoolFields extends RangeFields {
  readonly type: unknown;
  readonly ranges: readonly (readonly RangeConf[])[];
  readonly exclude: readonly AddressSpan[];
  readonly routes: readonly Route[];
  readonly dataDir: never;
  readonly resolvConf: never;
}

const poolFields = objectOf<PoolFields>({
  type: anything,
  ...rangeReaders,
  ranges: listOf('sets of ranges, one for each family', listOf('ranges', range)),
  exclude: listOf('addresses and subnets', addressSpan),
  routes: listOf('routes', route),
  dataDir: refused('weft keeps what it has given in its own state directory'),
  resolvConf: refused('write the name servers into dns'),
});

function readPool(value: JsonObject, site: Site): IpamConf | undefined {
  const faultsBefore = site.faults.length;
  const { ranges = [], exclude = [], routes = [], type: _, ...flat } = poolFields(value, site) ?? {};
  const flatSet = readFlatRange(flat, site);
  // What is missing because it was wrong must not be reported as missing.
  if (site.faults.length > faultsBefore) return undefined;
  return scalar((): IpamConf => ({ type: 'weft', pool: buildPool({ ranges: [...flatSet, ...ranges], exclude, routes }) }))(value, site);
}

/** host-local's older form, a single range in `ipam` itself; as there, its set comes before those of `ranges`. */
function readFlatRange({ subnet, ...others }: Partial<RangeFields>, site: Site): readonly (readonly RangeConf[])[] {
  const path = formatPath(site.path);
  if (subnet !== undefined) return [[{ path, subnet, ...others }]];
  const [stray] = Object.keys(others);
  if (stray !== undefined) report(siteWithin(site, stray), `${path}.${stray} must stand beside a subnet, in ${path} or in a range of ${path}.ranges`);
  return [];
}
