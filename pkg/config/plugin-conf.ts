/** The plugin's own configuration, as the runtime hands it over on stdin; nothing of the node's is in it yet. */
import type { JsonObject } from '../cni/json-value.ts';
import type { CniDns } from '../cni/result.ts';
import { formatAddress } from '../netaddr/netaddr.ts';
import { address } from './addresses.ts';
import { throwFaults, type Site } from './faults.ts';
import { anything, listOf, objectOf, text, type Reader } from './readers.ts';
import { configuredArgs, runtimeConfig, type ConfiguredRequest, type RuntimeRequest } from './requests.ts';
import { identifier, tenantReaders, type TenantSettings } from './settings.ts';

export interface PluginConf extends TenantSettings {
  /** The network's name. */
  readonly name: string;
  readonly tenant?: string;
  readonly dns?: CniDns;
  readonly runtimeConfig?: RuntimeRequest;
  readonly args?: { readonly cni?: ConfiguredRequest };
}

/**
 * Reads every key of the plugin's configuration.
 *
 * @throws WeftError unsupportedField (code 2) or invalidConfiguration (code 7), one message with every fault
 */
export function readPluginConf(json: JsonObject): PluginConf {
  const site: Site = { path: [], faults: [] };
  const fields = readFields(json, site);
  throwFaults(site.faults);
  if (fields === undefined) throw new TypeError('a configuration that could not be read has no faults');
  return fields;
}

const anyText: Reader<string> = text('a string', (value) => value);

const nameServer: Reader<string> = (value, site) => {
  const server = address(value, site);
  return server && formatAddress(server);
};

/** SPEC.md 1.1.0, "dns". */
const dns: Reader<CniDns> = objectOf<Required<CniDns>>({
  nameservers: listOf('addresses of name servers', nameServer),
  domain: anyText,
  search: listOf('domains', anyText),
  options: listOf('options', anyText),
});

/** Keys of the specification, or that libcni puts in: they are the runtime's or the dispatcher's to read. */
const keysOfOthers = {
  cniVersion: anything,
  cniVersions: anything,
  type: anything,
  capabilities: anything,
  prevResult: anything,
  disableCheck: anything,
  disableGC: anything,
  loadOnlyInlinedPlugins: anything,
} as const;

type OthersFields = { readonly [Key in keyof typeof keysOfOthers]: unknown };

const readFields = objectOf<Required<PluginConf> & OthersFields, 'name'>(
  { ...keysOfOthers, ...tenantReaders, name: identifier, tenant: identifier, dns, runtimeConfig, args: configuredArgs },
  { required: ['name'], isIgnored: (key) => key.startsWith('cni.dev/') },
);
