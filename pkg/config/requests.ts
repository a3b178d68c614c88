/** What the runtime asks for on behalf of one container: addresses and a MAC, from the three places where they may stand. */
import { isJsonObject } from '../cni/json-value.ts';
import { formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import { parseInterfaceMac, parseRequestedAddress } from './addresses.ts';
import { parseEndpoint, type EndpointArgs } from './endpoint-args.ts';
import type { Bandwidth, RateLimit } from '../overlay/model.ts';
import { listOf, objectOf, text, wholeNumber, withoutAbsent, type Reader } from './readers.ts';

/** What one place asks for; an empty list is no request. */
export interface Request {
  readonly ips?: readonly Address[];
  readonly mac?: Mac | '';
}

interface RequestFields {
  readonly ips: readonly Address[];
  readonly mac: Mac | '';
}

const requestReaders = {
  ips: listOf('addresses', text('an address', parseRequestedAddress)),
  // Go's zero value: no request.
  mac: text<Mac | ''>('a MAC address', (value, name) => (value === '' ? value : parseInterfaceMac(value, name))),
};

/**
 * `runtimeConfig` (CNI CONVENTIONS.md, "Dynamic Plugin specific fields"). Its other keys are left alone: a runtime sends
 * only what `capabilities` lists. Runtimes are written in Go, whose JSON takes keys in any case, and some rely on it.
 */
export const runtimeConfig: Reader<RuntimeRequest> = (value, site) => readRuntimeRequest(lowerCased(value), site);

/** A request of the runtime's, which alone may limit the bandwidth. */
export interface RuntimeRequest extends Request {
  readonly bandwidth?: Bandwidth;
}

interface BandwidthFields {
  readonly ingressrate: number;
  readonly ingressburst: number;
  readonly egressrate: number;
  readonly egressburst: number;
}

const bits = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const readBandwidthFields = objectOf<BandwidthFields>({ ingressrate: bits, ingressburst: bits, egressrate: bits, egressburst: bits }, { isIgnored: () => true });

/** `bandwidth` (CNI CONVENTIONS.md): bits, and bits per second; a rate of 0 is no limit. */
const bandwidth: Reader<Bandwidth> = (value, site) => {
  const { ingressrate, ingressburst, egressrate, egressburst } = readBandwidthFields(lowerCased(value), site) ?? {};
  const limits = withoutAbsent({ ingress: limitOf(ingressrate, ingressburst), egress: limitOf(egressrate, egressburst) });
  return Object.keys(limits).length === 0 ? undefined : limits;
};

/** What Kubernetes' runtimes send for "no burst was asked for" (math.MaxInt32): 256 MiB at full speed, which is no limit. */
const burstUnset = 2 ** 31 - 1;

function limitOf(rateBits = 0, burstBits = 0): RateLimit | undefined {
  if (rateBits === 0) return undefined;
  return burstBits === 0 || burstBits >= burstUnset ? { rateBits } : { rateBits, burstBits };
}

const readRuntimeRequest = objectOf<RequestFields & { readonly bandwidth: Bandwidth }>({ ...requestReaders, bandwidth }, { isIgnored: () => true });

/** A request that stands in the configuration, where whoever cannot set CNI_ARGS names the endpoint; Multus puts its `cni-args` there. */
export interface ConfiguredRequest extends Request {
  readonly endpoint?: string;
}

const readConfiguredRequest = objectOf<RequestFields & { readonly endpoint: string }>({ ...requestReaders, endpoint: text("an endpoint's name", parseEndpoint) }, { isIgnored: () => true });

/** `args` (CNI CONVENTIONS.md, "args in network config"), which may hold keys of any plugin; ours are those of `cni`. */
export const configuredArgs: Reader<{ readonly cni?: ConfiguredRequest }> = objectOf<{ readonly cni: ConfiguredRequest }>({ cni: readConfiguredRequest }, { isIgnored: () => true });

/** The request that counts: the first place that asks for addresses, and the first that asks for a MAC. */
export function mergeRequests(places: readonly Request[]): { readonly addresses: readonly Address[]; readonly mac?: Mac } {
  const addresses = places.find(({ ips = [] }) => ips.length > 0)?.ips ?? [];
  const mac = places.find((place) => place.mac)?.mac;
  return mac ? { addresses, mac } : { addresses };
}

/** CNI_ARGS as a place of requests. */
export function requestOfArgs({ addresses, mac }: EndpointArgs): Request {
  return mac === undefined ? { ips: addresses } : { ips: addresses, mac };
}

/** What is wrong with a list of requested addresses: the first that is in it twice. */
export function findDouble(addresses: readonly Address[]): string | undefined {
  const texts = addresses.map(formatAddress);
  const double = texts.find((text, index) => texts.indexOf(text) < index);
  return double === undefined ? undefined : `the requested addresses must differ: ${double} is there twice`;
}

/** An object with its keys in lower case; anything else as it is. */
function lowerCased(value: unknown): unknown {
  return isJsonObject(value) ? Object.fromEntries(Object.entries(value).map(([key, field]) => [key.toLowerCase(), field])) : value;
}
