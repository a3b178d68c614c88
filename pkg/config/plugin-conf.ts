/** The plugin's own configuration, as the runtime hands it over on stdin; nothing of the node's is in it yet. */
import type { JsonObject } from '../cni/json-value.ts';
import type { CniDns } from '../cni/result.ts';
import { formatAddress } from '../netaddr/netaddr.ts';
import { address } from './addresses.ts';
import { throwFaults, type Site } from './faults.ts';
import { key, listOf, objectOf, readerOf, text, type Reader } from './readers.ts';
import { configuredArgs, runtimeConfig, type ConfiguredRequest, type RuntimeRequest } from './requests.ts';
import { identifier, tenantKeys, type TenantSettings } from './settings.ts';
import type { ObjectShape } from './shape.ts';

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

const nameServer: Reader<string> = readerOf(address.shape, (value, site) => {
  const server = address(value, site);
  return server && formatAddress(server);
});

const nothingPassedOn = 'nothing is passed on';

/** SPEC.md 1.1.0, "dns". */
const dns: Reader<CniDns> = objectOf<Required<CniDns>>({
  nameservers: key(listOf('addresses of name servers', nameServer), 'In the order in which they are asked.', { otherwise: nothingPassedOn }),
  domain: key(anyText, 'The local domain.', { otherwise: nothingPassedOn }),
  search: key(listOf('domains', anyText), 'The domains in which short names are looked for.', { otherwise: nothingPassedOn }),
  options: key(listOf('options', anyText), 'Options of the resolver, as in resolv.conf(5).', { otherwise: nothingPassedOn }),
});

/** A value that weft does not look at here. */
function unread(noun: string): Reader<unknown> {
  return readerOf({ kind: 'text', noun }, (value) => value);
}

/** Keys of the specification, or that libcni puts in: they are the runtime's or the dispatcher's to read. */
const keysOfOthers = {
  cniVersion: key(unread('a version'), 'The version of the CNI specification in which the call is answered: `0.4.0`, `1.0.0` or `1.1.0`.', { otherwise: 'the call is refused' }),
  cniVersions: key(unread('list of versions'), 'The versions from which the runtime may choose.', { otherwise: '`cniVersion` alone' }),
  type: key(unread('`weft`'), '`weft`: by it the runtime finds the plugin.', { otherwise: 'the runtime refuses the file' }),
  capabilities: key(unread('section'), 'What the runtime is to put into `runtimeConfig`: `{"ips": true, "mac": true, "bandwidth": true}`.', { otherwise: 'nothing' }),
  prevResult: key(unread('a CNI result'), 'The runtime’s, in a call.', { otherwise: 'nothing came before' }),
  disableCheck: key(unread('`true` or `false`'), 'The runtime’s: whether it leaves CHECK out.', { default: false }),
  disableGC: key(unread('`true` or `false`'), 'The runtime’s: whether it leaves GC out.', { default: false }),
  loadOnlyInlinedPlugins: key(unread('`true` or `false`'), 'The runtime’s: whether it looks for no further plugins in a directory.', { default: false }),
} as const;

type OthersFields = { readonly [Name in keyof typeof keysOfOthers]: unknown };

const readFields = objectOf<Required<PluginConf> & OthersFields, 'name'>(
  {
    ...keysOfOthers,
    ...tenantKeys,
    name: key(identifier, "The network's name; in a list it stands beside `plugins`, and libcni puts it here."),
    tenant: key(identifier, 'The tenant that the containers belong to.', { otherwise: 'the one whose `namespaces` in the node configuration match the pod’s; else the one named as the network' }),
    dns: key(dns, 'Passed on to the runtime in the result.', { otherwise: nothingPassedOn }),
    runtimeConfig: key(runtimeConfig, 'What the runtime asks for on behalf of one container.', { otherwise: 'nothing is asked for' }),
    args: key(configuredArgs, 'Arguments that stand in the configuration.', { otherwise: 'nothing is asked for' }),
  },
  { required: ['name'], ignored: { words: 'keys that begin with `cni.dev/`', has: (name) => name.startsWith('cni.dev/') } },
);

/** What a plugin configuration may have, for its reference page. */
export const pluginShape: ObjectShape = readFields.shape;
