/** CNI_ARGS: what the runtime says of one container. */
import { showValue } from '../cni/json-value.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { Address, Mac } from '../netaddr/netaddr.ts';
import { parseInterfaceMac, parseRequestedAddress } from './addresses.ts';
import { nearestOf } from './nearest.ts';
import { malformed, withoutAbsent } from './readers.ts';

/** The pod as the runtime names it. */
export interface Pod {
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
}

export interface EndpointArgs {
  /** IP, a list with commas. */
  readonly addresses: readonly Address[];
  readonly mac?: Mac;
  /** WEFT_ENDPOINT, the identity that keeps address and MAC. */
  readonly endpoint?: string;
  /** Absent where the runtime names no pod. */
  readonly pod?: Pod;
}

/** A container of which nothing is said. */
export const noEndpointArgs: EndpointArgs = { addresses: [] };

const endpointCharactersMax = 253;

const knownKeys = ['IgnoreUnknown', 'IP', 'MAC', 'WEFT_ENDPOINT', 'K8S_POD_NAMESPACE', 'K8S_POD_NAME', 'K8S_POD_UID', 'K8S_POD_INFRA_CONTAINER_ID'] as const;
type KnownKey = (typeof knownKeys)[number];

/** What is told of a key of CNI_ARGS on the reference page: what its value must be, and what it does. */
export interface ArgShape {
  readonly value: string;
  readonly meaning: string;
}

/** The keys of CNI_ARGS. */
export const endpointArgs: Readonly<Record<KnownKey, ArgShape>> = {
  IgnoreUnknown: { value: '`1` or `true`', meaning: 'Keys that weft does not know are left alone; without it they are refused.' },
  IP: { value: 'addresses, with commas between them', meaning: 'The addresses that the container is to have, with or without the length of the subnet.' },
  MAC: { value: 'a MAC address', meaning: 'The MAC that the interface is to have.' },
  WEFT_ENDPOINT: { value: `1 to ${endpointCharactersMax} letters, digits, \`.\`, \`_\`, \`/\` and \`-\``, meaning: 'The identity that keeps its address and MAC when the container comes again, here or on another node.' },
  K8S_POD_NAMESPACE: { value: 'text', meaning: "The pod's namespace, which chooses the tenant where the plugin configuration names none." },
  K8S_POD_NAME: { value: 'text', meaning: "The pod's name, for people." },
  K8S_POD_UID: { value: 'text', meaning: "The pod's UID; nothing depends on it." },
  K8S_POD_INFRA_CONTAINER_ID: { value: 'text', meaning: 'Known, and not used.' },
};

/**
 * Reads the pairs of CNI_ARGS. A value that is empty says nothing. Keys that are not known are refused unless
 * IgnoreUnknown is 1 or true, as the reference library does (CNI CONVENTIONS.md, "CNI_ARGS").
 *
 * @throws WeftError invalidEnvironment (code 4), one message with every fault
 */
export function parseEndpointArgs(args: ReadonlyMap<string, string>): EndpointArgs {
  const faults = findUnknown(args);
  const read = <T>(key: KnownKey, parse: (value: string, name: string) => T): T | undefined => {
    try {
      const value = args.get(key);
      return value === undefined || value === '' ? undefined : parse(value, `${key} in CNI_ARGS`);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      faults.push(error.message);
      return undefined;
    }
  };
  const asIs = (value: string): string => value;
  const addresses = read('IP', (list, name) => list.split(',').map((item) => parseRequestedAddress(item, name))) ?? [];
  const mac = read('MAC', parseInterfaceMac);
  const endpoint = read('WEFT_ENDPOINT', parseEndpoint);
  const pod = withoutAbsent({ namespace: read('K8S_POD_NAMESPACE', asIs), name: read('K8S_POD_NAME', asIs), uid: read('K8S_POD_UID', asIs) });
  if (faults.length > 0) throw new WeftError('invalidEnvironment', faults.join('; '));
  return { addresses, ...withoutAbsent({ mac, endpoint, pod: Object.keys(pod).length === 0 ? undefined : pod }) };
}

function findUnknown(args: ReadonlyMap<string, string>): string[] {
  if (/^(?:1|t|true)$/i.test(args.get('IgnoreUnknown') ?? '')) return [];
  return [...args.keys()]
    .filter((key) => !knownKeys.some((known) => known === key))
    .map((key) => `unknown key ${showValue(key)} in CNI_ARGS: the nearest known key is ${showValue(nearestOf(key, knownKeys))} (IgnoreUnknown=1 lets others pass)`);
}

/** An endpoint's name. @throws SyntaxError naming what is wrong */
export function parseEndpoint(value: string, name: string): string {
  if (value.length <= endpointCharactersMax && /^[A-Za-z0-9._/-]+$/.test(value)) return value;
  throw malformed(name, `1 to ${endpointCharactersMax} letters, digits, ".", "_", "/" and "-"`, value);
}
