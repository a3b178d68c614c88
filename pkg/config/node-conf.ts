/** The node configuration, /etc/weft/weft.yaml: YAML text in, values out, every fault with its line. */
import { LineCounter, parseDocument, type Document } from 'yaml';
import { isAbsent, showValue } from '../cni/json-value.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import { tenantBandwidth } from './bandwidth-conf.ts';
import { controlPlane } from './control-plane.ts';
import { ovs } from './datapath-conf.ts';
import { findUnfitForEvpn } from './evpn-fit.ts';
import { formatPath, report, siteWithin, throwFaults, type Fault, type Path, type Site } from './faults.ts';
import { metrics } from './metrics-conf.ts';
import { migration } from './migration-conf.ts';
import { isNamespacePattern } from './namespaces.ts';
import { offload, offloadDefaults } from './offload-conf.ts';
import type { NodeConf, TenantConf } from './node-model.ts';
import { pathProbes, type PathConf } from './path-conf.ts';
import { key, listOf, malformed, objectOf, text, type Reader } from './readers.ts';
import { identifier, nodeKeys, tenantKeys } from './settings.ts';
import type { ObjectShape } from './shape.ts';

export { emptyNodeConf, type NodeConf, type TenantConf } from './node-model.ts';

/**
 * Reads the node configuration.
 *
 * @param path the file's, for messages
 * @throws WeftError invalidConfiguration, or unsupportedField for keys and values that this version does not know; one message with every fault, its line and its key
 */
export function parseNodeConf(yamlText: string, path: string): NodeConf {
  const lines = new LineCounter();
  const document = parseDocument(yamlText, { lineCounter: lines, prettyErrors: false });
  const texts = yamlText.split('\n');
  const flaws = [...document.errors, ...document.warnings].map(({ message, pos }) => {
    const { line } = lines.linePos(pos[0]);
    return `${path} line ${line}: ${withoutSecret(message, { line: texts[line - 1] ?? '', above: texts[line - 2] ?? '' })}`;
  });
  if (flaws.length > 0) throw new WeftError('invalidConfiguration', flaws.join('; '));
  const site: Site = { path: [], faults: [] };
  const value = toPlainValue(document, path);
  const fields = isAbsent(value) ? {} : readNode(value, site);
  reportDoubles(fields?.tenants ?? [], site);
  if (fields?.controlPlane?.type === 'evpn') reportUnfitForEvpn(fields, site);
  throwFaults(site.faults, (fault) => describeFault(fault, { document, lines, path }));
  const { tenants = [], path: probes, ...settings } = fields ?? {};
  return { path, ...settings, ...(probes === undefined ? {} : { pathProbes: probes }), tenants };
}

/** A key whose value is secret. */
const secretKey = /password|\bkey(?=["']?\s*:)/;

/** The library's messages may hold a piece of the text, which on such a line, or below one that ends with the key, may be a secret. */
function withoutSecret(message: string, { line, above }: { readonly line: string; readonly above: string }): string {
  const secret = secretKey.exec(line)?.[0] ?? (/:\s*[|>]?[-+\d]*\s*$/.test(above) ? secretKey.exec(above)?.[0] : undefined);
  return secret === undefined ? message : `a ${secret} must be text: put it into quotes`;
}

/** What the library says of an alias whose anchor is missing; it goes on with the alias, which may be a password without quotes. */
const missingAnchor = 'Unresolved alias';

/** Aliases can make a small text very large; the library counts them and gives up. */
function toPlainValue(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    const words = describeError(error);
    if (words.startsWith(missingAnchor)) throw new WeftError('invalidConfiguration', `${path} cannot be read: a value that begins with "*" stands for an anchor, which is missing: put text into quotes`);
    throw new WeftError('invalidConfiguration', `${path} cannot be read: ${words}`, { cause: error });
  }
}

const namespacePattern: Reader<string> = text('a pattern of Kubernetes namespaces', (value, name) => {
  if (isNamespacePattern(value)) return value;
  throw malformed(name, 'a Kubernetes namespace (lower-case letters, digits and "-"), perhaps with "*" and "?"', value);
}, { kind: 'text', noun: 'a pattern of Kubernetes namespaces, with `*` and `?`', pattern: '^[a-z0-9*?-]{1,63}$' });

const tenant: Reader<TenantConf> = objectOf<Required<TenantConf>, 'name'>(
  {
    ...tenantKeys,
    name: key(identifier, "The tenant's name, no other's."),
    bandwidth: key(tenantBandwidth, 'What its containers may receive and send, all of a node together, and each ([bandwidth.md](../bandwidth.md)).', { otherwise: 'no limit' }),
    namespaces: key(listOf('patterns of Kubernetes namespaces', namespacePattern), 'The namespaces that belong to the tenant: their pods are its own, and it takes no others.', { otherwise: 'the tenant takes every container whose configuration names it' }),
  },
  { required: ['name'] },
);

/** As it is written: the file's own path is none of its keys. */
type NodeFields = Omit<NodeConf, 'path' | 'pathProbes'> & { readonly path?: PathConf };

const readNode = objectOf<Required<NodeFields>>({
  ...nodeKeys,
  node: key(identifier, "The node's name, for people.", { otherwise: "the host's" }),
  ovs: key(ovs, "The node's Open vSwitch, for tenants with the datapath `ovs` ([ovs.md](../ovs.md)).", { otherwise: 'all by their defaults' }),
  controlPlane: key(controlPlane, 'How nodes learn of each other ([evpn.md](../evpn.md)).', { default: { type: 'static' } }),
  migration: key(migration, 'By what the daemons know each other when an endpoint moves ([migration.md](../migration.md)).', { otherwise: 'no endpoint moves' }),
  path: key(pathProbes, 'How the paths to other nodes are proven ([path.md](../path.md)).', { otherwise: 'all by their defaults' }),
  offload: key(offload, 'What becomes of checksums and segmentation that are left to devices below the tunnel ([offloads.md](../offloads.md)): the mode alone, or a section.', { default: offloadDefaults.mode }),
  metrics: key(metrics, 'Where the daemon\'s metrics can be fetched ([metrics.md](../metrics.md)).', { otherwise: 'nowhere' }),
  tenants: key(listOf('tenants', tenant), 'The tenants of the node, each with a name and a VNI of its own.', { default: [] }),
});

/** What a node configuration may have, for its reference page. */
export const nodeShape: ObjectShape = readNode.shape;

/** Two tenants with one VNI would be one network. */
function reportDoubles(tenants: readonly TenantConf[], site: Site): void {
  for (const key of ['name', 'vni'] as const) {
    const seen = new Map<string | number, number>();
    for (const [index, { [key]: value }] of tenants.entries()) {
      if (value === undefined) continue;
      const first = seen.get(value);
      const at = siteWithin(siteWithin(siteWithin(site, 'tenants'), index), key);
      if (first === undefined) seen.set(value, index);
      else report(at, `${formatPath(at.path)} must be the tenant's own: ${showValue(value)} is also that of tenants[${first}]`);
    }
  }
}

/** What BGP EVPN makes needless, and what it cannot do yet; a plugin configuration is looked at in the same way. */
function reportUnfitForEvpn({ tenants = [], ...node }: Partial<NodeFields>, site: Site): void {
  const places = [{ settings: node, at: site }, ...tenants.map((settings, index) => ({ settings, at: siteWithin(siteWithin(site, 'tenants'), index) }))];
  for (const { settings, at } of places) {
    for (const { path: inner, message, code } of findUnfitForEvpn(settings)) {
      const place = inner.reduce(siteWithin, at);
      report(place, `${formatPath(place.path)} ${message}`, code);
    }
  }
}

interface Source {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly path: string;
}

function describeFault(fault: Fault, { document, lines, path }: Source): string {
  const offset = offsetOf(document, fault.path);
  return `${path} line ${offset === undefined ? 1 : lines.linePos(offset).line}: ${fault.message}`;
}

/** Where the value stands in the text, or the nearest value around it: a missing key has no place of its own. */
function offsetOf(document: Document, path: Path): number | undefined {
  const node = document.getIn(path, true);
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
  if (Array.isArray(range)) return Number(range[0]);
  return path.length === 0 ? undefined : offsetOf(document, path.slice(0, -1));
}
