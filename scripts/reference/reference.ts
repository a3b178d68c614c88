/** The files that are made of the configuration's schema, pkg/config: the reference pages, and the JSON Schema for editors. */
import { endpointArgs } from '../../pkg/config/endpoint-args.ts';
import { nodeShape } from '../../pkg/config/node-conf.ts';
import { pluginShape } from '../../pkg/config/plugin-conf.ts';
import type { ObjectShape, Shape } from '../../pkg/config/shape.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { renderPage } from './page.ts';

const nodeOpening = [
  'The node configuration is `/etc/weft/weft.yaml`, or what `WEFT_CONFIG` names: YAML. It is optional, and read again when it changes. Every fault in it is reported with its line, and the configuration before stays in force; a key whose value is null counts as missing.',
  'A key that can stand in several places counts in the first of them that has it: the plugin configuration, the entry of the tenant, the node. Of `vtep`, `interface` and `address` go together.',
  'This page is made of the schema in `pkg/config` by `make docs`. [conf/weft.yaml](../../conf/weft.yaml) is an example with comments; [conf/weft.schema.json](../../conf/weft.schema.json) is the same for editors that know JSON Schema: put `# yaml-language-server: $schema=/usr/share/doc/weft/examples/weft.schema.json` into the first line. The plugin configuration has [a page of its own](plugin-conf.md).',
];

const pluginOpening = [
  'The plugin configuration is an entry of `plugins` in a file of `/etc/cni/net.d`, which the runtime hands over on stdin with `cniVersion` and `name` of the list. Every fault in it is reported, with the [code](../errors.md) 7, or 2 for a key or a value that this version does not know; a key whose value is null counts as missing.',
  'Keys that are in the [node configuration](weft-yaml.md) as well count here first. What only the node configuration has, `controlPlane` for example, cannot be said here.',
  'This page is made of the schema in `pkg/config` by `make docs`. [conf/10-weft.conflist](../../conf/10-weft.conflist) is an example.',
];

/** Each file by its path, with what must be in it. */
export function referenceFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/reference/weft-yaml.md', renderPage({ title: 'The node configuration', opening: nodeOpening, shape: nodeShape, placesOf: placesOfNodeKey })],
    ['docs/reference/plugin-conf.md', renderPage({ title: 'The plugin configuration', opening: pluginOpening, shape: pluginShape, placesOf: placesOfPluginKey, closing: [renderArgs()] })],
    ['conf/weft.schema.json', `${JSON.stringify(jsonSchemaOf(nodeShape, { title: 'weft.yaml, the node configuration of weft', id: 'weft.schema.json' }), undefined, 1)}\n`],
  ]);
}

function placesOfNodeKey(key: string): readonly string[] {
  return [...(key in tenantShape().keys ? ['`tenants[]`'] : []), ...(key in pluginShape.keys ? ['[plugin](plugin-conf.md#keys)'] : [])];
}

function placesOfPluginKey(key: string): readonly string[] {
  return [...(key in tenantShape().keys && key !== 'name' ? ['[`tenants[]`](weft-yaml.md#tenants)'] : []), ...(key in nodeShape.keys ? ['[node](weft-yaml.md#keys)'] : [])];
}

function tenantShape(): ObjectShape {
  const list: Shape | undefined = nodeShape.keys['tenants']?.shape;
  if (list?.kind !== 'list' || list.item.kind !== 'object') throw new TypeError('tenants must be a list of objects in the shape of the node configuration');
  return list.item;
}

function renderArgs(): string {
  const rows = Object.entries(endpointArgs).map(([key, { value, meaning }]) => `| \`${key}\` | ${value} | ${meaning} |`);
  const words = [
    'What the runtime says of one container: `KEY=VALUE` pairs with `;` between them, in the environment. An empty value says nothing. Other keys are refused with the code 4, unless `IgnoreUnknown` lets them pass.',
    'Addresses and a MAC can be asked for in three places. The first of them that says something counts: `runtimeConfig`, `args.cni`, CNI_ARGS. Of an endpoint’s name, CNI_ARGS count before `args.cni`.',
  ];
  return ['## CNI_ARGS', ...words, ['| key | value | meaning |', '|---|---|---|', ...rows].join('\n')].join('\n\n');
}
