/** What the runtime asks for on behalf of one container: addresses and a MAC, from the three places where they may stand. */
import { isJsonObject } from '../cni/json-value.ts';
import { formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import { parseInterfaceMac, parseRequestedAddress } from './addresses.ts';
import type { EndpointArgs } from './endpoint-args.ts';
import { listOf, objectOf, text, type Reader } from './readers.ts';

/** What one place asks for; an empty list is no request. */
export interface Request {
  readonly ips?: readonly Address[];
  readonly mac?: Mac | '';
}

interface RequestFields {
  readonly ips: readonly Address[];
  readonly mac: Mac | '';
}

const readRequest = objectOf<RequestFields>(
  {
    ips: listOf('addresses', text('an address', parseRequestedAddress)),
    // Go's zero value: no request.
    mac: text('a MAC address', (value, name) => (value === '' ? value : parseInterfaceMac(value, name))),
  },
  { isIgnored: () => true },
);

/**
 * `runtimeConfig` (CNI CONVENTIONS.md, "Dynamic Plugin specific fields"). Its other keys are left alone: a runtime sends
 * only what `capabilities` lists. Runtimes are written in Go, whose JSON takes keys in any case, and some rely on it.
 */
export const runtimeConfig: Reader<Request> = (value, site) => readRequest(isJsonObject(value) ? lowerCaseKeys(value) : value, site);

/** `args` (CNI CONVENTIONS.md, "args in network config"), which may hold keys of any plugin; ours are those of `cni`. */
export const configuredArgs: Reader<{ readonly cni?: Request }> = objectOf<{ readonly cni: Request }>({ cni: readRequest }, { isIgnored: () => true });

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

function lowerCaseKeys(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key.toLowerCase(), field]));
}
