/** What the runtime asks for on behalf of one container: addresses and a MAC, from the three places where they may stand. */
import { isJsonObject } from '../cni/json-value.ts';
import { formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import { parseInterfaceMac, parseRequestedAddress } from './addresses.ts';
import { parseEndpoint, type EndpointArgs } from './endpoint-args.ts';
import type { Bandwidth, RateLimit } from '../overlay/model.ts';
import { allOthers, key, listOf, objectOf, readerOf, text, wholeNumber, withoutAbsent, type Reader } from './readers.ts';

/** What one place asks for; an empty list is no request. */
export interface Request {
  readonly ips?: readonly Address[];
  readonly mac?: Mac | '';
}

interface RequestFields {
  readonly ips: readonly Address[];
  readonly mac: Mac | '';
}

const notAsked = 'nothing is asked for';

const requestKeys = {
  ips: key(listOf('addresses', text('an address', parseRequestedAddress)), 'The addresses that the container is to have, with or without the length of the subnet; each of one range of the tenant.', { otherwise: notAsked }),
  // Go's zero value: no request.
  mac: key(text<Mac | ''>('a MAC address', (value, name) => (value === '' ? value : parseInterfaceMac(value, name))), 'The MAC that the interface is to have.', { otherwise: notAsked }),
};

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
const [rate, burst] = [{ unit: 'bits per second', otherwise: 'no limit, and so is 0' }, { unit: 'bits', otherwise: "weft's own choice, and so is 0" }];
const readBandwidthFields = objectOf<BandwidthFields>(
  {
    ingressrate: key(bits, 'What the container may receive.', { ...rate, spelling: 'ingressRate' }),
    ingressburst: key(bits, 'How much of that may come at once.', { ...burst, spelling: 'ingressBurst' }),
    egressrate: key(bits, 'What the container may send.', { ...rate, spelling: 'egressRate' }),
    egressburst: key(bits, 'How much of that may go at once.', { ...burst, spelling: 'egressBurst' }),
  },
  { ignored: allOthers },
);

/** `bandwidth` (CNI CONVENTIONS.md): bits, and bits per second; a rate of 0 is no limit. */
const bandwidth: Reader<Bandwidth> = readerOf(readBandwidthFields.shape, (value, site) => {
  const { ingressrate, ingressburst, egressrate, egressburst } = readBandwidthFields(lowerCased(value), site) ?? {};
  const limits = withoutAbsent({ ingress: limitOf(ingressrate, ingressburst), egress: limitOf(egressrate, egressburst) });
  return Object.keys(limits).length === 0 ? undefined : limits;
});

/** What Kubernetes' runtimes send for "no burst was asked for" (math.MaxInt32): 256 MiB at full speed, which is no limit. */
const burstUnset = 2 ** 31 - 1;

function limitOf(rateBits = 0, burstBits = 0): RateLimit | undefined {
  if (rateBits === 0) return undefined;
  return burstBits === 0 || burstBits >= burstUnset ? { rateBits } : { rateBits, burstBits };
}

const readRuntimeRequest = objectOf<RequestFields & { readonly bandwidth: Bandwidth }>(
  { ...requestKeys, bandwidth: key(bandwidth, 'Limits of what the container sends and receives.', { otherwise: 'no limit' }) },
  { ignored: allOthers },
);

/**
 * `runtimeConfig` (CNI CONVENTIONS.md, "Dynamic Plugin specific fields"). Its other keys are left alone: a runtime sends
 * only what `capabilities` lists. Runtimes are written in Go, whose JSON takes keys in any case, and some rely on it.
 */
export const runtimeConfig: Reader<RuntimeRequest> = readerOf(readRuntimeRequest.shape, (value, site) => readRuntimeRequest(lowerCased(value), site));

/** A request that stands in the configuration, where whoever cannot set CNI_ARGS names the endpoint; Multus puts its `cni-args` there. */
export interface ConfiguredRequest extends Request {
  readonly endpoint?: string;
}

const readConfiguredRequest = objectOf<RequestFields & { readonly endpoint: string }>(
  { ...requestKeys, endpoint: key(text("an endpoint's name", parseEndpoint), 'The identity that keeps its address and MAC, as WEFT_ENDPOINT.', { otherwise: 'nothing is kept' }) },
  { ignored: allOthers },
);

/** `args` (CNI CONVENTIONS.md, "args in network config"), which may hold keys of any plugin; ours are those of `cni`. */
export const configuredArgs: Reader<{ readonly cni?: ConfiguredRequest }> = objectOf<{ readonly cni: ConfiguredRequest }>(
  { cni: key(readConfiguredRequest, 'What is asked for where the runtime cannot say it; Multus puts its `cni-args` here.', { otherwise: notAsked }) },
  { ignored: allOthers },
);

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
